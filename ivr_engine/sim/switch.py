"""A telephone system in memory that behaves as Asterisk does where an engine can tell the difference.

It lives apart from any engine: when an engine dies, callers stay, music and prompts play on, phones ring
on; nobody is told what happened meanwhile. Facts imitated: prompts asked for while another plays queue up
behind it; music of a holding bridge comes back by itself; an agent's phone that answers while no engine
is there is cut off; whoever is left in a bridge stays there, alone, in silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ivr_engine.errors import Gone, NotInStasis, NotUp, Rejected
from ivr_engine.ports import DialResult, Prompt
from ivr_engine.sim.ears import Ears
from ivr_engine.sim.wire import (
    ChannelLeft,
    Connection,
    KeyPressed,
    Offered,
    PhoneAnswered,
    PlayingEnded,
    RecordingEnded,
    WireEvent,
)

CLAIM_WITHIN_S: Final = 0.5
"""How long a caller is on offer before the fallback takes them."""

RETRY_S: Final = 2.0
"""How often the fallback offers a caller again."""

FALLBACK_LIMIT_S: Final = 600.0
"""How long the fallback keeps a caller before it says goodbye."""

NORMAL_CLEARING: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
DECLINED: Final = 21

CAUSE_OF: Final = {DialResult.BUSY: BUSY, DialResult.DECLINED: DECLINED, DialResult.NO_ANSWER: NO_ANSWER}


class Phone(Protocol):
    """Something that can be rung: see ``people.AgentPhone``."""

    @property
    def registered(self) -> bool: ...

    def ring(self, call: PhoneCall) -> None: ...


@dataclass(slots=True)
class Playback:
    id: str
    prompts: list[Prompt]


@dataclass(slots=True, eq=False)
class Channel:
    """One leg as the telephone system holds it. ``app``: the application it is in, if any."""

    id: str
    caller: str
    number: str
    inbound: bool
    up: bool = False
    app: str | None = None
    bridge: str | None = None
    playing: deque[Playback] = field(default_factory=deque[Playback])
    recording: tuple[str, float] | None = None
    """What is being recorded, and since when."""
    muted: bool = False
    snoops: tuple[str, bool] | None = None
    """For a channel that only listens in: on whom, and whether it is heard by them."""
    speaks_until: float | None = None
    """When the caller falls silent; ``None``: never."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trunk: str = ""
    cause: int | None = None
    fallback_since: float | None = None
    ears: Ears = field(default_factory=Ears)
    timer: asyncio.TimerHandle | None = None

    def no_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


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
        self.bridges: dict[str, str | None] = {}
        """Music class by bridge id; ``None`` for a bridge to talk in."""
        self.phones: dict[str, Phone] = {}
        self.accounts: dict[str, str] = {}
        """Password by account name."""
        self.missing: set[str] = set()
        """Media of which there is no file."""
        self.recorded: dict[str, float] = {}
        """Seconds by name, of recordings that are over. Callers speak as long as they are recorded, unless
        it is known until when."""
        self._taped: dict[str, tuple[str, float]] = {}
        """Of talks being recorded: the bridge, and since when, by name."""
        self._snooping: set[str] = set()
        self._connections: dict[str, Connection] = {}
        self._calls = 0

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
        self._later(channel, CLAIM_WITHIN_S, self._fall_back)
        self._heard(channel)

    def claim(self, channel_id: str, app: str) -> bool:
        """True for the first; the rest come too late."""
        channel = self.channels.get(channel_id)
        if channel is None or channel.app is not None:
            return False
        channel.no_timer()
        channel.app = app
        channel.fallback_since = None
        self._heard(channel)
        return True

    def _fall_back(self, channel: Channel) -> None:
        now = asyncio.get_running_loop().time()
        channel.up = True
        if channel.fallback_since is None:
            channel.fallback_since = now
        if now - channel.fallback_since > FALLBACK_LIMIT_S:
            return self.gone(channel, NORMAL_CLEARING)
        self._later(channel, RETRY_S, self._offer)
        return self._heard(channel)

    def give_to_fallback(self, channel: Channel) -> None:
        """Out of the application, on in the dialplan; by an engine, or by the watchdog."""
        self._recording_over(channel)
        self._out_of_bridge(channel)
        channel.playing.clear()
        self._tell(channel, ChannelLeft(channel.id, NORMAL_CLEARING, moved=True))
        channel.app = None
        self._fall_back(channel)

    # ── what an engine may ask for ───────────────────────────────────────────────────────────────

    def answer(self, channel: Channel) -> None:
        channel.up = True
        self._heard(channel)

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
        self._heard(channel)

    def record(self, channel: Channel, name: str, longest_s: float, silence_s: float) -> None:
        """Begun once: asked for again, it goes on, or its end is told."""
        if channel.recording is not None and channel.recording[0] == name:
            return
        if name in self.recorded:
            self._tell(channel, RecordingEnded(channel.id, name))
            return
        if not channel.up:
            raise NotUp(f"channel {channel.id} is not answered")
        self._out_of_bridge(channel)
        now = asyncio.get_running_loop().time()
        channel.recording = name, now
        self._later(channel, longest_s, self._recording_over)
        if channel.speaks_until is not None:
            self._watch_silence(channel, now, silence_s)

    def _watch_silence(self, channel: Channel, since: float, silence_s: float) -> None:
        """End the recording begun at ``since`` when the caller has been silent for so long."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            if channel.recording is None or channel.recording[1] != since or channel.speaks_until is None:
                return
            left = max(channel.speaks_until, since) + silence_s - loop.time()
            if left > 0:
                loop.call_later(left, look)
            else:
                self._recording_over(channel)

        look()

    def speak(self, channel: Channel, seconds: float) -> None:
        """The caller speaks from now on for so long, and is silent before and after."""
        channel.speaks_until = asyncio.get_running_loop().time() + seconds

    def _recording_over(self, channel: Channel) -> None:
        if channel.recording is None:
            return
        name, since = channel.recording
        channel.recording = None
        channel.no_timer()
        self.recorded[name] = asyncio.get_running_loop().time() - since
        self._tell(channel, RecordingEnded(channel.id, name))

    def _play_on(self, channel: Channel) -> None:
        prompt = channel.playing[0].prompts[0]
        if prompt.media in self.missing:
            failed = channel.playing.popleft()
            self._tell(channel, PlayingEnded(channel.id, failed.id, whole=False))
            return self._play_next(channel)
        self._later(channel, prompt.seconds, self._prompt_over)
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
            self._heard(channel)

    def hold(self, channel: Channel, music: str) -> None:
        bridge = f"hold-{music}"
        self.bridges[bridge] = music
        self._into_bridge(channel, bridge)

    def release(self, channel: Channel) -> None:
        self._out_of_bridge(channel)

    def mix(self, bridge: str, channels: Sequence[Channel]) -> None:
        self.bridges[bridge] = None
        for channel in channels:
            self._into_bridge(channel, bridge)

    def end_bridge(self, bridge: str) -> None:
        for channel in self.members(bridge):
            self._out_of_bridge(channel)
        self.bridges.pop(bridge, None)
        for name in [name for name, (room, _) in self._taped.items() if room == bridge]:
            self.end_taping(name)

    def mute(self, channel: Channel, on: bool) -> None:
        channel.muted = on
        if channel.bridge is not None:
            self._all_heard(channel.bridge)

    def snoop(self, target: Channel, snoop_id: str, app: str, bridge: str, *, whisper: bool) -> None:
        """A channel in ``bridge`` through which its members hear what ``target`` says and hears."""
        if snoop_id not in self.channels:
            snoop = Channel(id=snoop_id, caller="", number="", inbound=False, up=True, app=app)
            snoop.snoops = target.id, whisper
            self.channels[snoop_id] = snoop
            self._snooping.add(snoop_id)
        self.mix(bridge, [self.channels[snoop_id]])
        self._heard(target)

    def tape(self, bridge: str, name: str, longest_s: float) -> None:
        """Record a talk. Begun once, as ``record``."""
        if name in self._taped or name in self.recorded:
            return
        if bridge not in self.bridges:
            raise Gone(f"no bridge {bridge}")
        self._taped[name] = bridge, asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_later(longest_s, self.end_taping, name)

    def end_taping(self, name: str) -> None:
        if taped := self._taped.pop(name, None):
            self.recorded[name] = asyncio.get_running_loop().time() - taped[1]

    def is_recording(self, name: str) -> bool:
        return name in self._taped or any(
            c.recording and c.recording[0] == name for c in self.channels.values()
        )

    def members(self, bridge: str) -> list[Channel]:
        return [c for c in self.channels.values() if c.bridge == bridge]

    def _into_bridge(self, channel: Channel, bridge: str) -> None:
        if channel.bridge == bridge:
            return
        self._out_of_bridge(channel)
        channel.bridge = bridge
        self._all_heard(bridge)

    def _out_of_bridge(self, channel: Channel) -> None:
        bridge, channel.bridge = channel.bridge, None
        self._heard(channel)
        if bridge is not None:
            self._all_heard(bridge)

    def dial(self, phone: str, channel_id: str, app: str, caller: str | None, timeout_s: float) -> None:
        """Ring; who is not registered cannot be rung."""
        if channel_id in self.channels:
            raise NotInStasis(f"channel id {channel_id} is taken")
        target = self.phones.get(phone)
        if target is None or not target.registered:
            raise Rejected("Allocation failed")
        channel = Channel(id=channel_id, caller=caller or "", number=phone, inbound=False, app=app)
        self.channels[channel_id] = channel
        self._later(channel, timeout_s, lambda c: self.gone(c, NO_ANSWER))
        self._heard(channel)
        target.ring(PhoneCall(self, channel))

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def phone_answered(self, channel: Channel) -> None:
        channel.no_timer()
        if channel.app not in self._connections:
            return self.gone(channel, NORMAL_CLEARING)
        channel.up = True
        self._tell(channel, PhoneAnswered(channel.id))
        return self._heard(channel)

    def key(self, channel: Channel, key: str) -> None:
        self._tell(channel, KeyPressed(channel.id, key))
        if key == "#":
            self._recording_over(channel)

    def gone(self, channel: Channel, cause: int) -> None:
        """The channel ends, whoever wanted it; fine when it has."""
        if channel.cause is not None:
            return
        channel.cause = cause
        self._recording_over(channel)
        channel.no_timer()
        channel.playing.clear()
        del self.channels[channel.id]
        self._snooping.discard(channel.id)
        self._out_of_bridge(channel)
        self._tell(channel, ChannelLeft(channel.id, cause))
        for snoop in [c for c in self._snoops() if c.snoops and c.snoops[0] == channel.id]:
            self.gone(snoop, cause)

    # ── who hears what ───────────────────────────────────────────────────────────────────────────

    def _all_heard(self, bridge: str) -> None:
        members = self.members(bridge)
        for channel in members:
            self._heard(channel)
        for snoop in self._snoops():
            target = self.channels.get(snoop.snoops[0]) if snoop.snoops else None
            if target in members and snoop.bridge is not None:
                self._all_heard(snoop.bridge)
            elif snoop in members and target is not None:
                self._heard(target)

    def _snoops(self) -> list[Channel]:
        return [self.channels[one] for one in sorted(self._snooping) if one in self.channels]

    def _heard(self, channel: Channel) -> None:
        channel.ears.hear(self._sound(channel))

    def _sound(self, channel: Channel) -> str:
        if channel.cause is not None:
            return "end"
        if not channel.up:
            return "ringing"
        if channel.playing:
            return channel.playing[0].prompts[0].name
        if channel.app is None:
            return "fallback"
        if channel.bridge is None:
            return "silence"
        if self.bridges.get(channel.bridge) is not None:
            return "music"
        voices = self._voices(channel)
        if len(voices) > 1:
            return "+".join(sorted(_voice(c) for c in voices))
        if not voices:
            return "silence"
        return "caller" if voices[0].inbound else "agent"

    def _voices(self, channel: Channel) -> list[Channel]:
        """Whom the channel hears, each once."""
        found: dict[str, Channel] = {}
        for other in self.members(channel.bridge) if channel.bridge else ():
            if other is channel or not other.up:
                continue
            target = self.channels.get(other.snoops[0]) if other.snoops else None
            heard = [other] if target is None else [target, *self._voices(target)]
            found |= {c.id: c for c in heard if not c.muted and not c.snoops}
        for snoop in self._snoops():
            if snoop.snoops == (channel.id, True) and snoop.bridge is not None:
                found |= {c.id: c for c in self.members(snoop.bridge) if c is not snoop}
        found.pop(channel.id, None)
        return list(found.values())

    def _later(self, channel: Channel, seconds: float, act: Callable[[Channel], None]) -> None:
        """The channel's one timer: what happens to it next by itself."""
        channel.no_timer()
        channel.timer = asyncio.get_running_loop().call_later(seconds, act, channel)


def _voice(channel: Channel) -> str:
    return "caller" if channel.inbound else channel.number
