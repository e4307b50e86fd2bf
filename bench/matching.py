"""What one match costs: an agent becomes free, the decision, and the transaction that carries it out.

python -m bench.matching [--scale N] [--matches N] [--database URL of an empty one]

``--scale 10`` measures ten times the agents, callers and queues.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import structlog
from rich.console import Console
from rich.table import Table

from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call
from ivr_engine.domain.records import replace
from ivr_engine.ports import Prompts, Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect

NOW = datetime(2025, 3, 1, tzinfo=UTC)
AGENTS, WAITING, QUEUES, SKILLS = 1_000, 10_000, 100, 12
STRATEGIES = ("longest_idle", "round_robin", "fewest_calls", "best_skill", "linear")
WARM_UP = 100


class Now:
    """Callers have waited from no time at all to half an hour: every step of the overflow is in use."""

    def now(self) -> datetime:
        return NOW + timedelta(minutes=30)


@dataclass(frozen=True)
class Figures:
    """Milliseconds, but for ``build_s`` and ``lines``. ``inside``: the function that the transaction runs, so
    without the commit; ``cpu``: of all threads, with the agent's coming back."""

    build_s: float
    p50: float
    p99: float
    worst: float
    inside_p99: float
    cpu: float
    lines: int


def site(scale: int, dice: random.Random) -> Site:
    """Queues whose agents and skills overlap: each agent serves three to eight queues and has two to five
    skills; a third of the queues require one, and half of them overflow to three others."""
    queues = [f"q{n}" for n in range(QUEUES * scale)]
    skills = [f"s{n}" for n in range(SKILLS)]

    def queue(name: str) -> dict[str, Any]:
        own: dict[str, Any] = {"label": name, "strategy": dice.choice(STRATEGIES)}
        if dice.random() < 1 / 3:
            own["skills"] = {dice.choice(skills): dice.randint(1, 6)}
        if dice.random() < 1 / 2:
            steps = [{"after": 120, "queues": dice.sample(queues, 3)}]
            steps += [{"after": 600, "skills": {skill: 1 for skill in own.get("skills", {})}}]
            own["overflow"] = steps
        return own

    def agent(name: str) -> dict[str, Any]:
        levels = {skill: dice.randint(1, 10) for skill in dice.sample(skills, dice.randint(2, 5))}
        return {"label": name, "queues": dice.sample(queues, dice.randint(3, 8)), "skills": levels}

    return Site.model_validate(
        {
            "brand": "Bench",
            "country": "DE",
            "default_language": "en",
            "languages": ["en"],
            "wait_time_sms": {"text": {"en": "{brand}"}},
            "sms": {"sender": "+4930123456"},
            "numbers": {"700": {"queue": "q0"}},
            "skills": {skill: skill for skill in skills},
            "queues": {name: queue(name) for name in queues},
            "agents": {f"a{n}": agent(f"a{n}") for n in range(AGENTS * scale)},
        }
    )


def callers(scale: int, dice: random.Random) -> list[Call]:
    """A tenth of them require a skill beside what their queue does, a tenth have a priority."""

    def caller(number: int) -> Call:
        came = NOW + timedelta(seconds=dice.uniform(0, 1800))
        call = Call(
            id=f"call-{number:08}",
            engine="bench",
            channel_id=f"channel-{number}",
            caller=f"+49151{number:08}",
            number="700",
            queue=f"q{dice.randrange(QUEUES * scale)}",
            language="de",
            started_at=came,
            priority=dice.choice((0,) * 9 + (5,)),
        ).entered(came, 30)
        wanted = {f"s{dice.randrange(SKILLS)}": dice.randint(1, 4)} if dice.random() < 0.1 else {}
        return replace(call, routing=call.routing.requiring(wanted))

    return [caller(number) for number in range(WAITING * scale)]


class TimedStore:
    """Times what is decided and written inside the transaction, beside what all of it takes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.listen = store.listen
        self.inside: list[float] = []

    async def run(self, transaction: Any) -> Any:  # noqa: ANN401 - whatever it returns
        def timed(tx: Tx) -> object:
            began = time.perf_counter()
            result = transaction(tx)
            self.inside.append(time.perf_counter() - began)
            return result

        return await self._store.run(timed)


async def measure(store: Store, scale: int, matches: int) -> Figures:
    dice = random.Random(4711)
    settings, waiting = site(scale, dice), callers(scale, dice)
    busy = [
        Agent(name=name, state=AgentState.ON_BREAK, since=NOW, taken=dice.randrange(20))
        for name in settings.agents
    ]
    for start in range(0, len(waiting), 1000):
        await store.run(lambda tx, part=waiting[start : start + 1000]: [tx.calls.add(call) for call in part])
    await store.run(lambda tx: [tx.agents.save(agent) for agent in busy])
    timed, ids = TimedStore(store), iter(range(10**9))
    in_force = SiteNow(InForce(settings, cast(Prompts, None)))
    line = Dispatcher(in_force, cast(Store, timed), Now(), lambda: f"offer-{next(ids)}")
    for call in waiting:
        line.hold(call.id)
    began = time.perf_counter()
    await line._match()  # pyright: ignore[reportPrivateUsage]
    build_s = time.perf_counter() - began
    standing = line._standing  # pyright: ignore[reportPrivateUsage]
    assert standing is not None
    lines = len({one.need for one in standing.board.waiting.values()})
    gc.collect()
    gc.freeze()
    cpu = time.process_time()
    times = await _one_by_one(store, line, dice.sample(busy, min(matches + WARM_UP, len(busy))))
    cpu = time.process_time() - cpu
    inside = sorted(timed.inside[-len(times) :])
    times.sort()
    return Figures(
        build_s=build_s,
        p50=1000 * times[len(times) // 2],
        p99=1000 * times[int(len(times) * 0.99)],
        worst=1000 * times[-1],
        inside_p99=1000 * inside[int(len(inside) * 0.99)],
        cpu=1000 * cpu / (len(times) + WARM_UP),
        lines=lines,
    )


async def _one_by_one(store: Store, line: Dispatcher, agents: list[Agent]) -> list[float]:
    """Each agent comes back, and is offered somebody before the next one does."""
    times: list[float] = []
    for agent in agents:
        back = agent.back(NOW)
        await store.run(lambda tx, back=back: tx.agents.save(back))
        began = time.perf_counter()
        await line._match()  # pyright: ignore[reportPrivateUsage]
        times.append(time.perf_counter() - began)
    offered = await store.run(lambda tx: sum(a.state is AgentState.OFFERED for a in tx.agents.all()))
    assert offered > 0.9 * len(agents), f"only {offered} of {len(agents)} agents were offered a caller"
    return times[WARM_UP:]


async def main(scale: int, matches: int, database: str | None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        store = connect(database or f"sqlite:///{Path(folder)}/bench.db")
        try:
            figures = await measure(store, scale, matches)
        finally:
            await store.close()
    head = "agents, waiting, queues, lines, p50 ms, p99 ms, worst ms, p99 ms in it, CPU ms, build s"
    table = Table(*head.split(", "))
    numbers = (AGENTS * scale, WAITING * scale, QUEUES * scale, figures.lines)
    times = (figures.p50, figures.p99, figures.worst, figures.inside_p99, figures.cpu, figures.build_s)
    table.add_row(*(f"{n:,}" for n in numbers), *(f"{t:.1f}" for t in times))
    Console(width=110).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--matches", type=int, default=900)
    parser.add_argument("--database")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.scale, chosen.matches, chosen.database))
