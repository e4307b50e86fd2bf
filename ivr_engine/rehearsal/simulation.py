"""Simulates a day: the engine's own call flow and queues, on the simulated telephone system, in virtual
time."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from ivr_engine.domain.events import Event
from ivr_engine.domain.wait_watch import QueueReport
from ivr_engine.ports import Prompts, Tx
from ivr_engine.rehearsal.centre import Centre, Pace, open_centre
from ivr_engine.rehearsal.crowd import (
    Habits,
    Numbers,
    Repliers,
    SimulatedAgent,
    SimulatedCaller,
    bring_back,
    people,
)
from ivr_engine.rehearsal.day import HOUR_S, Answering, Callers, Day
from ivr_engine.sim import clock
from ivr_engine.sim.people import call
from ivr_engine.site.models import Site

DAY_S: Final = 24 * HOUR_S
AFTERWARDS_S: Final = 2 * HOUR_S
"""After midnight, for calls that are not over."""
TELL_EVERY_S: Final = 900.0
"""Of virtual time: how often progress is told."""

SELDOM: Final = Pace(outbox_s=300.0, media_s=300.0, voicemail_s=300.0, instant=True)
_PAGE: Final = 20_000

Progress = Callable[[float, int], None]
"""Told the share of the day that is over, and the calls so far."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What happened, in order, and how the wait estimates came out."""

    events: list[Event]
    estimates: dict[str, QueueReport]


def simulate(day: Day, site: Site, prompts: Prompts, progress: Progress) -> Simulated:
    """The same ``day`` always goes the same way. ``site``: as it is on that day (``crowd.on_that_day``)."""
    with tempfile.TemporaryDirectory(prefix="ivr-simulate-") as folder, _spared_collector():
        simulation = _simulated(day, site, prompts, Path(folder), progress)
        return clock.run(simulation, seed=day.seed, inline=True)


@contextmanager
def _spared_collector() -> Generator[None]:
    """Calls leave little behind in cycles."""
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(50_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _simulated(day: Day, site: Site, prompts: Prompts, folder: Path, progress: Progress) -> Simulated:
    start = day.midnight.astimezone(UTC)
    async with open_centre(site, prompts, folder, start=start, pace=SELDOM) as centre:
        async with asyncio.TaskGroup() as group:
            running = _Running(day, centre, group)
            await running.until_over(progress)
        await centre.engine.estimates.refresh()
        return Simulated(await _events(centre), centre.engine.estimates.report())


class _Running:
    """A day in progress. Every kind of chance has its own source: more agents do not change who calls."""

    def __init__(self, day: Day, centre: Centre, group: asyncio.TaskGroup) -> None:
        self._day = day
        self._centre = centre
        self._group = group
        self._calls = 0
        self._sms_of: dict[str, Callers] = {}
        self._helpers: list[asyncio.Task[None]] = []

    async def until_over(self, progress: Progress) -> None:
        day, centre = self._day, self._centre
        agents = {
            name: SimulatedAgent(name, group, centre, self._chance(f"agent {name}"))
            for name, group in people(day).items()
        }
        centre.post.delivered = Repliers(self._sms, centre, self._start, self._chance("replies")).got
        self._helpers.append(self._start(bring_back(agents, centre, self._start)))
        self._helpers.append(self._start(self._tell(progress)))
        for agent in agents.values():
            self._helpers.append(self._start(agent.work(self._now_s)))
        numbers = Numbers(centre.site.country)
        arriving = [self._start(self._arrive(callers, n, numbers)) for n, callers in enumerate(day.callers)]
        await asyncio.wait(arriving)
        await asyncio.sleep(max(0.0, DAY_S - self._now_s()))
        await asyncio.wait([self._start(centre.engine.reception.empty())], timeout=AFTERWARDS_S)
        progress(1.0, self._calls)
        for task in self._helpers:
            task.cancel()

    async def _arrive(self, callers: Callers, group: int, numbers: Numbers) -> None:
        habits = Habits(callers, self._centre.site)
        chance, people_s = self._chance(f"arrivals {group}"), self._chance(f"callers {group}")
        for at in self._day.arrivals(callers, chance):
            await asyncio.sleep(max(0.0, at - self._now_s()))
            number = numbers.next(mobile=chance.random() < callers.mobile)
            self._sms_of[number] = callers
            SimulatedCaller(
                await call(self._centre.switch, number, callers.number),
                habits,
                random.Random(people_s.getrandbits(64)),  # noqa: S311
            )
            self._calls += 1

    async def _tell(self, progress: Progress) -> None:
        while True:
            progress(min(1.0, self._now_s() / DAY_S), self._calls)
            await asyncio.sleep(TELL_EVERY_S)

    def _sms(self, number: str) -> Answering:
        return self._sms_of[number].sms

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    def _chance(self, of: str) -> random.Random:
        return random.Random(f"{self._day.seed} {of}")  # noqa: S311  repeatable

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


async def _events(centre: Centre) -> list[Event]:
    found: list[Event] = []

    def read_on(tx: Tx) -> list[Event]:
        return tx.events.after(found[-1].id if found else 0, _PAGE)

    while page := await centre.store.run(read_on):
        found += page
    return found
