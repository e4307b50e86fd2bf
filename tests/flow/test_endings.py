"""The endings of a call, never mixed up: the caller is gone, the engine stops, a bug."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import CallAdopted, CallFellBack
from ivr_engine.errors import NotUp, Rejected, Unreachable
from ivr_engine.sim import clock
from ivr_engine.sim.people import AgentPhone, answers, does_not_answer
from tests.flow.centre import POSITION_S, Centre, Engine, contact_centre, virtual

# ── the caller is gone ───────────────────────────────────────────────────────────────────────────


async def _hang_up_at_random(centre: Centre, engine: Engine, phone: AgentPhone, dice: random.Random) -> None:
    """Two callers, one agent; the first caller hangs up at any moment, the second must not suffer."""
    caller = await centre.call()
    other = await centre.call(caller="+4915112345601")
    leaves_at = dice.choice((dice.uniform(0, 0.05), dice.uniform(0, 45), dice.uniform(5, 13)))
    signs_in_at, presses_at = dice.uniform(0, 40), dice.uniform(7.0, 13.0)
    key = dice.choice("1129")
    loop = asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(leaves_at, caller.hang_up)
    loop.call_later(presses_at, caller.press, key)
    await asyncio.sleep(signs_in_at)
    await engine.desk.sign_in("anna")
    await caller.ended()
    await other.hears_prompt("agent", within_s=60)

    async def stored() -> bool:
        return all(row.ended_at for row in await centre.rows(caller))

    await centre.until(stored, "the caller's end")
    if await centre.rows(caller):  # else gone before any engine had them
        assert (await centre.row(caller)).end_reason is EndReason.CALLER_HUNG_UP
        sent, ledger = await centre.messages(caller), await centre.ledger(caller)
        allowed = [r for r in ledger if r.outcome is WaitTimeSmsStatus.ALLOWED]
        assert len(sent) == len(allowed) <= 1
        assert bool(allowed) <= (key == "1" and presses_at <= leaves_at)
    other.hang_up()
    await phone.is_free(within_s=1.0)
    await centre.nothing_left()
    assert (await centre.agent("anna")).state is AgentState.AVAILABLE
    await engine.desk.sign_out("anna")
    await asyncio.sleep(max(0.0, began + presses_at - loop.time()))


async def _busy_day(seed: int) -> None:
    async with contact_centre() as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(2.0))
        for round_ in range(25):
            await _hang_up_at_random(centre, engine, phone, random.Random(1000 * seed + round_))


@pytest.mark.parametrize("part", range(4))
def test_hanging_up_at_a_thousand_random_moments_leaves_nothing(part: int) -> None:
    for seed in range(part * 10, (part + 1) * 10):
        clock.run(_busy_day(seed), seed=seed)


@virtual
async def test_both_hang_up_in_the_same_moment() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        caller.hang_up()
        phone.calls[-1].end()
        await centre.nothing_left()
        assert (await centre.row(caller)).ended_at is not None


@virtual
async def test_hanging_up_in_a_message_is_no_trouble_to_report() -> None:
    """Asterisk says that the message failed, and only then that the caller is gone."""
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("position.1")
        engine.telephony.faults["play"] = [Rejected("could not play")]
        asyncio.get_running_loop().call_later(POSITION_S + 0.1, caller.hang_up)
        with capture_logs() as lines:
            await caller.ended()
            await centre.nothing_left()
        assert not engine.telephony.faults["play"]
        assert lines == []


# ── the engine stops ─────────────────────────────────────────────────────────────────────────────


async def _one_caller_a_chapter(centre: Centre, engine: Engine) -> dict[str, object]:
    """Three callers: talking, ringing, and one whose consent message plays."""
    centre.phone("anna", answers(1.0))
    await engine.desk.sign_in("anna")
    talking = await centre.call(caller="+4915112345601")
    await talking.hears_prompt("agent")
    ben = centre.phone("ben", does_not_answer)
    ringing = await centre.call(caller="+4915112345602")
    await engine.desk.sign_in("ben")
    await ben.rings()
    asked = await centre.call(caller="+4915112345603")
    await asked.hears_prompt("consent")
    return {"talking": talking, "ringing": ringing, "asked": asked}


@virtual
async def test_stopping_touches_nothing() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        await _one_caller_a_chapter(centre, engine)
        channels = {c.id: (c.up, c.bridge, len(c.playing)) for c in centre.switch.channels.values()}
        bridges = set(centre.switch.rooms.bridges)
        rows = {c.id: c for c in await centre.all_calls()}
        steps = len(engine.life.steps)
        before = asyncio.get_running_loop().time()
        await engine.stop()
        assert asyncio.get_running_loop().time() - before < 15.0
        assert engine.life.steps[steps:] == [], "no request, no commit"
        await asyncio.sleep(0.1)
        assert {c.id: (c.up, c.bridge, len(c.playing)) for c in centre.switch.channels.values()} == channels
        assert set(centre.switch.rooms.bridges) == bridges
        assert {c.id: c for c in await centre.all_calls()} == rows


@virtual
async def test_callers_do_not_notice_that_the_engine_was_replaced() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        people = await _one_caller_a_chapter(centre, engine)
        await engine.stop()
        await asyncio.sleep(3)
        centre.engine()
        await asyncio.sleep(3)
        for row in await centre.all_calls():
            assert row.chapter is not Chapter.ENDED
        assert people["talking"].hears_now == "agent"  # type: ignore[attr-defined]
        assert people["ringing"].hears_now == "music"  # type: ignore[attr-defined]


# ── a bug ────────────────────────────────────────────────────────────────────────────────────────


class Bug(Exception):
    """Something nobody thought of."""


@virtual
async def test_a_bug_sends_its_own_caller_to_the_fallback_and_nobody_else() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        victim = await centre.call()
        await victim.hears_prompt("music")
        other = await centre.call(caller="+4915112345601")
        await asyncio.sleep(4)
        place = (await centre.row(victim)).entered_at
        engine.store.faults.append(Bug("position"))
        await victim.hears_prompt("fallback")
        assert victim.connected
        await other.hears_prompt("consent")
        assert "fallback" not in other.ears.sounds

        await victim.hears_prompt("music", within_s=5)  # the fallback offered them again
        row = await centre.row(victim)
        assert row.entered_at == place
        assert await centre.position(victim) == 1
        assert CallFellBack("Bug") in await centre.happened(victim)
        assert len(await centre.all_calls()) == 2
        await victim.hears_prompt("consent")


@pytest.mark.parametrize("answer", [Rejected("500"), NotUp("412"), Unreachable("no answer")])
@virtual
async def test_a_caller_who_cannot_be_sent_to_the_fallback_keeps_music_and_place(answer: Exception) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        caller = await centre.call()
        await caller.hears_prompt("music")
        await asyncio.sleep(4)
        place = (await centre.row(caller)).entered_at
        engine.store.faults.append(Bug("position"))
        faults = engine.telephony.faults["give_to_fallback"] = [answer]  # type: ignore[list-item]
        await caller.hears_prompt("consent", within_s=60)
        assert not faults
        assert "fallback" not in caller.ears.sounds
        row = await centre.row(caller)
        assert row.entered_at == place
        assert CallFellBack("Bug") in await centre.happened(caller)
        await engine.desk.sign_in("anna")
        await caller.hears_prompt("agent")


@virtual
async def test_a_bug_while_looking_after_calls_left_behind_ends_no_other() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await asyncio.sleep(4)
        engine.telephony.lose_connection(0.5)
        await asyncio.sleep(0.4)
        engine.store.faults.append(Bug("reconciliation"))
        await caller.hears_times("position.1", 2)
        assert not engine.store.faults
        assert "fallback" not in caller.ears.sounds
        assert CallAdopted("waiting") not in await centre.happened(caller)


@virtual
async def test_a_bug_while_talking_frees_the_agent() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0), does_not_answer)
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        engine.telephony.faults["connect"] = [Bug("connect")]  # type: ignore[list-item]
        await phone.rings()
        await caller.hears_prompt("fallback")
        await phone.is_free(within_s=1.0)
        assert caller.connected
        await phone.rings(2)
        assert (await centre.agent("anna")).state is AgentState.OFFERED
