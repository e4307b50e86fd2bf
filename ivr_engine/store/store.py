"""The store: transactions are plain functions, run in order on threads of their own."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

import structlog
from sqlalchemy import Engine, bindparam, select

from ivr_engine.domain.opt_outs import Pseudonym
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.ports import Changes, Tx
from ivr_engine.store import database, postgresql
from ivr_engine.store.connection import PSEUDONYM_OPTION
from ivr_engine.store.elsewhere import Elsewhere
from ivr_engine.store.failures import STORE_ERRORS, translated
from ivr_engine.store.noted import Listeners
from ivr_engine.store.tables import checks
from ivr_engine.store.transaction import Broken, Done, Function, Outcome, Runner, Transaction
from ivr_engine.store.upgrade import create, migrate

T = TypeVar("T")

GROUP_LIMIT: Final = 64
"""Transactions committed together at most: about 10 ms of work, so that the last does not wait long."""

GATHER_S: Final = 0.02
"""After a commit the next waits so long for company. Only under load is there one so soon: then a commit
(a write to the disk, two threads woken) costs more than what is in it. Nobody on the line notices: a key
stops the prompt before it is stored. A task that goes on from one transaction to its next is not made to
wait: it has no company."""

GATHER_EACH_S: Final = 0.004
"""The more there were in the last commit, the longer the next waits: above 250 transactions a second ever
longer, until …"""

GATHER_MOST_S: Final = 0.05
"""… twenty commits a second."""

COMPANY_ENOUGH: Final = 16
"""So many are worth a commit without waiting for more."""

CHECK_TIMEOUT_S: Final = 5.0
"""A store that takes longer than this to write one row is not healthy."""

CLOSE_TIMEOUT_S: Final = 10.0
"""How long closing waits for the transactions begun before."""

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Job:
    function: Function
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    asker: int
    """Which task asked."""


@dataclass(frozen=True, slots=True)
class _Stop:
    loop: asyncio.AbstractEventLoop
    stopped: asyncio.Future[None]


class _Runner(Protocol):
    """Runs transactions over a connection; one thread's own."""

    def run(self, functions: Sequence[Function]) -> list[Outcome]: ...

    def close(self) -> None: ...


class ThreadedStore:
    """``ports.Store`` on threads. With one thread (SQLite has one writer) what waits at the same
    moment is committed together."""

    def __init__(
        self,
        engine: Engine,
        place: str,
        runner: Callable[[], _Runner],
        *,
        threads: int,
        group_limit: int,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._engine = engine
        self._place = place
        self._runner = runner
        self._group_limit = group_limit
        self._jobs: queue.SimpleQueue[_Job | _Stop] = queue.SimpleQueue()
        self._closed = False
        self._marks = itertools.count(1)
        self._gather_s = GATHER_S
        self._not_before = 0.0
        self._last_askers = frozenset[int]()
        self._listeners = Listeners()
        self._elsewhere = elsewhere
        self._threads = [
            threading.Thread(target=self._work, name=f"store-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        if self._closed:
            raise ExternalError(f"{self._place} is closed: the engine is stopping")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(transaction, loop, future, id(asyncio.current_task())))
        return await future

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
        loop = asyncio.get_running_loop()
        stops = [_Stop(loop, loop.create_future()) for _ in self._threads]
        for stop in stops:
            self._jobs.put(stop)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for stop in stops:
                    await stop.stopped
        except TimeoutError:
            raise Unreachable(
                f"{self._place} was still busy {CLOSE_TIMEOUT_S:.0f} s after it was closed"
            ) from None
        for thread in self._threads:
            thread.join()  # at its last line: nothing to wait for
        self._engine.dispose()

    def _work(self) -> None:
        runner = self._runner()
        stop: _Stop | None = None
        while stop is None:
            jobs, stop = self._next_group()
            if jobs:
                outcomes = runner.run([job.function for job in jobs])
                self._rest_after(jobs)
                self._deliver(jobs, outcomes)
        try:
            runner.close()
        finally:
            _call(stop.loop, _settle, stop.stopped)

    def _deliver(self, jobs: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
        """One wake-up of the event loop for the whole group."""
        for loop in {job.loop for job in jobs}:
            mine = [
                (job.future, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if job.loop is loop
            ]
            _call(loop, self._settle_all, mine)

    def _settle_all(self, results: Sequence[tuple[asyncio.Future[Any], Outcome]]) -> None:
        for future, outcome in results:
            if isinstance(outcome, Broken):
                _fail(future, outcome.error)
                continue
            self._listeners.tell(outcome.changes)
            if not future.done():
                future.set_result(outcome.value)

    def _next_group(self) -> tuple[list[_Job], _Stop | None]:
        """Waits for one, then takes what else is there."""
        jobs: list[_Job] = []
        try:
            item = self._jobs.get()
            if isinstance(item, _Job) and self._expects_company(item):
                time.sleep(max(0.0, self._not_before - time.monotonic()))
            while True:
                if isinstance(item, _Stop):
                    return jobs, item
                jobs.append(item)
                if len(jobs) >= self._group_limit:
                    return jobs, None
                item = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, None

    def _rest_after(self, jobs: Sequence[_Job]) -> None:
        """How long the next is to wait. A task that went on says nothing of how many come."""
        askers = frozenset(job.asker for job in jobs)
        if not askers <= self._last_askers:
            self._gather_s = min(max(GATHER_S, GATHER_EACH_S * len(jobs)), GATHER_MOST_S)
        self._not_before = time.monotonic() + self._gather_s
        self._last_askers = askers

    def _expects_company(self, job: _Job) -> bool:
        enough = min(COMPANY_ENOUGH, self._group_limit)
        return job.asker not in self._last_askers and self._jobs.qsize() < enough - 1


class InlineStore:
    """``ports.Store`` without a thread: the transaction runs where it is asked for, so that no time
    passes in a simulation. Also keeps a database that lives in memory."""

    def __init__(self, engine: Engine, place: str, runner: _Runner) -> None:
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
    runner, threads, group_limit, elsewhere = partial(Runner, engine, place), 1, GROUP_LIMIT, None
    if database.is_postgresql(target):
        elsewhere = Elsewhere(target, place, postgresql.reach(target))
        runner = partial(postgresql.PostgresRunner, engine, place, postgresql.Server(), elsewhere)
        threads, group_limit = postgresql.THREADS, 1
    if inline:
        return InlineStore(engine, place, runner())
    return ThreadedStore(engine, place, runner, threads=threads, group_limit=group_limit, elsewhere=elsewhere)


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


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        # The loop was closed without waiting for the store; what was committed stays committed.
        _log.warning("store.result_unheard")


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if future.done():
        _log.warning("store.error_unheard", error=str(error), kind=type(error).__name__)
    elif isinstance(error, StopIteration):  # a future cannot carry it
        future.set_exception(RuntimeError(f"the transaction raised {error!r}"))
    else:
        future.set_exception(error)
