"""Bridges: where callers wait to music that plays by itself, and where people hear each other.

Music belongs to the holding bridge, not to the channel: a prompt played to one caller is followed by
the music again, also when no engine is there to start it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from zlib import crc32

import structlog

from ivr_engine.asterisk.ari_client import AriClient
from ivr_engine.asterisk.ari_models import Bridge
from ivr_engine.asterisk.ari_operations import Bridges
from ivr_engine.asterisk.leg import AriLeg
from ivr_engine.errors import CallEnded, ExternalError, Gone, NotInStasis, Rejected

log = structlog.get_logger()

ROOMS = 16
"""Of each music. 1,000 callers are some 60 in each."""


class Rooms:
    """The bridges of one engine. ``application`` begins each id, so that engines do not share them."""

    def __init__(self, client: AriClient, application: str) -> None:
        self._client = client
        self._application = application
        self._music_prefix = f"{application}-music-"
        self._playing: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    def took_stock(self, bridges: Mapping[str, frozenset[str]]) -> None:
        """After connecting. A bridge with members plays already: starting its music again is heard."""
        self._playing = {bridge for bridge, members in bridges.items() if members}

    async def park(self, leg: AriLeg, music: str) -> None:
        room = self._room_for(leg, music)
        await self._open_music(room, music)
        try:
            await self._add(room, [leg])
        except Gone:
            # The bridge was taken away behind our back: make it again, once.
            self._playing.discard(room)
            await self._open_music(room, music)
            await self._add(room, [leg])

    def _room_for(self, leg: AriLeg, music: str) -> str:
        """Callers are spread over several rooms of one music: all members of a bridge share its lock, and in
        one room with hundreds a key is told late. The same caller always waits in the same room."""
        return f"{self._music_prefix}{music}-{crc32(leg.id.encode()) % ROOMS}"

    def needs_music(self, bridge: Bridge) -> bool:
        """Whether somebody has come alone into a room for waiting. Asterisk ends the music of a holding
        bridge when the last caller leaves, and does not say so; whoever comes next would hear nothing."""
        return bridge.id.startswith(self._music_prefix) and len(bridge.channels) == 1

    async def play_again(self, room: str) -> None:
        try:
            music = room.removeprefix(self._music_prefix).rpartition("-")[0]
            await self._client.bridges.start_moh(bridge_id=room, moh_class=music)
        except ExternalError as error:
            log.warning("music.not_started", bridge=room, why=str(error))

    async def connect(self, room: str, legs: Sequence[AriLeg]) -> None:
        """Raises ``Gone`` when a leg is not there any more; the others stay where they are."""
        await self._open(room, "mixing")
        try:
            await self._add(room, legs)
        except CallEnded as error:
            raise Gone("a leg hung up before it was connected") from error

    async def overhear(self, target: AriLeg, by: AriLeg, snoop: AriLeg, room: str, *, whisper: bool) -> None:
        """``snoop`` is made unless it is there; ``application`` gets it."""
        await self._open(room, "mixing")
        # 400: there is a channel of that id already, from before.
        with suppress(Rejected, NotInStasis):
            await self._client.channels.snoop_channel_with_id(
                channel_id=target.id,
                snoop_id=snoop.id,
                spy="both",
                whisper="out" if whisper else "none",
                app=self._application,
            )
        await snoop.in_application()
        await self._add(room, [by, snoop])

    async def record(self, room: str, name: str, longest_s: int) -> None:
        # 409: it is going on, or over.
        with suppress(NotInStasis):
            await Bridges(self._client.slow).record(
                bridge_id=room, name=name, format="wav", max_duration_seconds=longest_s, if_exists="fail"
            )

    async def end_recording(self, name: str) -> None:
        # 409: it is over already, and Asterisk is about to put it away.
        with suppress(Gone, NotInStasis):
            await self._client.recordings.stop(recording_name=name)

    async def end(self, room: str, legs: Iterable[AriLeg]) -> None:
        for leg in legs:
            if leg.bridge == room:
                leg.bridge = None
        # 409: Asterisk is about to take it away, or it is not a bridge of ours any more.
        with suppress(Gone, NotInStasis):
            await self._client.bridges.destroy(bridge_id=room)

    async def _open_music(self, room: str, music: str) -> None:
        async with self._locks.setdefault(room, asyncio.Lock()):
            if room in self._playing:
                return
            await self._open(room, "holding")
            await self._client.bridges.start_moh(bridge_id=room, moh_class=music)
            self._playing.add(room)

    async def _open(self, room: str, kind: str) -> None:
        # 409: it is there already, from before or from the engine that was here before.
        with suppress(NotInStasis):
            await self._client.bridges.create_with_id(bridge_id=room, type=kind)

    async def _add(self, room: str, legs: Sequence[AriLeg]) -> None:
        """All or none. ``Gone``: the bridge is. ``CallEnded``: a leg is, or is not ours any more.

        Over HTTP: Asterisk waits for the channel's thread, and on the socket everybody would wait with it.
        """
        try:
            moving = [leg.id for leg in legs if leg.bridge != room]
            if moving:
                await Bridges(self._client.slow).add_channel(bridge_id=room, channel=moving)
        except (Rejected, NotInStasis):
            # 400 and 422 do not say which channel is gone, nor whether one is: the channels know.
            for leg in legs:
                await leg.check()
            raise
        for leg in legs:
            leg.bridge = room
