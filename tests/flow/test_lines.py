"""Lines in virtual time: whose turn it is, who helps after a while, how callers leave without an agent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.acd.phones import PhoneWatch
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import AgentOffered, LineLeft, QueueClosed, QueueSwitched, WrappedUp
from ivr_engine.domain.switches import ALL, Switch
from ivr_engine.errors import Refused
from ivr_engine.sim.people import Caller, answers, call, declines
from tests.flow.centre import MOBILE, Centre, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, successor

OTHER = "+4915112345601"


def queue(**settings: Any) -> dict[str, Any]:
    return {"label": "Queue", "wait_time_sms": {"enabled": False}, "announce_position": False} | settings


def agent(*queues: str, **settings: Any) -> dict[str, Any]:
    return {"label": "Agent", "queues": queues or ("support",)} | settings


SKILLED: dict[str, Any] = {
    "skills": {"french": "French", "billing": "Billing"},
    "agents": {
        "anna": agent("support", skills={"french": 3}),
        "ben": agent("support", skills={"french": 8, "billing": 2}),
        "cleo": agent("sales"),
    },
    "numbers": {
        "700": {"queue": "support"},
        "701": {"queue": "support", "skills": {"french": 5}},
        "702": {"queue": "sales"},
        "800": {"flow": "main"},
    },
}


async def waits(caller: Caller) -> None:
    await caller.hears_prompt("music")


async def talks_with(centre: Centre, caller: Caller) -> str | None:
    await caller.hears_prompt("agent")
    return (await centre.row(caller)).agent


def staff(centre: Centre, *names: str, talks_s: float | None = None) -> None:
    for name in names:
        centre.phone(name, answers(1.0, talks_s))


@virtual
async def test_a_required_skill_passes_by_an_agent_who_has_been_idle_longer() -> None:
    async with contact_centre(queues={"support": queue(), "sales": queue()}, **SKILLED) as centre:
        engine = centre.engine()
        staff(centre, "anna", "ben")
        await engine.desk.sign_in("anna")
        await asyncio.sleep(5)
        await engine.desk.sign_in("ben")
        assert await talks_with(centre, await centre.call("701")) == "ben"
        assert await talks_with(centre, await centre.call("700", OTHER)) == "anna"


@virtual
async def test_a_flow_sets_priority_skills_and_variables_on_the_way() -> None:
    nodes: dict[str, Any] = {
        "note": {
            "set": {
                "priority": 7,
                "skills": {"billing": 2},
                "variables": {"case": "4711"},
                "then": "in",
            }
        },
        "in": {"queue": {"name": "support", "skills": {"french": 4}}},
    }
    flows = {"main": {"start": "note", "nodes": nodes}}
    queues = {"support": queue(), "sales": queue()}
    async with contact_centre(queues=queues, flows=flows, **SKILLED) as centre:
        engine = centre.engine()
        staff(centre, "anna", "ben")
        await engine.desk.sign_in("anna")
        caller = await centre.call("800")
        await waits(caller)
        await asyncio.sleep(60)
        row = await centre.row(caller)
        assert (row.priority, row.routing.skills, row.where.variables) == (
            7,
            {"billing": 2, "french": 4},
            {"case": "4711"},
        )
        await engine.desk.sign_in("ben")
        assert await talks_with(centre, caller) == "ben"


@virtual
async def test_overflow_asks_lower_levels_then_other_queues_after_the_seconds_given() -> None:
    steps = [
        {"after": 30, "skills": {"french": 3}},
        {"after": 50, "queues": ["sales"], "skills": {"french": 0}},
    ]
    queues = {"support": queue(overflow=steps), "sales": queue()}
    async with contact_centre(queues=queues, **SKILLED) as centre:
        engine = centre.engine()
        staff(centre, "anna", "cleo")
        began = asyncio.get_running_loop().time()
        first, second = await centre.call("701"), await centre.call("701", OTHER)
        await asyncio.sleep(1)
        for name in ("anna", "cleo"):
            await engine.desk.sign_in(name)
        assert await talks_with(centre, first) == "anna"
        assert asyncio.get_running_loop().time() - began == pytest.approx(31, abs=0.5)
        assert await talks_with(centre, second) == "cleo"
        assert asyncio.get_running_loop().time() - began == pytest.approx(51, abs=0.5)


@virtual
async def test_vip_numbers_come_first_and_nobody_else_overtakes() -> None:
    async with contact_centre(
        queues={"support": queue()}, vip={"numbers": [OTHER], "priority": 50}
    ) as centre:
        engine = centre.engine()
        first = await centre.call("700")
        second = await centre.call("700", "+4915112345602")
        third = await centre.call("700", OTHER)
        await waits(third)
        assert [await centre.position(c) for c in (third, first, second)] == [1, 2, 3]
        centre.phone("anna", answers(1.0, talks_s=5.0))
        await engine.desk.sign_in("anna")
        for caller in (third, first, second):
            await caller.hears_prompt("agent")


@virtual
async def test_the_agent_last_spoken_to_is_waited_for_a_while() -> None:
    support = queue(last_agent={"wait": 20})
    async with contact_centre(queues={"support": support}) as centre:
        engine = centre.engine()
        staff(centre, "anna", "ben", talks_s=10.0)
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        assert await talks_with(centre, caller) == "anna"
        await caller.ended()
        occupied = await centre.call("700", OTHER)
        assert await talks_with(centre, occupied) == "anna"
        await engine.desk.sign_in("ben")
        again = await centre.call()
        assert await talks_with(centre, again) == "anna", "free again within 20 s: ben was idle all the time"
        await again.ended()
        await engine.desk.sign_out("anna")
        assert await talks_with(centre, await centre.call()) == "ben", "nobody waits for one who is out"


@virtual
async def test_an_allowed_decline_leaves_the_agent_available_and_does_not_ring_at_once_again() -> None:
    support = queue(may_decline=True, declined_pause=30)
    async with contact_centre(queues={"support": support}) as centre:
        engine = centre.engine()
        anna = centre.phone("anna", declines(1.0), answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await anna.rings()
        await anna.stops_ringing()
        await asyncio.sleep(1)
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        row = await centre.row(caller)
        assert (row.chapter, await centre.position(caller)) == (Chapter.WAITING, 1)
        await anna.rings(2)
        assert anna.rang_at[1] - anna.rang_at[0] == pytest.approx(31, abs=1)
        await caller.hears_prompt("agent")


# ── leaving without an agent ─────────────────────────────────────────────────────────────────────


@virtual
async def test_the_maximum_wait_ends_with_a_sentence() -> None:
    async with contact_centre(queues={"support": queue(maximum_wait={"after": 60})}) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("too_long", within_s=70)
        assert asyncio.get_running_loop().time() == pytest.approx(60, abs=1)
        await caller.ended()
        row = await centre.row(caller)
        assert (row.end_reason, row.queue) == (EndReason.SAID_GOODBYE, "support")
        assert LineLeft("support", "maximum_wait") in await centre.happened(caller)
        await centre.nothing_left()


@virtual
async def test_the_maximum_wait_leads_to_another_queue_where_the_time_waited_counts() -> None:
    queues = {"support": queue(maximum_wait={"after": 30, "queue": "sales"}), "sales": queue()}
    async with contact_centre(queues=queues, **SKILLED) as centre:
        engine = centre.engine()
        first = await centre.call("700")
        await asyncio.sleep(10)
        second = await centre.call("702", OTHER)
        await asyncio.sleep(30)
        row = await centre.row(first)
        assert (row.queue, row.chapter) == ("sales", Chapter.WAITING)
        assert [await centre.position(c) for c in (first, second)] == [1, 2]
        staff(centre, "cleo")
        await engine.desk.sign_in("cleo")
        assert await talks_with(centre, first) == "cleo"
        assert second.hears_now == "music"


@virtual
async def test_the_maximum_wait_leads_through_a_flow() -> None:
    nodes: dict[str, Any] = {
        "sorry": {"play": {"prompt": "sorry", "then": "mail"}},
        "mail": {"voicemail": {"then": "bye"}},
        "bye": {"hang_up": {}},
    }
    flows = {"late": {"start": "sorry", "nodes": nodes}}
    support = queue(maximum_wait={"after": 30, "flow": "late"})
    async with contact_centre(queues={"support": support}, flows=flows) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("sorry", within_s=40)
        await caller.hears_prompt("voicemail")
        await caller.hears_prompt("goodbye")
        await caller.ended()


@virtual
async def test_who_is_ringing_when_the_maximum_wait_passes_is_served() -> None:
    async with contact_centre(queues={"support": queue(maximum_wait={"after": 30})}) as centre:
        engine = centre.engine()
        centre.phone("anna", answers(10.0))
        caller = await centre.call()
        await asyncio.sleep(25)
        await engine.desk.sign_in("anna")
        await caller.hears_prompt("agent")
        assert "too_long" not in caller.ears.sounds


@virtual
async def test_when_the_last_agent_leaves_callers_leave_after_a_moment() -> None:
    support = queue(no_agents={"after": 20})
    async with contact_centre(queues={"support": support}) as centre:
        engine = centre.engine()
        centre.phone("ben", declines(1.0))
        for name in ("anna", "ben"):
            await engine.desk.sign_in(name)
            await engine.desk.take_break(name, None)
        caller = await centre.call()
        await waits(caller)
        await asyncio.sleep(100)
        await engine.desk.sign_out("anna")
        await engine.desk.sign_out("ben")
        await asyncio.sleep(10)
        await engine.desk.sign_in("ben")
        await asyncio.sleep(60)
        assert caller.hears_now == "music", "somebody came back in time, though only to fall into RONA"
        await engine.desk.sign_out("ben")
        left_at = asyncio.get_running_loop().time()
        await caller.hears_prompt("nobody_there", within_s=30)
        assert asyncio.get_running_loop().time() - left_at == pytest.approx(20, abs=1)
        await caller.ended()
        late = await centre.call("700", OTHER)
        await late.hears_prompt("nobody_there", within_s=1)


@virtual
async def test_the_emergency_switch_empties_a_queue_and_keeps_it_closed() -> None:
    queues = {"support": queue(), "sales": queue()}
    async with contact_centre(queues=queues, **SKILLED) as centre:
        engine = centre.engine()
        staff(centre, "anna")
        talking = await centre.call("700", "+4915112345603")
        await engine.desk.sign_in("anna")
        await talking.hears_prompt("agent")
        waiting, elsewhere = await centre.call("700"), await centre.call("702", OTHER)
        await waits(waiting)
        await engine.switchboard.close("support", "fire")
        await waiting.hears_prompt("fire", within_s=1)
        await waiting.ended()
        assert LineLeft("support", "emergency") in await centre.happened(waiting)
        late = await centre.call("700", "+4915112345604")
        await late.hears_prompt("fire", within_s=1)
        assert QueueClosed("support") in await centre.happened(late)
        assert (elsewhere.hears_now, talking.hears_now) == ("music", "agent")
        await engine.crash()
        engine = centre.engine("ivr-1")
        later = await centre.call("700", "+4915112345605")
        await later.hears_prompt("fire", within_s=3)
        assert await engine.switchboard.open("support")
        assert not await engine.switchboard.open("support")
        last = await centre.call("700", "+4915112345606")
        await waits(last)
        every = await centre.store.run(lambda tx: tx.events.after(0, 10_000))
        switched = [e.what for e in every if isinstance(e.what, QueueSwitched)]
        assert switched == [QueueSwitched("support", "fire"), QueueSwitched("support", None)]


@virtual
async def test_the_switch_for_all_reaches_everybody_who_waits_or_calls() -> None:
    queues = {"support": queue(), "sales": queue()}
    flows = {"main": {"start": "in", "nodes": {"in": {"queue": {"name": "sales"}}}}}
    async with contact_centre(queues=queues, flows=flows, **SKILLED) as centre:
        engine = centre.engine()
        callers = [await centre.call(number, f"+491511234560{n}") for n, number in enumerate(("700", "702"))]
        for caller in callers:
            await waits(caller)
        await engine.switchboard.close(ALL)
        for caller in callers:
            await caller.hears_prompt("emergency", within_s=1)
        new = await centre.call("800", OTHER)
        await new.hears_prompt("emergency", within_s=1)
        with pytest.raises(Refused, match="no queue 'x'"):
            await engine.switchboard.close("x")


@virtual
async def test_nobody_of_a_closed_queue_is_offered_until_it_is_opened() -> None:
    """Whoever keeps a place without being on the line (a callback) does not hear the message."""
    async with contact_centre(queues={"support": queue(first_announcement=60)}) as centre:
        engine = centre.engine()
        anna = centre.phone("anna", answers(1.0))
        caller = await centre.call()
        await asyncio.sleep(1)
        await centre.store.run(
            lambda tx: tx.queues.close(Switch(queue=ALL, prompt="fire", since=centre.clock.now()))
        )
        await engine.desk.sign_in("anna")
        await asyncio.sleep(5)
        assert not anna.calls
        assert await engine.switchboard.open(ALL)
        await caller.hears_prompt("agent", within_s=3)


@virtual
async def test_who_was_not_called_when_the_line_was_closed_hears_it_with_the_next_round() -> None:
    """Another engine closed it."""
    async with contact_centre(queues={"support": queue()}) as centre:
        centre.engine()
        caller = await centre.call()
        await waits(caller)
        await centre.store.run(
            lambda tx: tx.queues.close(Switch(queue="support", prompt="fire", since=centre.clock.now()))
        )
        await caller.hears_prompt("fire", within_s=10)
        assert "position.1" not in str(caller.ears)


# ── ways in ──────────────────────────────────────────────────────────────────────────────────────


ACCESS = {"trunks": ["pbx"], "points": {"vip-desk": {"queue": "sales", "priority": 9, "language": "de"}}}


@pytest.mark.parametrize(
    ("trunk", "header", "queue_reached"),
    [
        ("pbx", "vip-desk", "sales"),
        ("pbx", " VIP-Desk ", "sales"),
        ("other", "vip-desk", "support"),
        ("", "vip-desk", "support"),
        ("pbx", "nowhere", "support"),
        ("pbx", "", "support"),
        ("pbx", "vip-desk\r\nX: y", "support"),
    ],
)
@virtual
async def test_a_header_of_a_trusted_trunk_is_a_direct_access_point(
    trunk: str, header: str, queue_reached: str
) -> None:
    queues = {"support": queue(), "sales": queue()}
    async with contact_centre(queues=queues, access_points=ACCESS, **SKILLED) as centre:
        centre.engine()
        headers = {"X-IVR-Access": header} if header else {}
        channel = centre.switch.call_in(MOBILE, "700", trunk=trunk, headers=headers)
        caller = Caller(centre.switch, channel)
        await waits(caller)
        row = await centre.row(caller)
        assert row.queue == queue_reached
        assert (row.priority, row.language) == ((9, "de") if queue_reached == "sales" else (0, "en"))


# ── agents ───────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_breaks_and_wrap_up_keep_callers_away() -> None:
    support = queue(wrap_up=60, wrap_up_reason="required")
    async with contact_centre(
        queues={"support": support}, break_reasons={"lunch": "Lunch"}, wrap_up_reasons={"sold": "Sold"}
    ) as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0, talks_s=5.0))
        await engine.desk.sign_in("anna")
        first = await centre.call()
        await first.hears_prompt("agent")
        with pytest.raises(Refused, match="needs a reason: one of lunch"):
            await engine.desk.take_break("anna", None)
        await engine.desk.take_break("anna", "lunch")
        await first.ended()
        await asyncio.sleep(1)
        anna = await centre.agent("anna")
        assert (anna.state, anna.next_break, anna.queue) == (AgentState.WRAP_UP, "lunch", "support")
        with pytest.raises(Refused, match="wrap-up reason"):
            await engine.desk.sign_in("anna")
        second = await centre.call("700", OTHER)
        await engine.desk.wrap_up("anna", "sold")
        assert (await centre.agent("anna")).state is AgentState.ON_BREAK
        assert WrappedUp("anna", "sold") in await centre.happened(first)
        await asyncio.sleep(100)
        assert len(phone.calls) == 1
        await engine.desk.come_back("anna")
        await second.hears_prompt("agent", within_s=3)
        await second.ended()
        third = await centre.call("700", "+4915112345602")
        ended = asyncio.get_running_loop().time()
        await third.hears_prompt("agent")
        assert asyncio.get_running_loop().time() - ended == pytest.approx(61, abs=1.5), (
            "the limit, then a ring"
        )
        assert WrappedUp("anna", "time_up") in await centre.happened(second)


@virtual
async def test_states_survive_a_crash() -> None:
    support = queue(wrap_up=60)
    async with contact_centre(queues={"support": support}) as centre:
        engine = centre.engine()
        staff(centre, "anna", "ben", "cleo", talks_s=5.0)
        await engine.desk.sign_in("anna")
        first = await centre.call()
        await first.ended()
        await engine.desk.sign_in("ben")
        await engine.desk.take_break("ben", None)
        await engine.crash()
        centre.engine("ivr-1")
        second = await centre.call("700", OTHER)
        await asyncio.sleep(40)
        assert [(await centre.agent(n)).state for n in ("anna", "ben")] == [
            AgentState.WRAP_UP,
            AgentState.ON_BREAK,
        ]
        assert second.hears_now == "music"
        assert await talks_with(centre, second) == "anna", "when the wrap-up begun before the crash was over"


@virtual
async def test_an_agent_whose_phone_vanishes_is_out() -> None:
    async with contact_centre(queues={"support": queue()}) as centre:
        engine = centre.engine()
        anna_s, ben_s = centre.phone("anna", answers(1.0)), centre.phone("ben", answers(1.0))
        watch = PhoneWatch(engine.telephony, engine.desk.vanished)
        looking = asyncio.create_task(watch.run())
        for name in ("anna", "ben"):
            await engine.desk.sign_in(name)
        await asyncio.sleep(15)
        ben_s.registered = False
        await asyncio.sleep(9)
        ben_s.registered = True  # registered anew
        anna_s.registered = False
        await asyncio.sleep(25)
        anna = await centre.agent("anna")
        assert (anna.state, anna.reason) == (AgentState.OFFLINE, "phone_gone")
        caller = await centre.call()
        assert await talks_with(centre, caller) == "ben"
        assert [h.agent for h in await centre.happened(caller) if isinstance(h, AgentOffered)] == ["ben"]
        ben_s.registered = False
        await asyncio.sleep(60)
        assert (await centre.agent("ben")).state is AgentState.ON_CONTACT, "the call shows whether it is up"
        await engine.desk.vanished("nobody")
        looking.cancel()
        await asyncio.wait([looking])


@virtual
async def test_signing_in_twice_changes_nothing() -> None:
    async with contact_centre(queues={"support": queue()}) as centre:
        engine = centre.engine()
        first = await engine.desk.sign_in("anna")
        await asyncio.sleep(60)
        assert await engine.desk.sign_in("anna") == first
        assert await call(centre.switch, MOBILE, "700")


# ── killed anywhere ──────────────────────────────────────────────────────────────────────────────


async def _handed_on(last_step: int | None) -> list[str]:
    """Ten seconds in one line, ten in the next, then the last words; returns the first engine's steps."""
    queues = {
        "support": queue(maximum_wait={"after": 10, "queue": "sales"}),
        "sales": queue(maximum_wait={"after": 10}),
    }
    async with contact_centre(queues=queues, **SKILLED) as centre:
        engine = centre.engine(last_step=last_step)
        caller = await centre.call("700")
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            await caller.ended(within_s=60)
            next_one.cancel()
        await asyncio.sleep(4)
        assert "too_long" in caller.ears.sounds
        left = [h for h in await centre.happened(caller) if isinstance(h, LineLeft)]
        assert left == [LineLeft("support", "maximum_wait"), LineLeft("sales", "maximum_wait")]
        row = await centre.row(caller)
        assert (row.queue, row.end_reason) == ("sales", EndReason.SAID_GOODBYE)
        await centre.nothing_left()
        return engine.life.steps


def test_killed_at_any_step_a_caller_leaves_each_line_once() -> None:
    failures = failures_at_each_step(_handed_on, at_least=20)
    assert not failures, "\n".join(failures)
