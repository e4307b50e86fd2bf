"""A PBX's manager interface: what its queues look like, and what becomes of callers in its dialplan.

Of all that happens in the PBX only the channels that were named (``knows``) are told of. What was missed
while the connection was down is found out by asking for every channel when it stands again.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any, Final, NoReturn

from ivr_engine.asterisk.ami_connection import SHOWN, AmiAccount, AmiConnection, connected
from ivr_engine.domain.dialplan import CHANNEL, AppQueue
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports.pbx import PbxCalls

RETRY_S: Final = 2.0
"""Before connecting again."""
PING_S: Final = 10.0
"""After so long without an event the other side is asked whether it is there."""
MOST_EVENTS: Final = 10_000
"""Not dealt with yet; above this the connection begins anew."""
_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_.+ -]{1,80}")

_Told = tuple[str, str, str]
"""Event, channel, by whom."""


class PbxWatch:
    """``ports.Pbx``. ``run`` is a service."""

    def __init__(self, account: AmiAccount) -> None:
        self._account = account
        self._known: set[str] = set()
        self._connection: AmiConnection | None = None
        self._trouble = Trouble("pbx.unseen", "pbx.seen_again")

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def knows(self, channel_id: str) -> None:
        if self.connected:
            self._known.add(channel_id)

    async def queue(self, name: str) -> AppQueue | None:
        if self._connection is None or not _QUEUE_NAME.fullmatch(name):
            return None
        with suppress(ExternalError):
            for one in await self._connection.list_of("QueueSummary", "QueueSummary", Queue=name):
                return AppQueue(
                    waiting=_number(one.callers),
                    agents=_number(one.loggedin),
                    idle=_number(one.available),
                    hold_time_s=_number(one.holdtime),
                )
        return None

    async def run(self, calls: PbxCalls) -> NoReturn:
        """For ever. Whatever the other side does is a reason to connect again."""
        while True:
            try:
                await self._watch(calls)
            except ExternalError as error:
                self._trouble.met(error, meaning="calls of the PBX stay open until it answers again")
            finally:
                self._connection = None
                self._known.clear()
            await asyncio.sleep(RETRY_S)

    async def _watch(self, calls: PbxCalls) -> NoReturn:
        told: asyncio.Queue[_Told | None] = asyncio.Queue(MOST_EVENTS + 1)

        def hear(event: Any) -> None:  # noqa: ANN401 - the library's
            channel = f"{CHANNEL}{event.uniqueid}"
            if channel in self._known:
                by = str(event.membername or event.interface)[:SHOWN]
                told.put_nowait((str(event.event), channel, by) if told.qsize() < MOST_EVENTS else None)

        def lost() -> None:
            with suppress(asyncio.QueueFull):
                told.put_nowait(None)

        connection = AmiConnection(self._account, {"Hangup": hear, "AgentConnect": hear}, lost)
        async with connected(connection):
            self._connection = connection  # before: who comes meanwhile is known
            await calls.connected(lambda: _channels(connection))
            self._trouble.over()
            while True:
                await self._tell(calls, await _next(told, connection))

    async def _tell(self, calls: PbxCalls, event: _Told | None) -> None:
        match event:
            case None:
                raise Unreachable("the manager interface of the PBX closed the connection")
            case ("Hangup", channel, _):
                self._known.discard(channel)
                await calls.hung_up(channel)
            case (_, channel, by):
                await calls.answered(channel, by)


async def _next(told: asyncio.Queue[_Told | None], connection: AmiConnection) -> _Told | None:
    while True:
        try:
            async with asyncio.timeout(PING_S):
                return await told.get()
        except TimeoutError:
            await connection.ask("Ping")


async def _channels(connection: AmiConnection) -> frozenset[str]:
    found = await connection.list_of("CoreShowChannels", "CoreShowChannel")
    return frozenset(f"{CHANNEL}{one.uniqueid}" for one in found)


def _number(text: object) -> int:
    written = str(text)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0
