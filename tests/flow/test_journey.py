"""The journey of one caller: the line, the announcements, the ticket."""

from __future__ import annotations

import asyncio

import pytest

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import (
    AgentConnected,
    AgentOffered,
    CallFinished,
    CallStarted,
    ConsentAsked,
    ConsentGiven,
    ContactIdentified,
    MessageQueued,
    PositionAnnounced,
    QueueEntered,
    TicketOpened,
)
from ivr_engine.sim.people import answers, does_not_answer
from tests.flow.centre import CONSENT_S, INTERVAL_S, MOBILE, POSITION_S, contact_centre, virtual
from tests.flow.databases import on_both

SOON = pytest.approx  # times are exact but for a few milliseconds of travel and commits
TRAVEL_S = 0.1


@on_both
@virtual
async def test_from_the_first_ring_to_the_ticket() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(2.0, talks_s=30.0))
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        await caller.hears_prompt("music")
        await engine.desk.sign_in("anna")
        await phone.rings()
        await caller.hears_prompt("agent")
        assert phone.hears_now == "caller"
        assert (await centre.agent("anna")).state is AgentState.ON_CONTACT
        await caller.ended()

        row = await centre.row(caller)
        assert (row.chapter, row.end_reason) == (Chapter.ENDED, EndReason.AGENT_HUNG_UP)
        assert [type(h) for h in await centre.happened(caller)] == [
            CallStarted,
            QueueEntered,
            PositionAnnounced,
            ConsentAsked,
            ConsentGiven,
            MessageQueued,
            AgentOffered,
            TicketOpened,
            ContactIdentified,
            AgentConnected,
            CallFinished,
        ]
        [ticket] = await centre.tickets()
        assert (ticket.call_id, ticket.agent, ticket.caller) == (row.id, "anna", MOBILE)
        assert [c.text for c in ticket.comments] == ["Example: answer here"]
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        await centre.nothing_left()


@pytest.mark.parametrize("signalled", ["4711", "0151-1234"])
@virtual
async def test_a_number_that_is_not_valid_is_shown_as_it_was_signalled(signalled: str) -> None:
    async with contact_centre() as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call(caller=signalled)
        await phone.rings()
        digits = signalled.replace("-", "")
        assert [c.caller for c in centre.switch.channels.values() if not c.inbound] == [digits]
        await caller.hears_prompt("agent")
        await asyncio.sleep(1)
        assert (await centre.row(caller)).caller == digits
        assert [ticket.caller for ticket in await centre.tickets()] == [digits]


@virtual
async def test_the_caller_hears_ringing_then_music_and_a_round_at_each_interval() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_times("consent", 3)
        sounds = [s for s in caller.ears.sounds if s != "silence"]
        assert sounds[:2] == ["ringing", "music"]
        for begins in caller.ears.times("ringing"):
            assert caller.ears.times("music")[0] - begins < TRAVEL_S
        entered = caller.ears.times("music")[0]
        first, second, third = caller.ears.times("position.1")
        round_s = POSITION_S + CONSENT_S + 10.0
        assert first == SOON(entered + INTERVAL_S, abs=TRAVEL_S)
        assert second == SOON(first + round_s + INTERVAL_S, abs=TRAVEL_S)
        assert third == SOON(second + round_s + INTERVAL_S, abs=TRAVEL_S)


@virtual
async def test_a_queue_may_announce_at_other_times_and_without_the_position() -> None:
    queue = {"announcement_interval": 40, "first_announcement": 3, "announce_position": False}
    async with contact_centre(support=queue | {"label": "S", "wait_time_sms": {"enabled": False}}) as centre:
        centre.engine()
        caller = await centre.call()
        await asyncio.sleep(200)
        assert set(caller.ears.sounds) <= {"ringing", "silence", "music"}

    queue["wait_time_sms"] = {"requires_over_capacity": False}  # type: ignore[assignment]
    async with contact_centre(support=queue) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_times("consent", 2)
        first, second = (t - caller.hears[0].t for t in caller.ears.times("consent"))
        assert first == SOON(3, abs=TRAVEL_S)
        assert second == SOON(3 + CONSENT_S + 10 + 40, abs=TRAVEL_S)


@on_both
@virtual
async def test_positions_follow_arrival_and_priority_and_move_up() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        callers = [await centre.call(caller=f"+491511234560{n}") for n in range(4)]
        await asyncio.sleep(1)
        urgent = await centre.call("701", caller="+4915112345699")
        await asyncio.sleep(1)
        assert await centre.position(urgent) == 1
        assert [await centre.position(c) for c in callers] == [2, 3, 4, 5]

        callers[1].hang_up()
        await asyncio.sleep(1)
        assert [await centre.position(c) for c in (callers[0], *callers[2:])] == [2, 3, 4]
        centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        await urgent.hears_prompt("agent")
        assert [await centre.position(c) for c in (callers[0], *callers[2:])] == [1, 2, 3]


@virtual
async def test_the_caller_who_has_waited_longest_is_served_first_by_the_agent_longest_idle() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        ben, anna = centre.phone("ben", answers(1.0)), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("ben")
        await asyncio.sleep(5)
        await engine.desk.sign_in("anna")
        first = await centre.call(caller="+4915112345601")
        await first.hears_prompt("agent")
        assert (len(ben.calls), len(anna.calls)) == (1, 0)
        second = await centre.call(caller="+4915112345602")
        await second.hears_prompt("agent")
        assert (len(ben.calls), len(anna.calls)) == (1, 1)

        waiting = [await centre.call(caller=f"+491511234561{n}") for n in range(3)]
        await asyncio.sleep(3)
        for each in (second, first):
            each.hang_up()
            await asyncio.sleep(5)
        assert [c.hears_now == "agent" for c in waiting] == [True, True, False]


@virtual
async def test_wrap_up_keeps_the_agent_from_the_next_caller_until_it_is_over() -> None:
    async with contact_centre(
        support={"label": "S", "wrap_up": 30, "wait_time_sms": {"enabled": False}}
    ) as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0, talks_s=10))
        await engine.desk.sign_in("anna")
        first, second = await centre.call(), await centre.call(caller="+4915112345601")
        await first.ended()
        assert (await centre.agent("anna")).state is AgentState.WRAP_UP
        await phone.rings(2)
        assert phone.rang_at[1] - first.ears.times("end")[0] == SOON(30, abs=TRAVEL_S)
        await second.hears_prompt("agent")


@virtual
async def test_either_side_may_hang_up_and_the_other_is_gone_within_a_second() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        caller.hang_up()
        await phone.is_free(within_s=1.0)
        assert (await centre.row(caller)).end_reason is EndReason.CALLER_HUNG_UP

        other = await centre.call(caller="+4915112345601")
        await other.hears_prompt("agent")
        phone.calls[-1].end()
        await other.ended(within_s=1.0)
        assert (await centre.row(other)).end_reason is EndReason.AGENT_HUNG_UP
        await centre.nothing_left()


@virtual
async def test_a_number_that_leads_nowhere_says_so_and_hangs_up() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call("799")
        await caller.hears_prompt("not_in_service", within_s=1.0)
        await caller.ended()
        assert "fallback" not in caller.ears.sounds
        assert await centre.all_calls() == []


@virtual
async def test_a_ring_cuts_an_announcement_short_and_the_round_does_not_count() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", does_not_answer)
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await asyncio.sleep(1)
        await engine.desk.sign_in("anna")
        await phone.rings()
        await caller.hears_prompt("music", within_s=0.5)
        row = await centre.row(caller)
        assert (row.chapter, row.consent.rounds, row.consent.status) == (Chapter.RINGING, 0, None)
        caller.press("1")  # during the music
        await phone.stops_ringing()
        await asyncio.sleep(1)
        assert (await centre.row(caller)).consent.status is None
        assert await centre.ledger(caller) == []


def test_the_same_seed_gives_the_same_calls() -> None:
    async def day() -> list[tuple[float, str]]:
        async with contact_centre() as centre:
            engine = centre.engine()
            centre.phone("anna", answers(2.0, talks_s=20.0))
            await engine.desk.sign_in("anna")
            callers = [await centre.call(caller=f"+491511234560{n}") for n in range(4)]
            await callers[-1].hears_prompt("agent")
            return [(heard.t, heard.what) for caller in callers for heard in caller.hears]

    from ivr_engine.sim import clock

    assert clock.run(day(), seed=7) == clock.run(day(), seed=7)
    assert clock.run(day(), seed=7) != clock.run(day(), seed=8)
