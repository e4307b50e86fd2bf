"""The staff ends a call, at whatever moment, and whatever else fails then."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import CallFinished
from ivr_engine.errors import Refused, Unreachable
from ivr_engine.sim import clock
from ivr_engine.sim.people import AgentPhone, Caller, answers, declines, does_not_answer
from tests.flow.centre import INTERVAL_S, Centre, Engine, contact_centre, virtual


async def _ended_by_staff(centre: Centre, caller: Caller) -> None:
    row = await centre.row(caller)
    assert (row.chapter, row.end_reason) == (Chapter.ENDED, EndReason.ENDED_BY_STAFF)
    ends = [each for each in await centre.happened(caller) if isinstance(each, CallFinished)]
    assert ends == [CallFinished(EndReason.ENDED_BY_STAFF)]


@pytest.mark.parametrize("heard", ["music", "position.1", "consent"])
@virtual
async def test_the_staff_ends_a_call_that_waits(heard: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt(heard)
        call = await centre.row(caller)
        with capture_logs() as lines:
            ended = await engine.reception.hang_up(call.id)
            assert (ended.id, ended.end_reason) == (call.id, EndReason.ENDED_BY_STAFF)
            await caller.ended(within_s=1.0)
            await centre.nothing_left()
        await _ended_by_staff(centre, caller)
        assert lines == []
        with pytest.raises(Refused, match="has ended already"):
            await engine.reception.hang_up(call.id)
        with pytest.raises(Refused) as unknown:
            await engine.reception.hang_up("nonsense")
        assert unknown.value.missing


@virtual
async def test_the_staff_ends_a_call_while_a_phone_rings_and_the_next_caller_gets_the_agent() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", does_not_answer, answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await phone.rings()
        await engine.reception.hang_up((await centre.row(caller)).id)
        await caller.ended(within_s=1.0)
        await phone.stops_ringing(within_s=1.0)
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        following = await centre.call(caller="+4915112345601")
        await following.hears_prompt("agent")
        await _ended_by_staff(centre, caller)


@virtual
async def test_the_staff_ends_a_talk_and_the_agent_wraps_up_as_after_any() -> None:
    async with contact_centre(support={"wrap_up": 30}) as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(60)
        await engine.reception.hang_up((await centre.row(caller)).id)
        await caller.ended(within_s=1.0)
        await phone.is_free(within_s=1.0)
        await centre.nothing_left()
        await _ended_by_staff(centre, caller)
        assert (await centre.agent("anna")).state is AgentState.WRAP_UP


@virtual
async def test_the_staff_ends_the_call_of_a_caller_in_the_fallback() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        centre.switch.give_to_fallback(centre.switch.channels[caller.channel_id])
        await caller.hears_prompt("fallback", within_s=1)
        await engine.reception.hang_up((await centre.row(caller)).id)
        await caller.ended(within_s=1.0)
        await centre.nothing_left()
        await _ended_by_staff(centre, caller)


@pytest.mark.parametrize("caller_is_gone", [True, False])
@virtual
async def test_the_staff_ends_a_call_while_asterisk_does_not_answer(caller_is_gone: bool) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        call = await centre.row(caller)
        engine.telephony.lose_connection(20.0)
        if caller_is_gone:
            caller.hang_up()
        await engine.reception.hang_up(call.id)
        assert (await centre.agent("anna")).call_id is None
        await asyncio.sleep(30.0)
        assert not caller.connected
        await centre.nothing_left()
        await _ended_by_staff(centre, caller)


@virtual
async def test_a_call_that_nobody_could_hang_up_on_finds_its_end_in_the_store() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        engine.telephony.faults["end_leg"] = [Unreachable("no answer") for _ in range(100)]
        await engine.reception.hang_up((await centre.row(caller)).id)
        await caller.ended(within_s=INTERVAL_S + 1.0)
        await _ended_by_staff(centre, caller)
        assert caller.ears.sounds[-2:] == ["music", "end"], "no announcement to who is hung up on"


@virtual
async def test_the_staff_ends_a_call_that_no_engine_has_any_more() -> None:
    """Its row was left by an engine of another name: nobody else would ever end it."""
    async with contact_centre() as centre:
        first = centre.engine("ivr-old")
        caller = await centre.call()
        await caller.hears_prompt("music")
        call = await centre.row(caller)
        await first.crash()
        caller.hang_up()
        second = centre.engine("ivr-new")
        await asyncio.sleep(5.0)
        assert (await centre.row(caller)).ended_at is None
        await second.reception.hang_up(call.id)
        await centre.nothing_left()
        await _ended_by_staff(centre, caller)


@virtual
async def test_an_engine_that_dies_before_it_has_hung_up_is_followed_by_one_that_does() -> None:
    async with contact_centre() as centre:
        first = centre.engine()
        centre.phone("anna", answers(1.0))
        await first.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        first.telephony.faults["end_leg"] = [Unreachable("no answer")] * 100
        await first.reception.hang_up((await centre.row(caller)).id)
        await first.crash()
        assert caller.connected
        centre.engine()
        await caller.ended(within_s=5.0)
        await centre.nothing_left()
        await _ended_by_staff(centre, caller)


async def _ended_at_random(centre: Centre, engine: Engine, phone: AgentPhone, dice: random.Random) -> None:
    """A caller who presses 1 and an agent who comes; the staff ends the call at any moment."""
    caller = await centre.call()
    loop = asyncio.get_running_loop()
    loop.call_later(dice.uniform(7.0, 13.0), caller.press, dice.choice("1129"))
    began, signs_in_at, ends_at = loop.time(), dice.uniform(0, 20), dice.uniform(0.1, 25)
    ends_at = dice.choice((ends_at, signs_in_at + dice.uniform(0.0, 1.1)))
    await asyncio.sleep(min(signs_in_at, ends_at))
    if signs_in_at <= ends_at:
        await engine.desk.sign_in("anna")
    await asyncio.sleep(max(0.1, began + ends_at - loop.time()))
    await engine.reception.hang_up((await centre.row(caller)).id)
    await caller.ended(within_s=1.0)
    if phone.calls:
        await phone.is_free(within_s=1.0)
    await centre.nothing_left()
    await _ended_by_staff(centre, caller)
    assert "fallback" not in caller.ears.sounds
    await engine.desk.sign_out("anna")
    await asyncio.sleep(max(0.0, began + 14.0 - loop.time()))


async def _strict_day(seed: int) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna")
        for round_ in range(25):
            phone.behaviours = [random.Random(round_).choice((answers(1.0), answers(0.5), declines(0.5)))]
            await _ended_at_random(centre, engine, phone, random.Random(1000 * seed + round_))


def test_ended_by_the_staff_at_five_hundred_random_moments_leaves_nothing() -> None:
    for seed in range(20):
        clock.run(_strict_day(seed), seed=seed)
