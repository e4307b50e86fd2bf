"""A PBX beside the contact centre, in virtual time: its dialplan runs ``AGI()``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from ivr_engine.asterisk.agi import FastAgi
from ivr_engine.asterisk.agi_settings import AgiSettings
from ivr_engine.callflow.dialplan import DialplanCalls
from ivr_engine.domain.calls import Call
from ivr_engine.domain.dialplan import AppQueue
from tests.flow.centre import CONSENT_S, POSITION_S, SENT_S, WRONG_S, Centre, Engine
from tests.unit.fake_agi import HEADERS, FakeAgi

SOUNDS = {"consent": CONSENT_S, "sms_sent": SENT_S, "wrong_number": WRONG_S, "position": POSITION_S}


class _Pipe(asyncio.Transport):
    """One direction of a connection in memory."""

    def __init__(self, to: asyncio.StreamReader, back: asyncio.StreamReader) -> None:
        super().__init__()
        self._ends = (to, back)
        self._open = True

    def write(self, data: Any) -> None:
        if self._open and not self._ends[0].at_eof():
            self._ends[0].feed_data(bytes(data))

    def abort(self) -> None:
        self._open = False
        for end in self._ends:
            end.feed_eof()

    def close(self) -> None:
        self.abort()

    def is_closing(self) -> bool:
        return not self._open

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default


def _writer(to: asyncio.StreamReader, back: asyncio.StreamReader) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    return asyncio.StreamWriter(_Pipe(to, back), asyncio.StreamReaderProtocol(to), None, loop)


class FakePbx:
    """``ports.Pbx``; ``queues`` by name."""

    def __init__(self) -> None:
        self.connected = True
        self.known: set[str] = set()
        self.queues: dict[str, AppQueue] = {}
        self.hangs = False

    def knows(self, channel_id: str) -> None:
        self.known.add(channel_id)

    async def queue(self, name: str) -> AppQueue | None:
        if self.hangs:
            await asyncio.Event().wait()
        return self.queues.get(name)


class Lane:
    """An engine's door for visits. ``crash`` as ``kill -9`` does."""

    def __init__(self, centre: Centre, engine: Engine, pbx: FakePbx | None) -> None:
        self.calls = DialplanCalls(engine.house, engine.admission, pbx, lambda: engine.reception.calls)
        self._agi = FastAgi(AgiSettings(port=0), self.calls.receive)
        self._centre = centre
        self._stop = asyncio.Event()
        self._group: asyncio.TaskGroup
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self.calls.run())
            await asyncio.Event().wait()

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def visit(self, asterisk: FakeAgi) -> None:
        """The dialplan runs its ``AGI()`` to the end."""
        await asyncio.sleep(0)
        to_engine, to_asterisk = asyncio.StreamReader(), asyncio.StreamReader()
        self._agi.take(self._group, to_engine, _writer(to_asterisk, to_engine))
        await asterisk.talk(to_asterisk, _writer(to_engine, to_asterisk))

    async def row(self) -> Call:
        """The only call there is, or was."""
        [call] = await self._centre.all_calls()
        return call


@asynccontextmanager
async def lane(centre: Centre, pbx: FakePbx | None) -> AsyncGenerator[Lane]:
    one = Lane(centre, centre.engine(), pbx)
    try:
        yield one
    finally:
        await one.stop()


_numbers = itertools.count(1)


def caller(query: str = "queue=support", **headers: str) -> FakeAgi:
    """Somebody in the dialplan, on a channel of their own."""
    said = {
        **HEADERS,
        "agi_network_script": f"wait-sms?{query}",
        "agi_uniqueid": f"1790000000.{next(_numbers)}",
        **headers,
    }
    return FakeAgi(said, lengths=SOUNDS)
