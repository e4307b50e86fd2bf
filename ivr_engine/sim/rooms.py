"""Who is with whom in the simulated telephone system, and what each hears."""

from __future__ import annotations

from collections.abc import Sequence

from ivr_engine.sim.channel import Channel


class Rooms:
    """Bridges, and channels that listen in. ``channels`` are the telephone system's, by id."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self.bridges: dict[str, str | None] = {}
        """Music class by bridge id; ``None`` for a bridge to talk in."""
        self._channels = channels
        self._snooping: set[str] = set()

    def hold(self, channel: Channel, music: str) -> None:
        bridge = f"hold-{music}"
        self.bridges[bridge] = music
        self._into_bridge(channel, bridge)

    def mix(self, bridge: str, channels: Sequence[Channel]) -> None:
        self.bridges[bridge] = None
        for channel in channels:
            self._into_bridge(channel, bridge)

    def leave(self, channel: Channel) -> None:
        """Fine when it is in none."""
        bridge, channel.bridge = channel.bridge, None
        self.heard(channel)
        if bridge is not None:
            self._all_heard(bridge)

    def end(self, bridge: str) -> None:
        for channel in self.members(bridge):
            self.leave(channel)
        self.bridges.pop(bridge, None)

    def mute(self, channel: Channel, on: bool) -> None:
        channel.muted = on
        if channel.bridge is not None:
            self._all_heard(channel.bridge)

    def snoop(self, target: Channel, snoop_id: str, app: str, bridge: str, *, whisper: bool) -> None:
        """A channel in ``bridge`` through which its members hear what ``target`` says and hears."""
        if snoop_id not in self._channels:
            snoop = Channel(id=snoop_id, caller="", number="", inbound=False, up=True, app=app)
            snoop.snoops = target.id, whisper
            self._channels[snoop_id] = snoop
            self._snooping.add(snoop_id)
        self.mix(bridge, [self._channels[snoop_id]])
        self.heard(target)

    def members(self, bridge: str) -> list[Channel]:
        return [c for c in self._channels.values() if c.bridge == bridge]

    def gone(self, channel: Channel) -> None:
        """It has ended."""
        self._snooping.discard(channel.id)
        self.leave(channel)

    def listening_to(self, channel: Channel) -> list[Channel]:
        return [c for c in self._snoops() if c.snoops and c.snoops[0] == channel.id]

    def _into_bridge(self, channel: Channel, bridge: str) -> None:
        if channel.bridge == bridge:
            return
        self.leave(channel)
        channel.bridge = bridge
        self._all_heard(bridge)

    # ── who hears what ───────────────────────────────────────────────────────────────────────────

    def heard(self, channel: Channel) -> None:
        """Something has changed: what does it hear now?"""
        channel.ears.hear(self._sound(channel))

    def _all_heard(self, bridge: str) -> None:
        members = self.members(bridge)
        for channel in members:
            self.heard(channel)
        for snoop in self._snoops():
            target = self._channels.get(snoop.snoops[0]) if snoop.snoops else None
            if target in members and snoop.bridge is not None:
                self._all_heard(snoop.bridge)
            elif snoop in members and target is not None:
                self.heard(target)

    def _snoops(self) -> list[Channel]:
        return [self._channels[one] for one in sorted(self._snooping) if one in self._channels]

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
            target = self._channels.get(other.snoops[0]) if other.snoops else None
            heard = [other] if target is None else [target, *self._voices(target)]
            found |= {c.id: c for c in heard if not c.muted and not c.snoops}
        for snoop in self._snoops():
            if snoop.snoops == (channel.id, True) and snoop.bridge is not None:
                found |= {c.id: c for c in self.members(snoop.bridge) if c is not snoop}
        found.pop(channel.id, None)
        return list(found.values())


def _voice(channel: Channel) -> str:
    return "caller" if channel.inbound else channel.number
