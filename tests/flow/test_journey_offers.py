"""Offers that lead to nothing: the caller keeps the place, the agent must come back by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import TypeVar

import pytest

from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import OfferMissed
from ivr_engine.ports import Changes, Store, Tx
from ivr_engine.sim.people import (
    Behaviour,
    answers,
    answers_and_hangs_up,
    busy,
    declines,
    does_not_answer,
)
from ivr_engine.site.now import InForce, SiteNow
from tests.flow.centre import MOBILE, Centre, contact_centre, virtual

T = TypeVar("T")

RING_S = 20.0


def unplugged(centre: Centre, name: str) -> None:
    centre.phone(name).registered = False


MISSES: list[tuple[str, Behaviour | None, float]] = [
    ("busy", busy(), 1.0),
    ("declined", declines(2.0), 3.0),
    ("no_answer", does_not_answer, RING_S + 1.0),
    ("unreachable", None, 1.0),
    ("hung_up_at_once", answers_and_hangs_up(), 3.0),
]


@pytest.mark.parametrize(("reason", "behaviour", "within_s"), MISSES, ids=[m[0] for m in MISSES])
@virtual
async def test_same_place_and_the_next_agent(
    reason: str, behaviour: Behaviour | None, within_s: float
) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        first = await centre.call()
        second = await centre.call(caller="+4915112345601")
        await first.hears_prompt("consent")
        first.press("1")
        await first.hears_prompt("sms_sent")
        await first.hears_prompt("music")
        before = await centre.row(first)

        if behaviour is None:
            unplugged(centre, "anna")
        else:
            centre.phone("anna", behaviour)
        await engine.desk.sign_in("anna")

        async def missed() -> bool:
            return (await centre.agent("anna")).state is AgentState.RONA

        await centre.until(missed, "RONA", within_s)
        anna = await centre.agent("anna")
        assert anna.reason == reason or (reason == "hung_up_at_once" and anna.reason is not None)
        assert [h for h in await centre.happened(first) if isinstance(h, OfferMissed)] == [
            OfferMissed("anna", anna.reason or "")
        ]
        row = await centre.row(first)
        assert (row.chapter, row.agent, row.offer_id) == (Chapter.WAITING, None, None)
        assert row.entered_at == before.entered_at
        assert row.consent.status is WaitTimeSmsStatus.ALLOWED
        assert await centre.position(first) == 1
        await first.hears_prompt("music", within_s=1.0)
        assert not [c for c in centre.switch.channels.values() if not c.inbound], "nothing rings"

        await asyncio.sleep(1.0)
        ben = centre.phone("ben", answers(1.0))
        await engine.desk.sign_in("ben")
        await first.hears_prompt("agent", within_s=5.0)
        assert second.hears_now != "agent"
        assert len(ben.calls) == 1
        await asyncio.sleep(60)
        assert (await centre.agent("anna")).state is AgentState.RONA, "left by hand only"
        await engine.desk.sign_in("anna")
        assert (await centre.agent("anna")).state in (AgentState.AVAILABLE, AgentState.OFFERED)


@virtual
async def test_an_agent_who_comes_in_the_very_moment_an_offer_failed_gets_the_first_in_line() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        first = await centre.call()
        second = await centre.call(caller="+4915112345601")
        await asyncio.sleep(1)
        centre.phone("anna", answers_and_hangs_up())
        centre.phone("ben", answers(1.0))
        await engine.desk.sign_in("anna")

        async def missed() -> bool:
            return (await centre.agent("anna")).state is AgentState.RONA

        await centre.until(missed, "RONA")
        await engine.desk.sign_in("ben")
        await first.hears_prompt("agent", within_s=5.0)
        assert "agent" not in second.ears.sounds


@pytest.mark.parametrize("moment_s", [0.002, 0.01, 0.5, 1.999, 2.0, 2.003, 2.01])
@virtual
async def test_a_caller_who_hangs_up_while_it_rings_stops_the_ring_and_frees_the_agent(
    moment_s: float,
) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(2.0))
        caller = await centre.call()
        await asyncio.sleep(1)
        await engine.desk.sign_in("anna")
        await phone.rings()
        await asyncio.sleep(moment_s)
        caller.hang_up()
        await phone.is_free(within_s=1.0)
        await centre.nothing_left()
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE


@virtual
async def test_every_agent_misses_in_turn_then_somebody_comes_back() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        centre.phone("anna", busy())
        centre.phone("ben", declines(1.0))
        cleo = centre.phone("cleo", does_not_answer, answers(1.0))
        for name in ("anna", "ben", "cleo"):
            await engine.desk.sign_in(name)
        caller = await centre.call()
        await cleo.rings()
        await cleo.stops_ringing()
        await asyncio.sleep(30)
        missed = [h.agent for h in await centre.happened(caller) if isinstance(h, OfferMissed)]
        assert sorted(missed) == ["anna", "ben", "cleo"]
        await engine.desk.sign_in("cleo")
        await caller.hears_prompt("agent", within_s=5.0)


@virtual
async def test_an_interrupted_round_is_followed_by_one_interval_of_music() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", declines(2.0))
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await engine.desk.sign_in("anna")
        await phone.rings()
        await phone.stops_ringing()
        declined = asyncio.get_running_loop().time()
        await caller.hears_times("position.1", 2)
        assert asyncio.get_running_loop().time() - declined == pytest.approx(5.0, abs=0.1)
        await caller.hears_times("consent", 2)


@virtual
async def test_many_callers_and_agents_who_do_as_they_like() -> None:
    """Nobody gets two calls at once, nobody who was there before is overtaken by who came later."""
    async with contact_centre() as centre:
        engine = centre.engine()
        behaviours = (answers(1.0, talks_s=7.0), declines(1.0), busy(), answers(3.0, talks_s=11.0))
        phones = [centre.phone(name, *(behaviours * 30)) for name in ("anna", "ben", "cleo")]
        callers = [await centre.call(caller=f"+491511234{n:04d}") for n in range(40)]

        async def back_by_hand(name: str) -> None:
            while any(c.connected for c in callers):
                await asyncio.sleep(0.5)
                if (await centre.agent(name)).state is AgentState.RONA:
                    await engine.desk.sign_in(name)

        async with asyncio.TaskGroup() as group:
            for phone in phones:
                await engine.desk.sign_in(phone.name)
                group.create_task(back_by_hand(phone.name))
        answered = [caller.ears.times("agent")[0] for caller in callers]
        assert len(answered) == 40
        late = [b - a for a, b in pairwise(answered) if b < a]
        assert all(gap > -35.0 for gap in late), "only while an earlier caller's offer was being missed"
        await centre.nothing_left()


class SlowStore:
    """Between a transaction and its answer, ``meanwhile`` happens."""

    def __init__(self, store: Store) -> None:
        self.meanwhile: list[Callable[[], object]] = []
        self._store = store

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        result = await self._store.run(transaction)
        for act in self.meanwhile:
            act()
        self.meanwhile.clear()
        return result

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self.run(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def check(self) -> None: ...

    async def close(self) -> None: ...


@virtual
async def test_a_caller_who_sits_down_while_agents_are_matched_is_not_overlooked() -> None:
    async with contact_centre() as centre:
        store = SlowStore(centre.store)
        in_force = SiteNow(InForce(centre.site, centre.prompts))
        dispatcher = Dispatcher(in_force, store, centre.clock, centre.new_id)
        now = centre.clock.now()
        call = Call(
            id="c",
            engine="ivr-1",
            channel_id="sip-1",
            caller=MOBILE,
            number="700",
            queue="support",
            language="en",
            started_at=now,
        ).entered(now, 5)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(dispatcher.run())
            await asyncio.sleep(1)  # nobody is free
            agent = Agent(name="anna", state=AgentState.AVAILABLE, since=now)
            await centre.store.run(lambda tx: (tx.calls.add(call), tx.agents.save(agent)))
            with ExitStack() as chairs:

                def sits_down() -> None:
                    chairs.enter_context(dispatcher.seat("c"))

                store.meanwhile.append(sits_down)
                dispatcher.look(None)
                await asyncio.sleep(60)
            running.cancel()
        assert (await centre.store.run(lambda tx: tx.calls.get("c"))).chapter is Chapter.RINGING
