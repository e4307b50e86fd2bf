"""The endings of a call, never mixed up: somebody is gone, the staff ends it, the engine stops, a bug."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from itertools import product
from typing import Any, Final

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import CallAdopted, CallFellBack, CallFinished
from ivr_engine.errors import Gone, NotInStasis, NotUp, Refused, Rejected, Unreachable
from ivr_engine.sim import clock
from ivr_engine.sim.people import AgentPhone, Caller, answers, declines, does_not_answer
from tests.flow.centre import INTERVAL_S, POSITION_S, Centre, Engine, contact_centre, virtual

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


# ── the staff ends it ────────────────────────────────────────────────────────────────────────────


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
        bridges = set(centre.switch.bridges)
        rows = {c.id: c for c in await centre.all_calls()}
        steps = len(engine.life.steps)
        before = asyncio.get_running_loop().time()
        await engine.stop()
        assert asyncio.get_running_loop().time() - before < 15.0
        assert engine.life.steps[steps:] == [], "no request, no commit"
        await asyncio.sleep(0.1)
        assert {c.id: (c.up, c.bridge, len(c.playing)) for c in centre.switch.channels.values()} == channels
        assert set(centre.switch.bridges) == bridges
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


# ── something outside fails ──────────────────────────────────────────────────────────────────────


ANSWERS: Final = {
    "400 or 500": Rejected("it is wrong as it stands"),
    "404": Gone("it no longer exists"),
    "409 or 422": NotInStasis("the id is taken"),
    "412": NotUp("the channel is not answered"),
    "nothing": Unreachable("no answer"),
}
ON_THE_CALLER: Final = ("answer", "park", "play", "stop")
BESIDE_THE_CALLER: Final = ("dial", "connect", "adopt", "end_leg")
AS_IF_THE_AGENT_HUNG_UP: Final = (("connect", "404"), ("adopt", "404"), ("adopt", "409 or 422"))


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        *product(ON_THE_CALLER, [each for each in ANSWERS if each != "404"]),
        *product(BESIDE_THE_CALLER, ANSWERS),
    ],
)
@virtual
async def test_a_request_that_fails_once_ends_no_call(verb: str, answer: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phones = [centre.phone(name, answers(1.0)) for name in ("anna", "ben")]
        faults = engine.telephony.faults[verb] = [ANSWERS[answer]]
        with _warnings_too() as lines:
            caller = await centre.call()
            await caller.hears_prompt("consent", within_s=60)
            for phone in phones:
                await engine.desk.sign_in(phone.name)
            await caller.hears_prompt("agent", within_s=60)
            assert "fallback" not in caller.ears.sounds
            caller.hang_up()
            await asyncio.sleep(30)
            await centre.nothing_left()
        assert not faults, "asked and refused"
        assert lines or (verb, answer) in AS_IF_THE_AGENT_HUNG_UP, "said"


@contextmanager
def _warnings_too() -> Generator[list[MutableMapping[str, Any]]]:
    """The lines of a contact centre, which else tells of errors only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("verb", ON_THE_CALLER)
@virtual
async def test_a_request_about_the_caller_that_meets_nobody_ends_the_call(verb: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        engine.telephony.faults[verb] = [ANSWERS["404"]]
        caller = await centre.call()

        async def over() -> bool:
            return [call.end_reason for call in await centre.rows(caller)] == [EndReason.CALLER_HUNG_UP]

        await centre.until(over, "the end")
        await centre.nothing_left()


@virtual
async def test_a_store_that_fails_for_a_while_costs_nobody_the_call() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        engine.store.faults.extend(Unreachable("locked") for _ in range(5))
        caller.press("1")
        await caller.hears_times("consent", 2, within_s=60)
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=60)
        assert len(await centre.messages(caller)) == 1


@pytest.mark.parametrize("for_s", [0.1, 3.0, 30.0])
@virtual
async def test_a_broken_connection_that_comes_back(for_s: float) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        gone = await centre.call(caller="+4915112345601")
        stays = await centre.call(caller="+4915112345602")
        await stays.hears_prompt("consent")
        place = (await centre.row(stays)).entered_at
        engine.telephony.lose_connection(for_s)
        gone.hang_up()
        arrives = await centre.call(caller="+4915112345603")
        await asyncio.sleep(for_s + 5)
        assert (await centre.row(gone)).ended_at is not None
        assert (await centre.row(stays)).entered_at == place
        assert await centre.position(stays) == 1
        assert await centre.position(arrives) == 2
        await engine.desk.sign_in("anna")
        await stays.hears_prompt("agent", within_s=60)
        assert len(await centre.all_calls()) == 3


@virtual
async def test_a_caller_moved_to_the_fallback_by_the_watchdog_comes_back_to_the_old_place() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        second = await centre.call(caller="+4915112345601")
        await caller.hears_prompt("consent")
        centre.switch.give_to_fallback(centre.switch.channels[caller.channel_id])
        await caller.hears_prompt("fallback", within_s=1)
        await caller.hears_prompt("music", within_s=5)
        assert await centre.position(caller) == 1
        assert await centre.position(second) == 2
        assert len(await centre.rows(caller)) == 1


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
