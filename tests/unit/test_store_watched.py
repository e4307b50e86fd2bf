"""A database that is lost and found again is told once each, by whoever notices first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from ivr_engine.errors import ExternalError, OutcomeUnknown, Refused, Unreachable
from ivr_engine.ports import Changes, Tx
from ivr_engine.sim import clock
from ivr_engine.store import WatchedStore, connect
from ivr_engine.store.failures import Conflict

T = TypeVar("T")

FULL = ExternalError("the disk is full: nothing can be written; make room on it")


class FaultyStore:
    """``ports.Store`` in memory; ``fault`` is raised by what writes, ``read_too`` also by what reads."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.read_too = True
        self._store = connect("sqlite://")

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        if self.fault is not None and self.read_too:
            raise self.fault
        return await self._store.run(transaction)

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self.run(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def hear_others(self) -> None:
        await self._store.hear_others()

    async def check(self) -> None:
        if self.fault is not None:
            raise self.fault
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()


@pytest.fixture(name="lines")
def _lines() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as lines:
        yield lines  # type: ignore[misc]


@asynccontextmanager
async def watched() -> AsyncGenerator[tuple[WatchedStore, FaultyStore]]:
    inner = FaultyStore()
    store = WatchedStore(inner)
    watching = asyncio.create_task(store.watch())
    try:
        yield store, inner
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await store.close()


def looks(tx: Tx) -> int:
    return len(tx.calls.open())


async def many_fail(store: WatchedStore, error: Exception) -> None:
    for _ in range(50):
        with pytest.raises(type(error)):
            await store.run(looks)


@pytest.mark.parametrize("fault", [Unreachable("gone"), FULL, OutcomeUnknown("in a commit")])
def test_a_line_when_it_is_lost_and_one_when_it_is_back(
    fault: ExternalError, lines: list[dict[str, object]]
) -> None:
    async def story() -> None:
        async with watched() as (store, inner):
            for _ in range(2):
                inner.fault = fault
                await many_fail(store, fault)
                await asyncio.sleep(30)
                await many_fail(store, fault)
                inner.fault = None
                await asyncio.sleep(2)  # found by the watch alone: nobody calls
                assert await store.run(looks) == 0

    clock.run(story())
    assert [line["event"] for line in lines] == ["store.lost", "store.back"] * 2
    assert lines[0]["error"] == str(fault)
    assert lines[1]["away_s"] == pytest.approx(30, abs=1.1)


def test_a_full_disk_that_can_be_read_is_not_back(lines: list[dict[str, object]]) -> None:
    async def story() -> None:
        async with watched() as (store, inner):
            inner.fault, inner.read_too = FULL, False
            with pytest.raises(ExternalError):
                await store.check()
            for _ in range(10):
                await store.run(looks)
                await asyncio.sleep(1)

    clock.run(story())
    assert [line["event"] for line in lines] == ["store.lost"]


@pytest.mark.parametrize("fault", [Refused("no such call"), Conflict("try again")])
def test_what_is_no_loss_is_not_told(fault: Exception, lines: list[dict[str, object]]) -> None:
    async def story() -> None:
        async with watched() as (store, inner):
            inner.fault = fault
            await many_fail(store, fault)

    clock.run(story())
    assert lines == []


def test_a_store_closed_by_the_engine_is_not_lost(lines: list[dict[str, object]]) -> None:
    async def story() -> None:
        async with watched() as (store, _):
            await store.close()
            with pytest.raises(ExternalError, match="closed"):
                await store.run(looks)

    clock.run(story())
    assert lines == []
