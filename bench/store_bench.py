"""What a transaction costs: CPU (all threads of the process) and time, alone and grouped.

python bench/store_bench.py [seconds per row] [folder for the database, or URL of an empty one]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import PositionAnnounced, QueueEntered
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect

NOW = datetime(2025, 3, 1, tzinfo=UTC)
OPEN_CALLS = 1000
ROUND = 500
"""Transactions between two looks at the clock."""

Work = Callable[[int], Callable[[Tx], object]]


@dataclass(frozen=True)
class Cost:
    cpu_ms: float
    rate: float
    p50_ms: float
    p99_ms: float


def a_call(number: int) -> Call:
    return Call(
        id=f"call-{number:08}",
        engine="ivr-1",
        channel_id=f"channel-{number}",
        caller=f"+49151{number:08}",
        number="700",
        queue="support",
        language="de",
        started_at=NOW,
    ).entered(NOW + timedelta(milliseconds=number), 5)


def _moved(call: Call) -> Call:
    return call.at(Chapter.WAITING if call.chapter is Chapter.ANNOUNCING else Chapter.ANNOUNCING)


def reading(number: int) -> Callable[[Tx], object]:
    name = a_call(number % OPEN_CALLS).id
    return lambda tx: tx.calls.get(name)


def two_statements(number: int) -> Callable[[Tx], object]:
    """The usual change of state: read the call, write it back."""
    name = a_call(number % OPEN_CALLS).id
    return lambda tx: tx.calls.save(_moved(tx.calls.get(name)))


def a_step(number: int) -> Callable[[Tx], object]:
    """Read the call, count who is ahead, write it back, add two events."""
    name = a_call(number % OPEN_CALLS).id

    def transaction(tx: Tx) -> None:
        call = tx.calls.get(name)
        ahead = tx.calls.ahead(call)
        tx.calls.save(_moved(call))
        tx.events.add(NOW, name, PositionAnnounced(ahead + 1), QueueEntered("support", ahead + 1))

    return transaction


async def one_round(store: Store, work: Work, at_once: int) -> Cost:
    times: list[float] = []

    async def one_after_another(first: int) -> None:
        for number in range(first, ROUND, at_once):
            began = time.perf_counter()
            await store.run(work(number))
            times.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for first in range(at_once):
            group.create_task(one_after_another(first))
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    times.sort()
    return Cost(
        cpu_ms=1000 * cpu / ROUND,
        rate=ROUND / took,
        p50_ms=1000 * times[ROUND // 2],
        p99_ms=1000 * times[int(ROUND * 0.99)],
    )


async def best(store: Store, work: Work, at_once: int, seconds: float) -> Cost:
    """The best round: the others met something else that ran on the machine."""
    rounds: list[Cost] = []
    end = time.perf_counter() + seconds
    while not rounds or time.perf_counter() < end:
        rounds.append(await one_round(store, work, at_once))
    return min(rounds, key=lambda cost: cost.cpu_ms)


async def main(seconds: float, where: str | None) -> None:
    table = Table("transaction", "at once", "CPU ms", "a second", "p50 ms", "p99 ms")
    works: dict[str, Work] = {"read": reading, "read, write": two_statements, "2 reads, 3 rows": a_step}
    by_url = where is not None and "://" in where
    with tempfile.TemporaryDirectory(dir=None if by_url else where) as place:
        store = connect(where if where and by_url else f"sqlite:///{Path(place)}/bench.db")
        await store.run(lambda tx: [tx.calls.add(a_call(number)) for number in range(OPEN_CALLS)])
        for name, work in works.items():
            for at_once in (1, 10, 100):
                cost = await best(store, work, at_once, seconds)
                figures = f"{cost.cpu_ms:.2f} {cost.rate:,.0f} {cost.p50_ms:.2f} {cost.p99_ms:.2f}"
                table.add_row(name, str(at_once), *figures.split())
        await store.close()
    Console(width=90).print(table)


if __name__ == "__main__":
    arguments = [*sys.argv[1:], None, None]
    asyncio.run(main(float(arguments[0] or 3), arguments[1]))
