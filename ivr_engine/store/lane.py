"""A lane of transactions to the database: threads with a connection each, which take the next that wait."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import structlog

from ivr_engine.ports import Tx
from ivr_engine.store.noted import Listeners
from ivr_engine.store.transaction import Broken, Function, Outcome

T = TypeVar("T")

GROUP_LIMIT: Final = 64
"""Transactions committed together at most: about 10 ms of work on SQLite, so that the last need not wait."""

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


class TransactionRunner(Protocol):
    """Runs transactions over a connection; one thread's own."""

    def run(self, functions: Sequence[Function]) -> list[Outcome]: ...

    def close(self) -> None: ...


class Lane:
    """What waits at the same moment, up to ``group_limit``, is committed together. With one thread
    transactions run in the order asked for.

    ``runner`` is called by each thread once. ``listeners`` hear of each commit.
    """

    def __init__(
        self,
        name: str,
        runner: Callable[[], TransactionRunner],
        listeners: Listeners,
        *,
        threads: int = 1,
        group_limit: int = GROUP_LIMIT,
    ) -> None:
        self._runner = runner
        self._listeners = listeners
        self._group_limit = group_limit
        self._jobs: queue.SimpleQueue[_Job | _Stop] = queue.SimpleQueue()
        self._gather_s = GATHER_S
        self._not_before = 0.0
        self._last_askers = frozenset[int]()
        self._threads = [
            threading.Thread(target=self._work, name=f"store-{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, function: Callable[[Tx], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(function, loop, future, id(asyncio.current_task())))
        return await future

    async def close(self) -> None:
        """What was asked before is done first."""
        loop = asyncio.get_running_loop()
        stops = [_Stop(loop, loop.create_future()) for _ in self._threads]
        for stop in stops:
            self._jobs.put(stop)
        for stop in stops:
            await stop.stopped
        for thread in self._threads:
            thread.join()  # at its last line: nothing to wait for

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
