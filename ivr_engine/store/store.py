"""The store: transactions are plain functions, run in order on threads of their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar, cast

import structlog
from sqlalchemy import Engine, bindparam, select

from ivr_engine.domain.opt_outs import Pseudonym
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.ports import Changes, Tx
from ivr_engine.store import database, postgresql
from ivr_engine.store.connection import PSEUDONYM_OPTION
from ivr_engine.store.elsewhere import Elsewhere
from ivr_engine.store.failures import STORE_ERRORS, translated
from ivr_engine.store.lane import Lane, TransactionRunner
from ivr_engine.store.noted import Listeners
from ivr_engine.store.tables import checks
from ivr_engine.store.transaction import Broken, Done, Runner, Transaction, looking
from ivr_engine.store.upgrade import create, migrate

T = TypeVar("T")

LOOKERS: Final = 4
"""Transactions that only look, under way at once: a long report keeps one of them."""

CHECK_TIMEOUT_S: Final = 5.0
"""A store that takes longer than this to write one row is not healthy."""

CLOSE_TIMEOUT_S: Final = 10.0
"""How long closing waits for the transactions begun before."""

_log: Final = structlog.get_logger()


class ThreadedStore:
    """``ports.Store`` on threads: one that writes, some that look beside it, however long they take."""

    def __init__(
        self,
        place: str,
        runner: Callable[[], TransactionRunner],
        looker: Callable[[], TransactionRunner],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._place = place
        self._closed = False
        self._marks = itertools.count(1)
        self._listeners = Listeners()
        self._elsewhere = elsewhere
        self._writing = Lane("writing", runner, self._listeners)
        self._looking = Lane("looking", looker, self._listeners, threads=LOOKERS, group_limit=1)

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        self._raise_if_closed()
        return await self._writing.run(transaction)

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        self._raise_if_closed()
        return await self._looking.run(looking(transaction))

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._listeners.add(heard)

    async def hear_others(self) -> None:
        if self._elsewhere is None:
            await asyncio.Event().wait()
        else:
            await self._elsewhere.hear(self._listeners)

    async def check(self) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.run(write_and_read(next(self._marks)))
        except TimeoutError:
            raise Unreachable(
                f"{self._place} did not answer in {CHECK_TIMEOUT_S:.0f} s: "
                "it is locked by another program, or its disk is overloaded"
            ) from None

    async def close(self) -> None:
        """What was asked before is done first. ``Unreachable`` when that takes too long."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writing.close()  # first: a long look must keep no write from being done
                await self._looking.close()
        except TimeoutError:
            raise Unreachable(
                f"{self._place} was still busy {CLOSE_TIMEOUT_S:.0f} s after it was closed"
            ) from None

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ExternalError(f"{self._place} is closed: the engine is stopping")


class InlineStore:
    """``ports.Store`` without a thread: the transaction runs where it is asked for, so that no time
    passes in a simulation. Also keeps a database that lives in memory."""

    def __init__(self, engine: Engine, place: str, runner: TransactionRunner) -> None:
        self._engine = engine
        self._place = place
        self._runner = runner
        self._closed = False
        self._marks = itertools.count(1)
        self._listeners = Listeners()

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._listeners.add(heard)

    async def hear_others(self) -> None:
        await asyncio.Event().wait()

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        if self._closed:
            raise ExternalError(f"{self._place} is closed")
        [outcome] = self._runner.run([transaction])
        if isinstance(outcome, Done):
            self._listeners.tell(outcome.changes)
        # Others run meanwhile, and a cancelled caller learns of it here, as with threads.
        await asyncio.sleep(0)
        if isinstance(outcome, Broken):
            raise outcome.error
        return outcome.value

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self.run(looking(transaction))

    async def check(self) -> None:
        await self.run(write_and_read(next(self._marks)))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._runner.close()
            self._engine.dispose()


def connect(
    url: str,
    *,
    inline: bool = False,
    lock_timeout_s: float = database.LOCK_TIMEOUT_S,
    pseudonym: Pseudonym | None = None,
) -> ThreadedStore | InlineStore:
    """Open the database at ``url`` (made, and brought to the newest schema, where needed).

    Blocking: call it before the event loop has callers to serve. ``sqlite://`` is a database in
    memory, ``postgresql://user:password@host/name`` one of PostgreSQL. ``inline``: for simulations.
    ``pseudonym``: made with this installation's key.
    Raises ``ExternalError`` or ``Refused``, with what to do.
    """
    target = database.parsed(url)
    place = database.place(target)
    engine = database.engine(target, lock_timeout_s=lock_timeout_s)
    if pseudonym is not None:
        engine = engine.execution_options(**{PSEUDONYM_OPTION: pseudonym})
    try:
        if database.is_in_memory(target):
            return _in_memory(engine, place)
        migrate(engine, place)
    except BaseException:
        engine.dispose()
        raise
    looked_with = database.engine(target, lock_timeout_s=lock_timeout_s, looking=True)
    if database.is_postgresql(target):
        elsewhere = Elsewhere(target, place, postgresql.reach(target))
        runner, looker = (
            partial(postgresql.PostgresRunner, each, place, elsewhere) for each in (engine, looked_with)
        )
    else:
        elsewhere = None
        runner, looker = (partial(Runner, each, place) for each in (engine, looked_with))
    if inline:
        return InlineStore(engine, place, runner())
    return ThreadedStore(place, runner, looker, elsewhere)


def _in_memory(engine: Engine, place: str) -> InlineStore:
    runner = Runner(engine, place)
    try:
        create(runner.connection())
    except STORE_ERRORS as error:
        runner.close()
        raise translated(error, place) from error
    return InlineStore(engine, place, runner)


_UPDATE_MARK: Final = checks.update().where(checks.c.id == bindparam("key"))
_INSERT_MARK: Final = checks.insert()
_READ_MARK: Final = select(checks.c.mark).where(checks.c.id == bindparam("key"))


def write_and_read(number: int) -> Callable[[Tx], None]:
    """The health check's transaction: a row of its own, written and read back."""

    def transaction(tx: Tx) -> None:
        statements = cast("Transaction", tx).statements
        mark = str(number)
        if not statements.write(_UPDATE_MARK, {"key": 1, "mark": mark}):
            statements.write(_INSERT_MARK, {"id": 1, "mark": mark})
        if statements.scalar(_READ_MARK, {"key": 1}) != mark:
            raise ExternalError("the database does not return what was written to it")

    return transaction
