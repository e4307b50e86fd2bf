"""Callers are called back: at their place, never without an agent, and neither lost nor dialled twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ivr_engine.callflow.commands import CallCommands
from ivr_engine.callflow.forgotten import SIGN_EVERY_S, SILENT_S, leave_sign, look_after
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallbackDialled, CallbackFailed, CallbackReached
from ivr_engine.errors import Refused
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms, Prompt
from ivr_engine.sim.clock import chance
from ivr_engine.sim.people import AgentPhone, Behaviour, Caller, answers, busy, does_not_answer
from ivr_engine.sim.switch import PhoneCall
from tests.flow.centre import MOBILE, Centre, Engine, contact_centre, virtual
from tests.flow.crashes import restart

OTHER = "+4915112345601"
SITE: dict[str, Any] = {
    "transfers": {"trunk": "trunk", "allow": ["+49"]},
    "callbacks": {"retries": 2, "retry_after": 60, "ring_time": 30, "expires": 3600},
    "numbers": {"700": {"queue": "support"}, "800": {"flow": "back"}},
    "flows": {"back": {"start": "q", "nodes": {"q": {"queue": {"name": "support", "callback": True}}}}},
}


def presses(key: str | None, after_s: float = 1.0) -> Behaviour:
    """Picks up, hears the question, and presses a key, or nothing."""

    def behave(ringing: PhoneCall) -> None:
        answers(after_s)(ringing)
        if key is not None:
            asyncio.get_running_loop().call_later(after_s + 1.0, ringing.press, key)

    return behave


@asynccontextmanager
async def centre_of(
    *customer: Behaviour, **changes: Any
) -> AsyncGenerator[tuple[Centre, Engine, AgentPhone]]:
    async with contact_centre(**(SITE | changes)) as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        phone = centre.phone(MOBILE, *(customer or (presses("1"),)))
        yield centre, engine, phone


async def asks(centre: Centre, caller: str = MOBILE) -> Caller:
    """Calls, and confirms the number called from."""
    calling = await centre.call("800", caller=caller)
    await calling.hears_prompt("callback_this_number", within_s=2)
    calling.press("1")
    await calling.hears_prompt("callback_arranged", within_s=1)
    await calling.ended(within_s=5)
    await asyncio.sleep(0.5)
    return calling


async def row(centre: Centre, caller: str = MOBILE) -> Call:
    """The first call of that number."""
    calls = await centre.store.run(lambda tx: tx.calls.search(caller=caller, limit=100))
    return calls[-1]


async def happened(centre: Centre, kind: type[Any]) -> list[Any]:
    call_id = (await row(centre)).id
    events = await centre.store.run(lambda tx: tx.events.of_call(call_id))
    return [event.what for event in events if isinstance(event.what, kind)]


async def chapter_is(centre: Centre, chapter: Chapter, within_s: float = 120.0) -> None:
    async def there() -> bool:
        return (await row(centre)).chapter is chapter

    await centre.until(there, f"chapter {chapter}", within_s)


@virtual
async def test_the_place_is_kept_and_counted_and_dialled_only_with_an_agent() -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        behind = await centre.call(caller=OTHER)
        await behind.hears_prompt("position.2")
        await asyncio.sleep(30)
        assert not phone.calls, "nobody is dialled without an agent"
        await engine.desk.sign_in("anna")
        await chapter_is(centre, Chapter.TALKING)
        assert phone.hears_now == "agent"
        now = await row(centre)
        assert (now.agent, now.callback and now.callback.attempts) == ("anna", 1)
        assert behind.hears_now != "agent"
        assert len(await centre.tickets()) == 1
        phone.calls[0].end()
        await behind.hears_prompt("agent")
        assert (await row(centre)).end_reason is EndReason.CALLER_HUNG_UP
        behind.hang_up()
        await centre.nothing_left()


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (busy(), "busy"),
        (does_not_answer, "no_answer"),
        (presses(None), "no_person"),
        (presses("5"), "no_person"),
    ],
)
@virtual
async def test_who_is_not_reached_is_tried_again_and_then_given_up(customer: Behaviour, reason: str) -> None:
    async with centre_of(customer) as (centre, engine, phone):
        await engine.desk.sign_in("anna")
        await asks(centre)
        await chapter_is(centre, Chapter.ENDED, within_s=600)
        assert (await row(centre)).end_reason is EndReason.CALLBACK_FAILED
        assert await happened(centre, CallbackFailed) == [CallbackFailed(n, reason) for n in (1, 2, 3)]
        pauses = [b - a for a, b in zip(phone.rang_at, phone.rang_at[1:], strict=False)]
        assert all(pause >= 60 for pause in pauses)
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        await centre.nothing_left()


@virtual
async def test_an_agent_serves_others_while_a_callback_waits_for_its_next_try() -> None:
    async with centre_of(busy(), presses("1")) as (centre, engine, phone):
        await engine.desk.sign_in("anna")
        await asks(centre)
        await phone.rings(1)
        other = await centre.call(caller=OTHER)
        await other.hears_prompt("agent", within_s=20)
        await asyncio.sleep(10)
        other.hang_up()
        await phone.rings(2)
        await chapter_is(centre, Chapter.TALKING)


@virtual
async def test_it_expires() -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        await asyncio.sleep(3601)
        assert (await row(centre)).end_reason is EndReason.CALLBACK_EXPIRED
        await engine.desk.sign_in("anna")
        await asyncio.sleep(10)
        assert not phone.calls


@pytest.mark.parametrize("how", ["cancel", "hang-up"])
@virtual
async def test_the_staff_cancels_it(how: str) -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        call_id, do = (await row(centre)).id, CallCommands(engine.house)
        await (do.cancel_callback(call_id) if how == "cancel" else engine.reception.hang_up(call_id))
        await engine.desk.sign_in("anna")
        await asyncio.sleep(10)
        assert not phone.calls
        wanted = EndReason.CALLBACK_CANCELLED if how == "cancel" else EndReason.ENDED_BY_STAFF
        assert (await row(centre)).end_reason is wanted
        with pytest.raises(Refused):
            await do.cancel_callback(call_id)


async def writes(centre: Centre, engine: Engine, text: str = "NO CALL") -> None:
    """As the webhook brings it, and tells the engine once it is stored."""
    sms = InboundSms("IN1", MOBILE, centre.site.sms.sender, text)
    rules = InboundRules.of("simulator", centre.site)
    await centre.store.run(lambda tx: received(tx, sms, rules, centre.clock.now()))
    engine.house.bells.ring_all()


@pytest.mark.parametrize(("rule", "tickets"), [("always", 1), ("only_with_sms", 1), ("never", 0)])
@virtual
async def test_who_writes_that_they_want_no_call_is_not_called(rule: str, tickets: int) -> None:
    async with centre_of(abandoned_tickets=rule) as (centre, engine, phone):
        await asks(centre)
        await writes(centre, engine)
        async with asyncio.timeout(1):
            await engine.reception.empty()  # nobody waits for it any more
        await engine.desk.sign_in("anna")
        await asyncio.sleep(200)
        assert not phone.calls
        assert (await row(centre)).end_reason is EndReason.CALLBACK_CANCELLED
        kept = await centre.tickets()
        said = ["NO CALL", "Example: We will not call you back. If you need us, please call again."]
        assert [[comment.text for comment in ticket.comments] for ticket in kept] == [said] * tickets


@virtual
async def test_who_writes_that_while_it_rings_is_not_tried_again() -> None:
    async with centre_of(does_not_answer, presses("1")) as (centre, engine, phone):
        await engine.desk.sign_in("anna")
        await asks(centre)
        await phone.rings(1)
        await writes(centre, engine)
        await asyncio.sleep(600)
        assert len(phone.rang_at) == 1
        assert (await row(centre)).end_reason is EndReason.CALLBACK_CANCELLED
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        await centre.nothing_left()


@virtual
async def test_who_writes_that_and_answers_all_the_same_is_connected() -> None:
    async with centre_of(presses("1", after_s=5)) as (centre, engine, phone):
        await engine.desk.sign_in("anna")
        await asks(centre)
        await phone.rings(1)
        await writes(centre, engine)
        await chapter_is(centre, Chapter.TALKING)


@virtual
async def test_whoever_calls_again_cancels_it_and_has_the_place() -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        second = await centre.call(caller=OTHER)
        await second.hears_prompt("position.2")
        again = await centre.call()
        await again.hears_prompt("position.1")
        assert (await row(centre)).end_reason is EndReason.CALLBACK_CANCELLED
        await engine.desk.sign_in("anna")
        await again.hears_prompt("agent")
        assert not phone.calls


@virtual
async def test_another_number_is_keyed_in_checked_read_back_and_confirmed() -> None:
    async with centre_of() as (centre, engine, _):
        other = centre.phone("+493012345678", presses("1"))
        caller = await centre.call("800")
        await caller.hears_prompt("callback_this_number")
        caller.press("2")
        for number in ("110#", "0900123456#", "03012345678#"):
            await caller.hears_prompt("callback_number", within_s=20)
            for key in number:
                caller.press(key)
                await asyncio.sleep(0.3)
        await caller.hears_prompt("callback_confirm", within_s=40)
        read = [heard.removeprefix("digit_") for heard in caller.ears.sounds if heard.startswith("digit_")]
        assert "".join(read) == "03012345678"
        caller.press("1")
        await caller.hears_prompt("callback_arranged", within_s=1)
        await engine.desk.sign_in("anna")
        await other.rings()
        await chapter_is(centre, Chapter.TALKING)


@pytest.mark.parametrize("caller", ["anonymous", "+33123456789"])
@virtual
async def test_a_number_that_may_not_be_dialled_is_not_offered(caller: str) -> None:
    async with centre_of() as (centre, _, _phone):
        calling = await centre.call("800", caller=caller)
        await calling.hears_prompt("callback_number", within_s=2)
        assert "callback_this_number" not in calling.ears.sounds


@virtual
async def test_who_confirms_nothing_waits_on() -> None:
    async with centre_of() as (centre, engine, _):
        calling = await centre.call("800")
        await calling.hears_prompt("callback_not_arranged", within_s=60)
        await calling.hears_prompt("music")
        assert await centre.position(calling) == 1
        await engine.desk.sign_in("anna")
        await calling.hears_prompt("agent")


@virtual
async def test_who_hangs_up_before_confirming_is_gone() -> None:
    async with centre_of() as (centre, _, _phone):
        calling = await centre.call("800")
        await calling.hears_prompt("callback_this_number")
        calling.hang_up()
        await asyncio.sleep(1)
        assert (await row(centre)).end_reason is EndReason.CALLER_HUNG_UP


@virtual
async def test_an_option_of_a_queue_over_capacity() -> None:
    support = {
        "label": "Support",
        "over_capacity": {"nobody_signed_in": True, "keys": {"1": {"wait": True}, "2": {"callback": True}}},
    }
    async with centre_of(queues={"support": support}) as (centre, engine, phone):
        calling = await centre.call()
        await calling.hears_prompt("over_capacity")
        calling.press("2")
        await calling.hears_prompt("callback_this_number", within_s=2)
        calling.press("1")
        await calling.ended(within_s=10)
        await engine.desk.sign_in("anna")
        await phone.rings()
        await chapter_is(centre, Chapter.TALKING)


@virtual
async def test_an_agent_who_does_not_answer_leaves_the_person_at_the_place() -> None:
    async with centre_of() as (centre, engine, phone):
        centre.phone("anna", does_not_answer)
        centre.phone("ben", answers(1.0))
        await engine.desk.sign_in("anna")
        await asks(centre)
        await chapter_is(centre, Chapter.WAITING)
        assert phone.hears_now == "music"
        await engine.desk.sign_in("ben")
        await chapter_is(centre, Chapter.TALKING)
        phone.calls[0].end()
        await centre.nothing_left()


@pytest.mark.parametrize("callers", [5])
@virtual
async def test_never_more_dials_than_agents(callers: int) -> None:
    async with centre_of() as (centre, engine, _):
        numbers = [f"+4915112345{n}00" for n in range(1, callers + 1)]
        phones = [centre.phone(number, presses("1")) for number in numbers]
        for number in numbers:
            await asks(centre, number)
        centre.phone("ben", answers(1.0, talks_s=20))
        centre.phone("anna", answers(1.0, talks_s=20))
        await engine.desk.sign_in("anna")
        await engine.desk.sign_in("ben")
        most = 0
        for _ in range(3000):
            busy_now = sum(1 for phone in phones if phone.call is not None)
            most = max(most, busy_now)
            await asyncio.sleep(0.1)
        assert most == 2
        assert all(len(phone.calls) == 1 for phone in phones)
        assert [p.rang_at[0] for p in phones] == sorted(p.rang_at[0] for p in phones), "in order of place"
        await centre.nothing_left()


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.003, 0.005, 0.01])
@virtual
async def test_cancelling_and_reserving_at_once_have_one_winner(delay_s: float) -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        call_id = (await row(centre)).id

        async def cancel() -> bool:
            await asyncio.sleep(delay_s)
            try:
                await CallCommands(engine.house).cancel_callback(call_id)
            except Refused:
                return False
            return True

        cancelled, _ = await asyncio.gather(cancel(), engine.desk.sign_in("anna"))
        await asyncio.sleep(20)
        assert len(phone.calls) == (0 if cancelled else 1)
        wanted = AgentState.AVAILABLE if cancelled else AgentState.ON_CONTACT
        assert (await centre.agent("anna")).state is wanted


@virtual
async def test_it_waits_longer_than_callers_may() -> None:
    support = {"label": "Support", "maximum_wait": {"after": 20, "say": "goodbye"}}
    async with centre_of(queues={"support": support}) as (centre, engine, phone):
        await asks(centre)
        steps = len(engine.life.steps)
        await asyncio.sleep(600)
        assert len(engine.life.steps) - steps < 200, "and does nothing meanwhile"
        await engine.desk.sign_in("anna")
        await phone.rings()
        await chapter_is(centre, Chapter.TALKING)


@virtual
async def test_who_is_called_back_is_told_of_recordings() -> None:
    support = {"label": "Support", "recording": {"when": "always"}}
    async with centre_of(queues={"support": support}) as (centre, engine, phone):
        await asks(centre)
        await engine.desk.sign_in("anna")
        await chapter_is(centre, Chapter.TALKING)
        assert "recording_notice" in phone.calls[0].ears.sounds
        assert (await row(centre)).talk.recording is not None


@virtual
async def test_a_fault_of_the_engine_is_a_try_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with centre_of() as (centre, engine, phone):
        await asks(centre)
        faults = [KeyError("callback_person")]
        real = centre.prompts.get

        def get(language: str, name: str) -> Prompt:
            if name == "callback_person" and faults:
                raise faults.pop()
            return real(language, name)

        monkeypatch.setattr(centre.prompts, "get", get)
        await engine.desk.sign_in("anna")
        await chapter_is(centre, Chapter.TALKING, within_s=300)
        assert await happened(centre, CallbackFailed) == [CallbackFailed(1, "fault")]
        assert len(phone.calls) == 2


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_crash_at_any_step_neither_loses_it_nor_dials_twice() -> None:
    died_at: list[str] = []
    for step in range(1, 80):
        chance().seed(0)  # the same steps each time, so that each of them is died at
        async with centre_of(presses("1", after_s=2.0)) as (centre, engine, phone):
            await asks(centre)
            await engine.desk.sign_in("anna")
            engine.life.dies_after(step)
            await asyncio.sleep(15)
            if not engine.life.dead.is_set():
                break
            died_at.append(engine.life.steps[-1])
            engine = await restart(centre, engine, after_s=5.0)
            await chapter_is(centre, Chapter.TALKING, within_s=300)
            assert phone.hears_now == "agent"
            dials = len(await happened(centre, CallbackDialled))
            assert len(phone.calls) <= dials <= 2, (step, died_at[-1])
            pauses = [b - a for a, b in zip(phone.rang_at, phone.rang_at[1:], strict=False)]
            assert all(pause >= 60 for pause in pauses), "not dialled again at once"
            assert len(await happened(centre, CallbackReached)) == 1
            phone.calls[-1].end()
            await centre.nothing_left()
    else:
        raise AssertionError("never got through")
    assert "before dial" in died_at


@pytest.mark.parametrize("during", ["asking", "arranged", "waiting"])
@virtual
async def test_a_crash_before_its_turn(during: str) -> None:
    async with centre_of() as (centre, engine, phone):
        calling = await centre.call("800")
        await calling.hears_prompt("callback_this_number")
        if during == "asking":
            await engine.crash()
            engine = await restart(centre, engine)
            await calling.hears_times("callback_this_number", 2)
        calling.press("1")
        await calling.hears_prompt("callback_arranged")
        if during == "waiting":
            await calling.ended()
        if during != "asking":
            await engine.crash()
            engine = await restart(centre, engine)
        await calling.ended(within_s=10)
        assert (await row(centre)).chapter is Chapter.CALLBACK
        assert len(await centre.all_calls()) == 1
        await engine.desk.sign_in("anna")
        await phone.rings()
        await chapter_is(centre, Chapter.TALKING)


@virtual
async def test_of_an_engine_that_never_comes_back_another_takes_it() -> None:
    async with centre_of() as (centre, engine, phone):
        await leave_sign(engine.house)
        await asks(centre)
        await engine.crash()
        other = centre.engine("ivr-2")
        looking = asyncio.create_task(look_after(other.house))
        await asyncio.sleep(SILENT_S + 2 * SIGN_EVERY_S)
        assert (await row(centre)).engine == "ivr-2"
        await other.desk.sign_in("anna")
        await phone.rings()
        await chapter_is(centre, Chapter.TALKING)
        looking.cancel()
        await asyncio.wait([looking])
