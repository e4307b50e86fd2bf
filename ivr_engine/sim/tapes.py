"""What is recorded in the simulated telephone system: callers' messages, and talks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ivr_engine.errors import Gone, NotUp
from ivr_engine.sim.channel import Channel
from ivr_engine.sim.rooms import Rooms
from ivr_engine.sim.wire import RecordingEnded, WireEvent


class Tapes:
    """Callers speak as long as they are recorded, unless it is known until when. ``tell`` the engine."""

    def __init__(
        self, channels: Mapping[str, Channel], rooms: Rooms, tell: Callable[[Channel, WireEvent], None]
    ) -> None:
        self._channels = channels
        self._rooms = rooms
        self._tell = tell
        self.recorded: dict[str, float] = {}
        """Seconds by name, of recordings that are over."""
        self._taped: dict[str, tuple[str, float]] = {}
        """Of talks being recorded: the bridge, and since when, by name."""

    def record(self, channel: Channel, name: str, longest_s: float, silence_s: float) -> None:
        """Begun once: asked for again, it goes on, or its end is told."""
        if channel.recording is not None and channel.recording[0] == name:
            return
        if name in self.recorded:
            self._tell(channel, RecordingEnded(channel.id, name))
            return
        if not channel.up:
            raise NotUp(f"channel {channel.id} is not answered")
        self._rooms.leave(channel)
        now = asyncio.get_running_loop().time()
        channel.recording = name, now
        channel.later(longest_s, self.over)
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
                self.over(channel)

        look()

    def speak(self, channel: Channel, seconds: float) -> None:
        """The caller speaks from now on for so long, and is silent before and after."""
        channel.speaks_until = asyncio.get_running_loop().time() + seconds

    def over(self, channel: Channel) -> None:
        """Its recording, if any, ends."""
        if channel.recording is None:
            return
        name, since = channel.recording
        channel.recording = None
        channel.no_timer()
        self.recorded[name] = asyncio.get_running_loop().time() - since
        self._tell(channel, RecordingEnded(channel.id, name))

    def tape(self, bridge: str, name: str, longest_s: float) -> None:
        """Record a talk. Begun once, as ``record``."""
        if name in self._taped or name in self.recorded:
            return
        if bridge not in self._rooms.bridges:
            raise Gone(f"no bridge {bridge}")
        self._taped[name] = bridge, asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_later(longest_s, self.end_taping, name)

    def end_taping(self, name: str) -> None:
        if taped := self._taped.pop(name, None):
            self.recorded[name] = asyncio.get_running_loop().time() - taped[1]

    def end_of(self, bridge: str) -> None:
        for name in [name for name, (room, _) in self._taped.items() if room == bridge]:
            self.end_taping(name)

    def is_recording(self, name: str) -> bool:
        return name in self._taped or any(
            c.recording and c.recording[0] == name for c in self._channels.values()
        )
