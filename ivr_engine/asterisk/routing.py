"""Which leg an event belongs to. Runs in the reading task: looks up, hands over, never waits.

After each connection the events of channels nobody adopted yet are kept until ``reconciled``: they
happened after stock was taken, so whoever adopts such a channel gets them first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from ivr_engine.asterisk import ari_models as m
from ivr_engine.asterisk.ari_models import Channel, Message
from ivr_engine.asterisk.causes import of_status
from ivr_engine.asterisk.channel import NORMAL_CLEARING
from ivr_engine.asterisk.leg import AriLeg

log = structlog.get_logger()

# Everything handled here, and what the client itself lives on and the event filter would hold back too:
# replies, the fencing, the echo.
EVENTS = (
    m.RESTResponse,
    m.ApplicationReplaced,
    m.ChannelUserevent,
    m.CallBroadcast,
    m.StasisStart,
    m.StasisEnd,
    m.ChannelHangupRequest,
    m.ChannelDestroyed,
    m.ChannelStateChange,
    m.ChannelDtmfReceived,
    m.PlaybackFinished,
    m.RecordingFinished,
    m.RecordingFailed,
    m.Dial,
    m.ChannelEnteredBridge,
)


_DISK: Final = "is Asterisk's disk full? The talk itself goes on"


class Owner(Protocol):
    """Who decides; each is called in the reading task and must not block."""

    def offered(self, event: m.CallBroadcast) -> None:
        """A call nobody has yet."""
        ...

    def arrived(self, leg: AriLeg, event: m.StasisStart) -> None:
        """A call that is ours now."""
        ...

    def overflowed(self, leg: AriLeg) -> None:
        """A leg whose events are not read; it counts as ended here already."""
        ...

    def entered_bridge(self, event: m.ChannelEnteredBridge) -> None:
        """A channel is in a bridge now; the event names everybody in it at that moment."""
        ...

    def flooded(self) -> None:
        """Too many events wait for a reconciliation that does not come."""
        ...


class Routing:
    def __init__(self, owner: Owner, new_leg: Callable[[str], AriLeg], *, most_early: int) -> None:
        self._owner = owner
        self._new_leg = new_leg
        self._most_early = most_early
        self._legs: dict[str, AriLeg] = {}
        self._mine: set[str] = set()
        self._early: list[tuple[str, Message]] | None = None

    # ── asked by the telephony ───────────────────────────────────────────────────────────────────

    def leg(self, channel_id: str) -> AriLeg | None:
        """The living leg of that channel."""
        leg = self._legs.get(channel_id)
        return None if leg is None or leg.ended else leg

    def is_mine(self, channel_id: str) -> bool:
        return channel_id in self._mine

    def expect(self, channel_id: str) -> AriLeg:
        """The leg of a channel that is there or will be; it gets what was kept for it."""
        leg = self._legs[channel_id] = self._new_leg(channel_id)
        kept = [event for owner, event in self._early or () if owner == channel_id]
        if self._early and kept:
            self._early = [item for item in self._early if item[0] != channel_id]
        for event in kept:
            self._deliver(channel_id, event)
        return leg

    def forget(self, leg: AriLeg, *, moved: bool = False) -> None:
        """An end Asterisk did not tell us: the leg is over, for us (``moved``) or at all."""
        leg.end(moved=moved)
        self._legs.pop(leg.id, None)

    def legs(self) -> Collection[AriLeg]:
        return tuple(self._legs.values())

    # ── around a connection ──────────────────────────────────────────────────────────────────────

    def keep_early(self) -> None:
        """A new connection: from here on, keep what nobody can take yet."""
        self._early = []

    def took_stock(self, mine: Mapping[str, str], everybody: frozenset[str]) -> None:
        """``mine``: our channels and their states; ``everybody``: every channel there is. Legs that are no
        longer ours ended unseen, or were sent to the fallback."""
        started = {owner for owner, event in self._early or () if isinstance(event, m.StasisStart)}
        self._mine = set(mine) | started
        for leg in self.legs():
            if leg.id in mine:
                leg.entered(mine[leg.id])
            elif leg.id not in self._mine and not leg.expected:
                self.forget(leg, moved=leg.id in everybody)

    def reconciled(self) -> None:
        """What nobody adopted is handled as it comes: new calls arrive."""
        kept, self._early = self._early or [], None
        for channel_id, event in kept:
            self._deliver(channel_id, event)

    # ── the reading task ─────────────────────────────────────────────────────────────────────────

    def route(self, event: Message) -> None:
        match event:
            case m.PlaybackFinished():
                kind, _, channel_id = event.playback.target_uri.partition(":")
                if kind == "channel":
                    self._deliver(channel_id, event)
            case m.RecordingFinished() | m.RecordingFailed():
                kind, _, channel_id = event.recording.target_uri.partition(":")
                if kind == "channel":
                    self._deliver(channel_id, event)
                elif isinstance(event, m.RecordingFailed):
                    why = event.recording.cause or "no cause given"
                    log.error("recording.failed", recording=event.recording.name, why=why, remedy=_DISK)
            case m.Dial():
                self._deliver(event.peer.id, event)
            case m.CallBroadcast():
                self._owner.offered(event)
            case m.ChannelEnteredBridge():
                self._owner.entered_bridge(event)
            case (
                m.ChannelDtmfReceived()
                | m.ChannelStateChange()
                | m.ChannelHangupRequest()
                | m.StasisStart()
                | m.StasisEnd()
                | m.ChannelDestroyed()
            ):
                self._deliver(event.channel.id, event)
            case _:
                pass

    def _deliver(self, channel_id: str, event: Message) -> None:
        leg = self._legs.get(channel_id)
        if leg is not None and leg.ended and isinstance(event, m.StasisStart):
            # Out of our hands and back: a new leg of the same channel.
            leg = None
        if leg is not None:
            self._to_leg(leg, event)
        elif self._early is not None:
            self._early.append((channel_id, event))
            if len(self._early) > self._most_early:
                self._early = []
                self._owner.flooded()
        elif isinstance(event, m.StasisStart):
            self._mine.add(channel_id)
            self._owner.arrived(self.expect(channel_id), event)
        elif isinstance(event, m.StasisEnd | m.ChannelDestroyed):
            self._mine.discard(channel_id)

    def _to_leg(self, leg: AriLeg, event: Message) -> None:
        match event:
            case m.ChannelDtmfReceived() | m.PlaybackFinished() | m.RecordingFinished() | m.RecordingFailed():
                if not leg.hear(event):
                    self._overflow(leg)
            case m.StasisStart():
                self._mine.add(leg.id)
                leg.entered(event.channel.state)
            case m.ChannelStateChange():
                if _is_up(event.channel):
                    leg.answered()
            case m.Dial():
                result = of_status(event.dialstatus)
                if result is not None:
                    leg.dialled(result)
            case m.ChannelHangupRequest():
                # With ``soft``, "cause" holds Asterisk's own hang-up flags; the cause comes at the end.
                leg.hanging_up = True
                if not event.soft and event.cause:
                    self._ended(leg, event.cause)
            case m.StasisEnd():
                # A leg still ringing is destroyed next, and that event alone tells why. One that nobody
                # hung up goes on in the dialplan: the watchdog sent it there.
                if not leg.ringing:
                    self._ended(leg, NORMAL_CLEARING, moved=not leg.hanging_up)
            case m.ChannelDestroyed():
                self._ended(leg, event.cause)
            case _:
                pass

    def _ended(self, leg: AriLeg, cause: int, *, moved: bool = False) -> None:
        self._mine.discard(leg.id)
        self._legs.pop(leg.id, None)
        leg.end(cause, moved=moved)

    def _overflow(self, leg: AriLeg) -> None:
        log.error("leg.overflow", channel=leg.id, remedy="its call is stuck or abused; it was ended")
        self._ended(leg, NORMAL_CLEARING)
        self._owner.overflowed(leg)


def _is_up(channel: Channel) -> bool:
    return channel.state == "Up"
