"""Two engines on one PostgreSQL: what one writes about agents, the other's matching hears of at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.ports import Changes, Tx
from ivr_engine.store import WatchedStore, connect
from ivr_engine.store.elsewhere import LONGEST
from tests.contract.store_examples import NOW, adding, call
from tests.postgresql import Server

DEADLINE_S = 30.0


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


class Engine:
    """Its store, and what those who listen to it were told."""

    def __init__(self, url: str) -> None:
        self.store = WatchedStore(connect(url))
        self._told: asyncio.Queue[Changes] = asyncio.Queue()
        self.store.listen(self._told.put_nowait)

    async def told(self) -> Changes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._told.get()

    @property
    def silent(self) -> bool:
        return self._told.empty()


@asynccontextmanager
async def engine(url: str) -> AsyncGenerator[Engine]:
    engine = Engine(url)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(engine.store.watch())
        assert await engine.told() == Changes(missed=True), "what was written before it listened"
        yield engine
        watching.cancel()
    await engine.store.close()


def agent(name: str) -> Agent:
    return Agent(name=name, state=AgentState.AVAILABLE, since=NOW)


async def test_agents_that_another_engine_changed_are_told_and_calls_are_not(url: str) -> None:
    async with engine(url) as here, engine(url) as there:
        waiting = call().entered(NOW, 5)
        await there.store.run(lambda tx: (tx.calls.add(waiting), tx.agents.save(agent("anna"))))
        assert await here.told() == Changes(agents=frozenset({"anna"}))
        assert await there.told() == Changes(frozenset({waiting.id}), frozenset({"anna"}))
        await there.store.run(adding(call(id="another").entered(NOW, 6)))
        await here.store.run(lambda tx: tx.agents.save(agent("ben")))
        assert await here.told() == Changes(agents=frozenset({"ben"})), "its own once, from the commit"
        assert await there.told() == Changes(frozenset({"another"}))
        assert await there.told() == Changes(agents=frozenset({"ben"}))
        assert here.silent
        assert there.silent


async def test_what_is_undone_is_not_told(url: str) -> None:
    def fails(tx: Tx) -> None:
        tx.agents.save(agent("anna"))
        raise ZeroDivisionError

    async with engine(url) as here, engine(url) as there:
        with pytest.raises(ZeroDivisionError):
            await there.store.run(fails)
        await there.store.run(lambda tx: tx.agents.save(agent("ben")))
        assert await here.told() == Changes(agents=frozenset({"ben"}))


async def test_more_agents_than_one_notice_holds(url: str) -> None:
    names = [f"agent-{number:05}" for number in range(LONGEST // 10)]
    async with engine(url) as here, engine(url) as there:
        await there.store.run(lambda tx: [tx.agents.save(agent(name)) for name in names])
        assert await here.told() == Changes(missed=True)


async def test_a_listener_that_was_cut_off_listens_again_and_says_that_it_may_have_missed_something(
    url: str,
) -> None:
    async with engine(url) as here, engine(url) as there:
        listening = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
            found = await admin.execute(listening, [make_url(url).database])
            for (pid,) in await found.fetchall():
                await admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert await here.told() == Changes(missed=True)
        assert await there.told() == Changes(missed=True)
        await there.store.run(lambda tx: tx.agents.save(agent("anna")))
        assert await here.told() == Changes(agents=frozenset({"anna"}))
