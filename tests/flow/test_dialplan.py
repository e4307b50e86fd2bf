"""Callers of another PBX, handed over by its dialplan for the same conversation as in our queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.dialplan import AppQueue, VisitStatus
from ivr_engine.domain.events import ConsentNotOffered
from ivr_engine.errors import Refused, Unreachable
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms
from ivr_engine.sim import clock
from tests.flow.centre import CONSENT_S, MOBILE, Centre, contact_centre, virtual
from tests.flow.dialplan_rig import FakePbx, Lane, caller, lane
from tests.unit.fake_agi import FakeAgi

WINDOW_S = 10.0
BUSY = AppQueue(waiting=4, agents=2, idle=0, hold_time_s=300)


@dataclass
class Stage:
    centre: Centre
    pbx: FakePbx
    lane: Lane

    async def visit(self, asterisk: FakeAgi, *keys: str | None, after_s: float = 1.0) -> dict[str, str]:
        """The variables afterwards; the caller presses each key so long after the last sound began."""
        pressing = asyncio.create_task(_press(asterisk, keys, after_s))
        await self.lane.visit(asterisk)
        pressing.cancel()
        await asyncio.gather(pressing, return_exceptions=True)
        return {name.removeprefix("IVR_WAIT_SMS_"): value for name, value in asterisk.variables.items()}

    async def sent(self) -> int:
        return len(await self.centre.store.run(lambda tx: tx.messages.search(number=MOBILE)))

    async def not_offered(self) -> list[str]:
        events = await self.centre.store.run(lambda tx: tx.events.after(0, 1000))
        return [e.what.reason for e in events if isinstance(e.what, ConsentNotOffered)]


async def _press(asterisk: FakeAgi, keys: tuple[str | None, ...], after_s: float) -> None:
    for key in keys:
        await asyncio.sleep(after_s)
        if key is not None:
            asterisk.press(key)


@asynccontextmanager
async def stage(*, manager: bool = True, **changes: Any) -> AsyncGenerator[Stage]:
    async with contact_centre(**changes) as centre:
        pbx = FakePbx()
        async with lane(centre, pbx if manager else None) as one:
            yield Stage(centre, pbx, one)


@virtual
async def test_one_allows_sends_and_says_so() -> None:
    async with stage() as on:
        asterisk = caller()
        variables = await on.visit(asterisk, "1")
        call = await on.lane.row()
        [message] = await on.centre.store.run(lambda tx: tx.messages.of_call(call.id))
        assert variables["STATUS"] == "allowed"
        assert variables["CALL_ID"] == call.id
        assert variables["MESSAGE_ID"] == message.id
        assert [sound.rpartition("/")[2] for sound in asterisk.played] == ["consent", "sms_sent"]
        assert asterisk.up
        assert (call.chapter, call.state, call.in_line) == (Chapter.DIALPLAN, "dialplan", False)
        [proof] = await on.centre.store.run(lambda tx: tx.consents.search(number=MOBILE))
        assert (proof.key, proof.outcome) == ("1", "allowed")
        await on.lane.calls.hung_up(call.channel_id)
        assert (await on.lane.row()).end_reason is EndReason.CALLER_HUNG_UP


@virtual
async def test_two_refuses_and_is_asked_no_more() -> None:
    async with stage() as on:
        asterisk = caller()
        assert (await on.visit(asterisk, "2"))["STATUS"] == "denied"
        again = await on.visit(caller(agi_uniqueid=asterisk.headers["agi_uniqueid"]), "1")
        assert (again["STATUS"], again["REASON"]) == ("denied", "already_answered")
        assert await on.sent() == 0


@virtual
async def test_silence_lasts_the_window_and_may_be_asked_again() -> None:
    async with stage() as on:
        asterisk, began = caller(), asyncio.get_running_loop().time()
        assert (await on.visit(asterisk))["STATUS"] == "no_response"
        assert asyncio.get_running_loop().time() - began == pytest.approx(CONSENT_S + WINDOW_S, abs=0.2)
        again = caller(agi_uniqueid=asterisk.headers["agi_uniqueid"])
        assert (await on.visit(again, "1"))["STATUS"] == "allowed"
        assert (await on.lane.row()).consent.rounds == 2


@virtual
async def test_a_key_in_the_last_moment_of_the_window_counts() -> None:
    async with stage() as on:
        assert (await on.visit(caller(), "1", after_s=CONSENT_S + WINDOW_S - 0.1))["STATUS"] == "allowed"


@virtual
async def test_a_wrong_key_brings_the_message_again() -> None:
    async with stage() as on:
        asterisk = caller()
        assert (await on.visit(asterisk, "7", None, "1"))["STATUS"] == "allowed"
        assert [s.rpartition("/")[2] for s in asterisk.played] == [
            "consent",
            "wrong_number",
            "consent",
            "sms_sent",
        ]


@virtual
async def test_a_hang_up_ends_the_call_where_nobody_else_tells_of_it() -> None:
    async with stage(manager=False) as on:
        asterisk = caller()
        asyncio.get_running_loop().call_later(3, asterisk.hang_up)
        assert (await on.visit(asterisk))["STATUS"] == "failed"
        assert (await on.lane.row()).end_reason is EndReason.CALLER_HUNG_UP
        assert await on.sent() == 0


@virtual
async def test_where_the_manager_interface_tells_a_hang_up_waits_for_its_word() -> None:
    """AGI says the same of a caller who was transferred."""
    async with stage() as on:
        asterisk = caller()
        asyncio.get_running_loop().call_later(3, asterisk.hang_up)
        await on.visit(asterisk)
        call = await on.lane.row()
        assert call.chapter is Chapter.DIALPLAN
        assert call.channel_id in on.pbx.known
        await on.lane.calls.hung_up(call.channel_id)
        await on.lane.calls.hung_up(call.channel_id)
        assert (await on.lane.row()).end_reason is EndReason.CALLER_HUNG_UP


@virtual
async def test_without_a_manager_interface_the_call_ends_with_the_visit() -> None:
    async with stage(manager=False) as on:
        assert (await on.visit(caller(), "1"))["STATUS"] == "allowed"
        assert (await on.lane.row()).end_reason is EndReason.WENT_ON
        assert await on.sent() == 1


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("at_s", [2.0, 12.0])
@virtual
async def test_an_engine_that_dies_leaves_the_caller_to_the_dialplan(at_s: float, there: bool) -> None:
    async with stage() as on:
        asterisk = caller()
        visit = asyncio.create_task(on.visit(asterisk))
        await asyncio.sleep(at_s)
        await on.centre.engines[0].crash()
        await on.lane.stop()
        variables = await visit
        assert (variables["STATUS"], variables["REASON"]) == ("failed", "engine_gone")
        call = await on.lane.row()
        assert call.chapter is Chapter.CONSENT
        async with lane(on.centre, on.pbx) as after:
            channels = frozenset({call.channel_id} if there else ())

            async def ask() -> frozenset[str]:
                return channels

            await after.calls.connected(ask)
            call = await after.row()
            assert call.chapter is (Chapter.DIALPLAN if there else Chapter.ENDED)
            assert call.consent.rounds == 0
            if there:
                again = caller(agi_uniqueid=asterisk.headers["agi_uniqueid"])
                asyncio.get_running_loop().call_later(1, again.press, "1")
                await after.visit(again)
                assert again.variables["IVR_WAIT_SMS_STATUS"] == "allowed"
            else:
                assert call.end_reason is EndReason.GONE_DURING_OUTAGE
        assert await on.sent() == there


@virtual
async def test_a_start_without_a_manager_interface_ends_what_was_left() -> None:
    async with stage() as on:
        await on.visit(caller(), "1")
        await on.centre.engines[0].stop()
        await on.lane.stop()
        async with lane(on.centre, None) as after:
            await on.centre.until(lambda: _ended(after), "the call has ended")
            assert (await after.row()).end_reason is EndReason.GONE_DURING_OUTAGE


async def _ended(one: Lane) -> bool:
    return (await one.row()).ended_at is not None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"agi_callerid": "unknown"}, "number_hidden"),
        ({"agi_callingpres": "35"}, "number_hidden"),
        ({"agi_callerid": "+4930123456"}, "cannot_receive_sms"),
        ({"agi_callerid": "4711"}, "number_not_valid"),
        ({"agi_callerid": "+33612345678"}, "country_not_allowed"),
    ],
)
@virtual
async def test_who_is_not_offered_one_is_not_even_answered(headers: dict[str, str], reason: str) -> None:
    async with stage() as on:
        asterisk = caller(**headers)
        variables = await on.visit(asterisk)
        assert (variables["STATUS"], variables["REASON"]) == ("not_offered", reason)
        assert await on.not_offered() == [reason]
        assert not asterisk.up
        assert not asterisk.played


@pytest.mark.parametrize(
    ("queue", "status", "reason"),
    [
        (BUSY, "no_response", ""),
        (AppQueue(waiting=0, agents=2, idle=2, hold_time_s=300), "not_offered", "wait_too_short"),
        (AppQueue(waiting=1, agents=2, idle=0, hold_time_s=20), "not_offered", "wait_too_short"),
        (AppQueue(waiting=9, agents=2, idle=0, hold_time_s=9000), "not_offered", "wait_too_long"),
        (AppQueue(waiting=9, agents=0, idle=0, hold_time_s=60), "not_offered", "wait_unknown"),
        (None, "not_offered", "wait_unknown"),
    ],
)
@virtual
async def test_the_wait_in_the_pbx_s_queue_decides(queue: AppQueue | None, status: str, reason: str) -> None:
    rules = {"wait_time_sms": {"requires_over_capacity": True, "wait_minimum": 60, "wait_maximum": 3000}}
    async with stage(support=rules) as on:
        on.pbx.queues |= {"600": queue} if queue else {}
        variables = await on.visit(caller("queue=support&app_queue=600"))
        assert (variables["STATUS"], variables["REASON"]) == (status, reason)
        assert variables["POSITION"] == (str(queue.position) if queue else "")
        assert variables["HOLD_TIME"] == (f"{queue.hold_time_s:.0f}" if queue else "")


@virtual
async def test_place_and_wait_are_told_where_that_is_asked_for() -> None:
    async with stage(support={"announce_wait": True}) as on:
        on.pbx.queues["support"] = BUSY
        asterisk = caller("queue=support&announce=yes", agi_callerid="unknown")
        await on.visit(asterisk)
        assert [s.rpartition("/")[2] for s in asterisk.played] == ["position.5", "wait.3to10"]


@virtual
async def test_a_pbx_that_hangs_costs_a_second() -> None:
    async with stage() as on:
        on.pbx.hangs = True
        began = asyncio.get_running_loop().time()
        await on.visit(caller(agi_callerid="unknown"))
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0, abs=0.1)


@virtual
async def test_the_agent_of_the_pbx_has_a_ticket_with_what_was_written() -> None:
    async with stage() as on:
        await on.visit(caller(), "1")
        call = await on.lane.row()
        await on.lane.calls.answered(call.channel_id, "Local/601")
        await on.lane.calls.answered(call.channel_id, "Local/601")
        [ticket] = await on.centre.tickets()
        assert (ticket.agent, ticket.call_id, len(ticket.comments)) == ("Local/601", call.id, 1)
        await on.lane.calls.hung_up(call.channel_id)
        [ticket] = await on.centre.tickets()
        await on.lane.calls.answered("pbx/other", "nobody")


@pytest.mark.parametrize(
    ("rule", "writes", "tickets"),
    [("always", False, 1), ("never", True, 0), ("only_with_sms", True, 1), ("only_with_sms", False, 0)],
)
@virtual
async def test_who_gives_up_leaves_a_ticket_by_the_site_s_rule(rule: str, writes: bool, tickets: int) -> None:
    async with stage(abandoned_tickets=rule) as on:
        await on.visit(caller(), "1")
        call = await on.lane.row()
        if writes:
            [ours] = await on.centre.store.run(lambda tx: tx.messages.of_call(call.id))
            text = InboundSms(
                provider_id="in-1", sender=MOBILE, recipient=ours.sender, text="It is broken", media=()
            )
            rules = InboundRules(provider=ours.provider, country="DE")
            await on.centre.store.run(lambda tx: received(tx, text, rules, on.centre.clock.now()))
        await on.lane.calls.hung_up(call.channel_id)
        assert len(await on.centre.tickets()) == tickets
        if tickets and writes:
            [ticket] = await on.centre.tickets()
            assert "It is broken" in {comment.text for comment in ticket.comments}


@virtual
async def test_a_store_that_is_away_keeps_nobody_waiting() -> None:
    async with stage() as on:
        faults = on.centre.engines[0].store.faults
        faults.extend(Unreachable("away") for _ in range(1000))
        began = asyncio.get_running_loop().time()
        variables = await on.visit(caller())
        assert (variables["STATUS"], variables["REASON"]) == ("failed", "store_unavailable")
        assert asyncio.get_running_loop().time() - began < 1
        faults.clear()
        assert await on.centre.all_calls() == []


@pytest.mark.parametrize("manager", [True, False])
@virtual
async def test_a_store_that_goes_away_in_the_message_promises_nothing(manager: bool) -> None:
    async with stage(manager=manager) as on:
        faults = on.centre.engines[0].store.faults
        asyncio.get_running_loop().call_later(0.5, faults.extend, [Unreachable("away")] * 1000)
        began = asyncio.get_running_loop().time()
        variables = await on.visit(caller(), "1")
        assert (variables["STATUS"], variables["REASON"]) == ("failed", "store_unavailable")
        assert asyncio.get_running_loop().time() - began < 6
        faults.clear()
        await on.centre.until(lambda: _let_go(on.lane), "the call is let go of")
        assert await on.sent() == 0


async def _let_go(one: Lane) -> bool:
    return (await one.row()).chapter in (Chapter.DIALPLAN, Chapter.ENDED)


@virtual
async def test_an_engine_that_has_enough_calls_says_so_at_once() -> None:
    async with stage(limits={"calls": 1}) as on:
        first = asyncio.create_task(on.visit(caller()))
        await asyncio.sleep(1)
        variables = await on.visit(caller())
        assert (variables["STATUS"], variables["REASON"]) == ("not_offered", "calls")
        await first


@virtual
async def test_they_are_in_no_line_of_ours_and_offered_to_nobody() -> None:
    async with stage() as on:
        visiting = asyncio.create_task(on.visit(caller()))
        await asyncio.sleep(1)
        ours = await on.centre.call(caller="+4915799999999")
        await on.centre.until(lambda: _waits(on.centre), "our caller waits")
        assert await on.centre.position(ours) == 1
        assert on.centre.switch.channels
        await visiting
        assert [c.chapter for c in await on.centre.all_calls() if c.in_dialplan] == [Chapter.DIALPLAN]
        [theirs] = [c for c in await on.centre.all_calls() if c.in_dialplan]
        with pytest.raises(Refused, match="hang up there"):
            await on.centre.engines[0].reception.hang_up(theirs.id)


async def _waits(centre: Centre) -> bool:
    return any(call.in_line for call in await centre.all_calls())


@virtual
async def test_an_engine_that_drains_answers_at_once() -> None:
    async with stage() as on:
        on.centre.engines[0].admission.drain()
        variables = await on.visit(caller())
        assert (variables["STATUS"], variables["REASON"]) == ("not_offered", "draining")
        assert await on.centre.all_calls() == []
        await on.lane.calls.empty()


@virtual
async def test_a_drain_waits_for_the_visit() -> None:
    async with stage() as on:
        visit = asyncio.create_task(on.visit(caller()))
        await asyncio.sleep(1)
        on.centre.engines[0].admission.drain()
        await on.lane.calls.empty()
        assert (await visit)["STATUS"] == "no_response"


@virtual
async def test_a_queue_that_there_is_not_is_named() -> None:
    async with stage() as on:
        variables = await on.visit(caller("queue=sales"))
        assert (variables["STATUS"], variables["REASON"]) == ("failed", "no_such_queue")
        variables = await on.visit(caller(""))
        assert (variables["STATUS"], variables["REASON"]) == ("failed", "no_such_queue")


@pytest.mark.parametrize(
    ("said", "meant"), [("de", "de"), ("de_AT", "de"), ("DE-at", "de"), ("xx", "en"), ("", "en")]
)
@virtual
async def test_the_caller_s_language(said: str, meant: str) -> None:
    async with stage(languages=["en", "de"]) as on:
        await on.visit(caller(agi_language=said))
        assert (await on.lane.row()).language == meant


@settings(max_examples=60)
@given(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"200 result=49 endpos=1", b"200 result=-1", b"HANGUP", b"511 no", b"520-what"]),
        ),
        max_size=8,
    )
)
def test_whatever_answers_in_place_of_an_asterisk_the_visit_ends(lines: list[bytes]) -> None:
    async def scenario() -> None:
        async with stage() as on:
            asterisk = caller()

            def misbehave() -> None:
                asterisk.mute = True
                for line in lines:
                    asterisk.say(line + b"\n")

            asyncio.get_running_loop().call_later(2, misbehave)
            async with asyncio.timeout(120):
                await on.visit(asterisk)
            await on.centre.until(lambda: _let_go(on.lane), "the call is let go of")
            assert await on.sent() == ((await on.lane.row()).consent.status == "allowed")

    clock.run(scenario(), limit_s=3600)


@settings(max_examples=40)
@given(
    keys=st.lists(st.tuples(st.sampled_from("0123456789*#"), st.floats(0.01, 14)), max_size=6),
    hang_up_s=st.one_of(st.none(), st.floats(0.01, 60)),
    manager=st.booleans(),
)
def test_whatever_a_caller_does_there_is_an_answer_and_at_most_one_text(
    keys: list[tuple[str, float]], hang_up_s: float | None, manager: bool
) -> None:
    async def scenario() -> None:
        async with stage(manager=manager) as on:
            asterisk, at_s = caller(), 0.0
            for key, after_s in keys:
                at_s += after_s
                asyncio.get_running_loop().call_later(at_s, asterisk.press, key)
            if hang_up_s is not None:
                asyncio.get_running_loop().call_later(hang_up_s, asterisk.hang_up)
            status = VisitStatus((await on.visit(asterisk))["STATUS"])
            call = await on.lane.row()
            sent = await on.sent()
            assert sent == (call.consent.status == "allowed")
            if hang_up_s is None:
                assert (status is VisitStatus.ALLOWED) == (sent == 1)
            assert call.chapter is (Chapter.DIALPLAN if manager else Chapter.ENDED)

    clock.run(scenario(), limit_s=3600)
