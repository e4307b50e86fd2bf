"""A telephone system in memory that behaves as Asterisk does where an engine can tell the difference.

It lives apart from any engine: when an engine dies, callers stay, music and prompts play on, phones ring
on; nobody is told what happened meanwhile. Facts imitated: prompts asked for while another plays queue up
behind it; music of a holding bridge comes back by itself; an agent's phone that answers while no engine
is there is cut off; whoever is left in a bridge stays there, alone, in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from ivr_engine.errors import Gone, NotInStasis, NotUp, Rejected
from ivr_engine.sim.channel import NO_ANSWER, NORMAL_CLEARING, Channel, Playback
from ivr_engine.sim.ears import Ears
from ivr_engine.sim.rooms import Rooms
from ivr_engine.sim.tapes import Tapes
from ivr_engine.sim.wire import (
    ChannelLeft,
    Connection,
    KeyPressed,
    Offered,
    PhoneAnswered,
    PlayingEnded,
    WireEvent,
)

CLAIM_WITHIN_S: Final = 0.5
"""How long a caller is on offer before the fallback takes them."""

RETRY_S: Final = 2.0
"""How often the fallback offers a caller again."""

FALLBACK_LIMIT_S: Final = 600.0
"""How long the fallback keeps a caller before it says goodbye."""


class Phone(Protocol):
    """Something that can be rung: see ``people.AgentPhone``."""

    @property
    def registered(self) -> bool: ...

    def ring(self, call: PhoneCall) -> None: ...


class PhoneCall:
    """What a ringing phone can do about one call."""

    def __init__(self, switch: SimSwitch, channel: Channel) -> None:
        self._switch = switch
        self._channel = channel

    @property
    def channel_id(self) -> str:
        return self._channel.id

    @property
    def ears(self) -> Ears:
        return self._channel.ears

    @property
    def ringing(self) -> bool:
        return self._channel.cause is None and not self._channel.up

    @property
    def talking(self) -> bool:
        return self._channel.cause is None and self._channel.up

    def answer(self) -> None:
        if self.ringing:
            self._switch.phone_answered(self._channel)

    def press(self, key: str) -> None:
        if self.talking:
            self._switch.key(self._channel, key)

    def end(self, cause: int = NORMAL_CLEARING) -> None:
        """Hang up, or refuse with that cause while it rings; fine when it is over."""
        self._switch.gone(self._channel, cause)


class SimSwitch:
    """The telephone system. Engines reach it through ``connect``; people through ``people``."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.phones: dict[str, Phone] = {}
        self.accounts: dict[str, str] = {}
        """Password by account name."""
        self.missing: set[str] = set()
        """Media of which there is no file."""
        self._connections: dict[str, Connection] = {}
        self._calls = 0
        self.rooms = Rooms(self.channels)
        self.tapes = Tapes(self.channels, self.rooms, self._tell)

    # ── engines ──────────────────────────────────────────────────────────────────────────────────

    def connect(self, connection: Connection) -> None:
        """A second connection of the same name replaces the first."""
        old = self._connections.get(connection.app)
        self._connections[connection.app] = connection
        if old is not None:
            old.close()

    def disconnect(self, app: str) -> None:
        connection = self._connections.pop(app, None)
        if connection is not None:
            connection.close()

    def _tell(self, channel: Channel, event: WireEvent) -> None:
        connection = self._connections.get(channel.app or "")
        if connection is not None:
            connection.tell(event)

    def held(self, channel_id: str, app: str) -> Channel:
        """The channel, if it is in that application's hands."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise Gone(f"no channel {channel_id}")
        if channel.app != app:
            raise NotInStasis(f"channel {channel_id} is not in {app}")
        return channel

    # ── callers arrive, and the fallback ─────────────────────────────────────────────────────────

    def registered(self) -> frozenset[str]:
        """The phones that can be rung."""
        return frozenset(name for name, phone in self.phones.items() if phone.registered)

    def call_in(
        self, caller: str, number: str, *, trunk: str = "", headers: Mapping[str, str] | None = None
    ) -> Channel:
        self._calls += 1
        channel = Channel(
            id=f"sip-{self._calls}",
            caller=caller,
            number=number,
            inbound=True,
            trunk=trunk,
            headers=headers or {},
        )
        self.channels[channel.id] = channel
        self._offer(channel)
        return channel

    def _offer(self, channel: Channel) -> None:
        for connection in self._connections.values():
            connection.tell(Offered(channel.id, channel.caller, channel.number))
        channel.later(CLAIM_WITHIN_S, self._fall_back)
        self.rooms.heard(channel)

    def claim(self, channel_id: str, app: str) -> bool:
        """True for the first; the rest come too late."""
        channel = self.channels.get(channel_id)
        if channel is None or channel.app is not None:
            return False
        channel.no_timer()
        channel.app = app
        channel.fallback_since = None
        self.rooms.heard(channel)
        return True

    def _fall_back(self, channel: Channel) -> None:
        now = asyncio.get_running_loop().time()
        channel.up = True
        if channel.fallback_since is None:
            channel.fallback_since = now
        if now - channel.fallback_since > FALLBACK_LIMIT_S:
            return self.gone(channel, NORMAL_CLEARING)
        channel.later(RETRY_S, self._offer)
        return self.rooms.heard(channel)

    def give_to_fallback(self, channel: Channel) -> None:
        """Out of the application, on in the dialplan; by an engine, or by the watchdog."""
        self.tapes.over(channel)
        self.rooms.leave(channel)
        channel.playing.clear()
        self._tell(channel, ChannelLeft(channel.id, NORMAL_CLEARING, moved=True))
        channel.app = None
        self._fall_back(channel)

    # ── what an engine may ask for ───────────────────────────────────────────────────────────────

    def answer(self, channel: Channel) -> None:
        channel.up = True
        self.rooms.heard(channel)

    def play(self, channel: Channel, playback: Playback) -> None:
        if not channel.up:
            raise NotUp(f"channel {channel.id} is not answered")
        if not playback.prompts:
            raise Rejected("nothing to play")
        channel.playing.append(playback)
        if len(channel.playing) == 1:
            self._play_on(channel)

    def stop(self, channel: Channel) -> None:
        """Stop what is being played and what is queued behind it."""
        if not channel.playing:
            return
        channel.no_timer()
        stopped = list(channel.playing)
        channel.playing.clear()
        for playback in stopped:
            self._tell(channel, PlayingEnded(channel.id, playback.id, whole=True))
        self.rooms.heard(channel)

    def _play_on(self, channel: Channel) -> None:
        prompt = channel.playing[0].prompts[0]
        if prompt.media in self.missing:
            failed = channel.playing.popleft()
            self._tell(channel, PlayingEnded(channel.id, failed.id, whole=False))
            return self._play_next(channel)
        channel.later(prompt.seconds, self._prompt_over)
        return channel.ears.hear(prompt.name, anew=True)

    def _prompt_over(self, channel: Channel) -> None:
        playback = channel.playing[0]
        playback.prompts.pop(0)
        if not playback.prompts:
            channel.playing.popleft()
            self._tell(channel, PlayingEnded(channel.id, playback.id, whole=True))
        self._play_next(channel)

    def _play_next(self, channel: Channel) -> None:
        if channel.playing:
            self._play_on(channel)
        else:
            self.rooms.heard(channel)

    def end_bridge(self, bridge: str) -> None:
        self.rooms.end(bridge)
        self.tapes.end_of(bridge)

    def dial(self, phone: str, channel_id: str, app: str, caller: str | None, timeout_s: float) -> None:
        """Ring; who is not registered cannot be rung."""
        if channel_id in self.channels:
            raise NotInStasis(f"channel id {channel_id} is taken")
        target = self.phones.get(phone)
        if target is None or not target.registered:
            raise Rejected("Allocation failed")
        channel = Channel(id=channel_id, caller=caller or "", number=phone, inbound=False, app=app)
        self.channels[channel_id] = channel
        channel.later(timeout_s, lambda c: self.gone(c, NO_ANSWER))
        self.rooms.heard(channel)
        target.ring(PhoneCall(self, channel))

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def phone_answered(self, channel: Channel) -> None:
        channel.no_timer()
        if channel.app not in self._connections:
            return self.gone(channel, NORMAL_CLEARING)
        channel.up = True
        self._tell(channel, PhoneAnswered(channel.id))
        return self.rooms.heard(channel)

    def key(self, channel: Channel, key: str) -> None:
        self._tell(channel, KeyPressed(channel.id, key))
        if key == "#":
            self.tapes.over(channel)

    def gone(self, channel: Channel, cause: int) -> None:
        """The channel ends, whoever wanted it; fine when it has."""
        if channel.cause is not None:
            return
        channel.cause = cause
        self.tapes.over(channel)
        channel.no_timer()
        channel.playing.clear()
        del self.channels[channel.id]
        self.rooms.gone(channel)
        self._tell(channel, ChannelLeft(channel.id, cause))
        for snoop in self.rooms.listening_to(channel):
            self.gone(snoop, cause)
