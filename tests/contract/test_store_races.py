"""A thousand races for the same agent or the same caller, on either database: one winner each.

Two engines on one database, each with a store of its own. Both have seen a free agent and a waiting caller
before either has written anything, and carry out what they found at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.callflow import agent as answering
from ivr_engine.callflow.endings import caller_gone
from ivr_engine.callflow.house import House
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import AgentChanged
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.messaging.contacts import at_connect
from ivr_engine.ports import DialResult, Leg, Prompts, Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect, lane
from tests.contract.store_examples import NOW, call
from tests.postgresql import Server

RACES = 334
"""Of each of three kinds."""

BOTH = Site.model_validate(
    {
        "brand": "Example",
        "country": "DE",
        "default_language": "en",
        "languages": ["en"],
        "wait_time_sms": {"text": {"en": "{brand}"}},
        "sms": {"sender": "+4930123456"},
        "numbers": {"700": {"queue": "support"}},
        "queues": {"support": {"label": "Support"}},
        "agents": {name: {"label": name, "queues": ["support"]} for name in ("anna", "ben")},
    }
)


class StandingClock:
    def now(self) -> datetime:
        return NOW + timedelta(seconds=60)


CLOCK = StandingClock()
_ids = count()


def new_id() -> str:
    return f"offer-{next(_ids)}"


@dataclass(frozen=True)
class Two:
    """Two engines' stores on one database, and a third to look through."""

    one: Store
    other: Store
    eyes: Store


@pytest.fixture(params=["sqlite", "postgresql"])
async def two(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Two]:
    monkeypatch.setattr(lane, "GATHER_S", 0.0)  # a race alone has no company to wait for
    if request.param == "sqlite":
        async with _two(f"sqlite:///{tmp_path}/races.db") as stores:
            yield stores
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.tables() as url:
        async with _two(url) as stores:
            yield stores


@asynccontextmanager
async def _two(url: str) -> AsyncGenerator[Two]:
    stores = [await asyncio.to_thread(connect, url) for _ in range(3)]
    try:
        yield Two(*stores)
    finally:
        for store in stores:
            await store.close()


def only(*names: str) -> Site:
    """A site in which only these agents answer."""
    return BOTH.model_copy(update={"agents": {name: BOTH.agents[name] for name in names}})


def engine(store: Store, site: Site, waiting: Call) -> Dispatcher:
    """One that has seen this much."""
    dispatcher = Dispatcher(SiteNow(InForce(site, cast(Prompts, None))), store, CLOCK, new_id)
    dispatcher.hold(waiting.id)
    return dispatcher


async def sees(dispatcher: Dispatcher, waiting: Call, *free: Agent) -> None:
    """It has read the caller and the agents, and not yet decided."""
    await dispatcher._match()  # pyright: ignore[reportPrivateUsage]
    standing = dispatcher._standing  # pyright: ignore[reportPrivateUsage]
    assert standing is not None
    for agent in free:
        standing.agent(agent, CLOCK.now())
    standing.call(waiting, CLOCK.now())


async def at_once(*dispatchers: Dispatcher) -> None:
    await asyncio.gather(*(d._match() for d in dispatchers))  # pyright: ignore[reportPrivateUsage]


def waiting_call() -> Call:
    return call().entered(NOW, 30)


def away(name: str) -> Agent:
    return Agent(name=name, state=AgentState.ON_BREAK, since=NOW)


def back(name: str) -> Agent:
    return away(name).back(NOW)


async def write(store: Store, *rows: Call | Agent) -> None:
    def save(tx: Tx) -> None:
        for row in rows:
            if isinstance(row, Agent):
                tx.agents.save(row)
            else:
                tx.calls.add(row)

    await store.run(save)


async def agents(store: Store) -> dict[str, Agent]:
    return {agent.name: agent for agent in await store.run(lambda tx: tx.agents.all())}


async def test_two_agents_and_one_call(two: Two) -> None:
    won = {"anna": 0, "ben": 0}
    for _ in range(RACES):
        caller = waiting_call()
        await write(two.eyes, caller, away("anna"), away("ben"))
        engines = [engine(two.one, only("anna"), caller), engine(two.other, only("ben"), caller)]
        for dispatcher, name in zip(engines, won, strict=True):
            await sees(dispatcher, caller, back(name))
        await write(two.eyes, back("anna"), back("ben"))
        await at_once(*engines)
        row = await two.eyes.run(lambda tx, id=caller.id: tx.calls.get(id))
        staff = await agents(two.eyes)
        winner = row.agent
        assert winner is not None
        [loser] = won.keys() - {winner}
        assert (row.chapter, staff[winner].state, staff[winner].call_id) == (
            Chapter.RINGING,
            AgentState.OFFERED,
            row.id,
        )
        assert (staff[loser].state, staff[loser].call_id) == (AgentState.AVAILABLE, None)
        won[winner] += 1
        await _over(two.eyes, row)
    assert sum(won.values()) == RACES


async def test_one_agent_and_two_calls(two: Two) -> None:
    for _ in range(RACES):
        first, second = waiting_call(), waiting_call()
        await write(two.eyes, first, second, away("anna"))
        engines = [engine(two.one, only("anna"), first), engine(two.other, only("anna"), second)]
        for dispatcher, caller in zip(engines, (first, second), strict=True):
            await sees(dispatcher, caller, back("anna"))
        await write(two.eyes, back("anna"))
        await at_once(*engines)
        rows = await two.eyes.run(lambda tx, ids=(first.id, second.id): [tx.calls.get(id) for id in ids])
        ringing = [row for row in rows if row.chapter is Chapter.RINGING]
        assert len(ringing) == 1
        assert [row.agent for row in rows if row not in ringing] == [None]
        assert (await agents(two.eyes))["anna"].call_id == ringing[0].id
        for row in rows:
            await _over(two.eyes, row)


async def test_the_caller_hangs_up_as_the_agent_answers(two: Two) -> None:
    answered_first = 0
    for _ in range(RACES):
        caller = replace(waiting_call(), caller=None)
        reserved = caller.offered("anna", new_id(), NOW + timedelta(seconds=90))
        await write(two.eyes, reserved, back("anna").offered(caller.id, NOW, "support"))
        newest = await two.eyes.run(lambda tx: tx.events.newest_id())
        _, answer = await asyncio.gather(
            caller_gone(house(two.one), caller.id),
            answering.ring(house(two.other), cast(Leg, AnsweredLeg()), reserved),
            return_exceptions=True,
        )
        row = await two.eyes.run(lambda tx, id=caller.id: tx.calls.get(id))
        anna = (await agents(two.eyes))["anna"]
        assert row.chapter is Chapter.ENDED
        assert (anna.state, anna.call_id) == (AgentState.AVAILABLE, None)
        events = await two.eyes.run(lambda tx, newest=newest: tx.events.after(newest))
        took = AgentChanged("anna", AgentState.ON_CONTACT) in [event.what for event in events]
        assert took == isinstance(answer, Call) == (anna.taken == 1)
        assert took or isinstance(answer, Refused), answer
        answered_first += took
    assert 0 <= answered_first <= RACES


async def _over(store: Store, row: Call) -> None:
    def end(tx: Tx) -> None:
        tx.calls.save(replace(tx.calls.get(row.id), chapter=Chapter.ENDED))

    await store.run(end)


class AnsweredLeg:
    """The caller's leg, at the moment when the agent's phone says that it was answered."""

    async def until(self, awaitable: Awaitable[Any]) -> DialResult:
        cast(Any, awaitable).close()
        return DialResult.ANSWERED


class NoTelephony:
    async def end_leg(self, leg_id: str) -> None: ...
    async def end_bridge(self, bridge_id: str) -> None: ...


def house(store: Store) -> House:
    parts: dict[str, Any] = dict.fromkeys(House.__dataclass_fields__)
    parts["in_force"] = SiteNow(InForce(BOTH, cast(Prompts, None)))
    parts |= {"store": store, "clock": CLOCK, "new_id": new_id}
    parts |= {"telephony": NoTelephony(), "identify": at_connect}
    return House(**parts)
