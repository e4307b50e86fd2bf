"""Who listens to a store hears what was committed, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.records import replace
from ivr_engine.domain.switches import Switch
from ivr_engine.ports import Changes, Presence, Store, Tx
from tests.contract.store_examples import DEADLINE_S, KINDS, NOW, adding, call, requested

ANNA = Agent(name="anna", state=AgentState.AVAILABLE, since=NOW)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


async def test_calls_and_agents_are_told_of_after_the_commit(store: Store) -> None:
    heard: list[Changes] = []
    store.listen(heard.append)
    waiting = call().entered(NOW, 5)
    await store.run(lambda tx: (tx.calls.add(waiting), tx.agents.save(ANNA)))
    assert heard == [Changes(frozenset({waiting.id}), frozenset({"anna"}))]

    def announcing(tx: Tx) -> None:
        tx.calls.save(tx.calls.get(waiting.id).at(Chapter.ANNOUNCING))

    def offered(tx: Tx) -> None:
        tx.calls.save(tx.calls.get(waiting.id).offered("anna", "o", NOW))

    await store.run(announcing)
    assert len(heard) == 1, "it may be offered as before"
    await store.run(offered)
    assert heard[1:] == [Changes(frozenset({waiting.id}))]


async def test_what_was_not_committed_is_not_told(store: Store) -> None:
    heard: list[Changes] = []
    store.listen(heard.append)

    def fails(tx: Tx) -> None:
        tx.agents.save(ANNA)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(fails)
    await store.run(lambda tx: tx.agents.all())
    assert heard == []


async def test_it_is_told_also_when_nobody_waits_for_the_result(store: Store) -> None:
    heard = asyncio.Event()
    store.listen(lambda _changes: heard.set())
    asking = asyncio.create_task(store.run(adding(call())))
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(DEADLINE_S):
        await heard.wait()


async def test_presence_of_agents(store: Store) -> None:
    later = NOW + timedelta(seconds=9)
    rows = [
        ANNA,
        replace(ANNA, name="ben", state=AgentState.OFFLINE),
        replace(ANNA, name="cleo", state=AgentState.OFFLINE, since=later),
        replace(ANNA, name="dora", state=AgentState.RONA),
    ]
    await store.run(lambda tx: [tx.agents.save(row) for row in rows])
    among = {
        ("anna", "ben", "dora"): Presence(2, None),
        ("ben", "cleo"): Presence(0, later),
        ("nobody",): Presence(0, None),
        (): Presence(0, None),
    }
    for names, expected in among.items():
        assert await store.run(lambda tx, names=names: tx.agents.presence(names)) == expected


async def test_switches_turns_and_who_spoke_last(store: Store) -> None:
    fire = Switch(queue="support", prompt="fire", since=NOW)

    def write(tx: Tx) -> None:
        tx.queues.close(replace(fire, prompt="flood"))
        tx.queues.close(fire)
        tx.queues.keep_turn("support", "anna")
        tx.queues.keep_turn("support", "ben")
        tx.callers.keep_agent("+4930123", "anna", NOW)
        tx.callers.keep_language("+4930123", "de", NOW)
        tx.callers.keep_agent("+4930123", "ben", NOW)

    await store.run(write)
    assert await store.run(lambda tx: tx.queues.switches()) == {"support": fire}
    assert await store.run(lambda tx: tx.queues.turns()) == {"support": "ben"}
    known = await store.run(lambda tx: (tx.callers.last_agent("+4930123"), tx.callers.language("+4930123")))
    assert known == (("ben", NOW), "de")
    assert await store.run(lambda tx: tx.callers.last_agent("+49301")) is None
    assert await store.run(lambda tx: [tx.queues.open("support"), tx.queues.open("support")]) == [True, False]
