"""A crash at every step of a call: the next engine goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import CallAdopted
from ivr_engine.errors import ExternalError, NotUp, Rejected, Unreachable
from ivr_engine.sim.people import AgentPhone, Caller, answers, answers_and_hangs_up, declines, does_not_answer
from tests.flow.centre import (
    CONSENT_S,
    POSITION_S,
    Centre,
    contact_centre,
    site,
    virtual,
)
from tests.flow.crashes import OUTAGE_S, failures_at_each_step, restart, successor
from tests.flow.databases import on_both

TOLERANCE_S = 2.0

SECOND_CALLER = "+4915112345601"


# ── one chapter at a time ────────────────────────────────────────────────────────────────────────


@on_both
@virtual
async def test_waiting_the_next_announcement_comes_when_it_would_have_come() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        first, second = await centre.call(), await centre.call(caller=SECOND_CALLER)
        await second.hears_times("position.2", 1)
        await second.hears_no_more("consent")
        await second.hears_prompt("consent")
        second.press("2")
        await asyncio.sleep(1)
        due = {row.channel_id: row.next_announcement_at for row in await centre.all_calls()}
        await engine.crash()
        assert second.hears_now == "music"
        engine = await restart(centre, engine, after_s=2.0)
        await asyncio.sleep(0.5)
        for caller, place in ((first, 1), (second, 2)):
            assert caller.connected
            assert await centre.position(caller) == place
        row = await centre.row(second)
        assert row.next_announcement_at == due[second.channel_id]
        assert row.consent.status is WaitTimeSmsStatus.DENIED
        assert CallAdopted("waiting") in await centre.happened(second)
        await second.hears_times("position.2", 2)
        assert due[second.channel_id] is not None
        late = (centre.clock.now() - due[second.channel_id]).total_seconds()  # type: ignore[operator]
        assert 0 <= late < TOLERANCE_S
        await asyncio.sleep(POSITION_S + CONSENT_S)
        assert len(second.ears.times("consent")) == 1, "a refusal outlives the engine"


@pytest.mark.parametrize("wrong_keys", [0, 2])
@virtual
async def test_in_the_consent_message_it_is_asked_again_in_the_same_round(wrong_keys: int) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        for time in range(wrong_keys):
            await caller.hears_times("consent", time + 1)
            caller.press("9")
        await caller.hears_times("consent", wrong_keys + 1)
        await asyncio.sleep(1.0)
        await engine.crash()
        caller.press("1")  # heard by nobody
        await restart(centre, engine)
        await caller.hears_times("consent", wrong_keys + 2, within_s=POSITION_S + CONSENT_S)
        for _ in range(3 - wrong_keys):
            caller.press("9")
            await caller.hears_prompt("wrong_number", within_s=1)
            await caller.hears_prompt("consent")
        assert (await centre.row(caller)).consent.wrong_keys == 3
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        row = await centre.row(caller)
        assert (row.consent.status, row.consent.rounds) == (WaitTimeSmsStatus.ALLOWED, 1)
        assert len(await centre.messages(caller)) == 1


@virtual
async def test_the_caller_does_not_hear_the_rest_of_the_old_message_before_the_new_one() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await asyncio.sleep(0.5)
        await engine.crash()
        await restart(centre, engine, after_s=0.5)
        await caller.hears_times("consent", 2, within_s=0.5)


@on_both
@virtual
async def test_allowed_but_not_yet_thanked_is_thanked_and_sent_once() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        await engine.crash()
        await caller.hears_prompt("music")
        await restart(centre, engine)
        await caller.hears_times("sms_sent", 2, within_s=1)
        await caller.hears_prompt("music")
        assert len(await centre.messages(caller)) == 1
        assert (await centre.row(caller)).consent.rounds == 1


@pytest.mark.parametrize("answers_after_s", [0.5, 8.0])
@virtual
async def test_ringing_goes_on_or_is_rung_again(answers_after_s: float) -> None:
    """The phone that answers while no engine is there is cut off by the telephone system."""
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(answers_after_s), answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await phone.rings()
        await engine.crash()
        await restart(centre, engine, after_s=2.0)
        await caller.hears_prompt("agent", within_s=10)
        assert len(phone.calls) == (2 if answers_after_s < 2 else 1)
        assert phone.hears_now == "caller"
        assert (await centre.agent("anna")).state is AgentState.ON_CONTACT


@virtual
async def test_an_offer_that_ran_out_during_the_outage_puts_the_caller_back() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", does_not_answer)
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await phone.rings()
        await engine.crash()
        await restart(centre, engine, after_s=25.0)
        await asyncio.sleep(1)
        row = await centre.row(caller)
        assert (row.chapter, row.agent) == (Chapter.WAITING, None)
        assert await centre.position(caller) == 1
        assert len(phone.calls) == 1


@on_both
@virtual
async def test_talking_goes_on_and_its_end_is_noticed() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await engine.crash()
        engine = await restart(centre, engine, after_s=5.0)
        await asyncio.sleep(2)
        assert caller.ears.sounds[-1] == "agent"
        assert len(caller.ears.times("agent")) == 1, "not for a moment interrupted"
        phone.calls[-1].end()
        await caller.ended(within_s=1)
        assert (await centre.row(caller)).end_reason is EndReason.AGENT_HUNG_UP
        assert len(await centre.tickets()) == 1
        await centre.nothing_left()


@pytest.mark.parametrize("during_the_outage", [True, False])
@virtual
async def test_a_call_whose_queue_left_the_configuration_still_ends(during_the_outage: bool) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.1)
        await engine.crash()
        centre.site = site(queues={"sales": {"label": "Sales"}})
        if during_the_outage:
            caller.hang_up()
        engine = await restart(centre, engine)
        await asyncio.sleep(1)
        if not during_the_outage:
            assert caller.ears.sounds[-1] == "agent"
            phone.calls[-1].end()
        await caller.ended(within_s=1)
        await asyncio.sleep(0.1)
        assert (await centre.row(caller)).ended_at is not None
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        await centre.nothing_left()


@virtual
async def test_a_caller_who_comes_back_to_another_engine_belongs_to_that_one() -> None:
    async with contact_centre() as centre:
        first = centre.engine("ivr-1")
        caller = await centre.call()
        await asyncio.sleep(4)
        first.store.faults.append(RuntimeError("a bug"))
        await caller.hears_prompt("fallback")
        await first.crash()
        second = centre.engine("ivr-2")
        await caller.hears_prompt("music")
        assert (await centre.row(caller)).engine == "ivr-2"
        await second.crash()
        centre.engine("ivr-2")
        await asyncio.sleep(1)
        caller.hang_up()
        await asyncio.sleep(1)
        assert (await centre.row(caller)).end_reason is EndReason.CALLER_HUNG_UP


@pytest.mark.parametrize("chapter", ["waiting", "consent", "ringing", "talking"])
@pytest.mark.parametrize("who", ["caller", "agent", "both"])
@virtual
async def test_who_hung_up_during_the_outage_is_ended_properly(chapter: str, who: str) -> None:
    if who != "caller" and chapter in ("waiting", "consent"):
        pytest.skip("no agent yet")
    async with contact_centre() as centre:
        engine = centre.engine()
        phone = centre.phone("anna", does_not_answer if chapter == "ringing" else answers(1.0))
        caller = await centre.call()
        await caller.hears_prompt({"consent": "consent"}.get(chapter, "music"))
        if chapter in ("ringing", "talking"):
            await engine.desk.sign_in("anna")
            await phone.rings()
        if chapter == "talking":
            await caller.hears_prompt("agent")
            await asyncio.sleep(0.1)
        await engine.crash()
        if who in ("caller", "both"):
            caller.hang_up()
        if who in ("agent", "both"):
            phone.calls[-1].end()
        await restart(centre, engine)
        await asyncio.sleep(1)
        row = await centre.row(caller)
        if who == "agent" and chapter == "ringing":
            assert row.chapter in (Chapter.RINGING, Chapter.WAITING)
            return
        assert row.ended_at is not None
        if who != "agent":
            assert row.end_reason is EndReason.GONE_DURING_OUTAGE
        await centre.nothing_left()


@virtual
async def test_a_call_that_came_during_the_outage_hears_the_fallback_and_is_taken_next() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        first = await centre.call()
        await first.hears_prompt("music")
        await engine.crash()
        second = await centre.call(caller=SECOND_CALLER)
        await second.hears_prompt("fallback", within_s=1)
        await restart(centre, engine, after_s=10)
        await second.hears_prompt("music", within_s=3)
        assert [await centre.position(c) for c in (first, second)] == [1, 2]


@virtual
async def test_the_first_in_line_is_still_the_first_to_be_served() -> None:
    async with contact_centre(support={"wrap_up": 5, "label": "S"}) as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0, talks_s=5), answers(1.0))
        await engine.desk.sign_in("anna")
        served = await centre.call()
        await served.hears_prompt("agent")
        line = [await centre.call(caller=f"+491511234570{n}") for n in range(9)]
        await served.ended()
        await asyncio.sleep(1)
        assert (await centre.agent("anna")).state is AgentState.WRAP_UP
        await engine.crash()
        await restart(centre, engine, after_s=10)
        await phone.rings(2)
        await line[0].hears_prompt("agent", within_s=3)


@on_both
@virtual
async def test_fifty_waiting_callers_are_all_adopted_in_order() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        callers = [await centre.call(caller=f"+491511234{n:04d}") for n in range(50)]
        await callers[-1].hears_times("position.more", 1)
        await asyncio.sleep(3)
        for n, caller in enumerate(callers):
            if n % 3:
                caller.press("1" if n % 3 == 1 else "2")
        await asyncio.sleep(0.5)
        before = {c.id: (c.consent, c.entered_at) for c in await centre.all_calls()}
        await engine.crash()
        gone = callers.pop(10)
        gone.hang_up()
        await restart(centre, engine)
        await asyncio.sleep(10)
        after = {c.id: (c.consent, c.entered_at) for c in await centre.all_calls()}
        gone_id = (await centre.row(gone)).id
        for call_id, (consent, entered_at) in before.items():
            if call_id != gone_id:
                assert after[call_id][1] == entered_at
                assert after[call_id][0].status == consent.status
        assert [await centre.position(c) for c in callers] == list(range(1, 50))
        assert all(c.connected for c in callers)
        sent = [len(await centre.messages(c)) for c in callers]
        allowed = [before[(await centre.row(c)).id][0].status is WaitTimeSmsStatus.ALLOWED for c in callers]
        assert sent == [int(a) for a in allowed]


@on_both
@virtual
async def test_a_second_crash_while_resuming() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        for _ in range(10):
            await engine.crash()
            engine = await restart(centre, engine, after_s=0.05)
            await asyncio.sleep(0.02)
        caller.press("1")
        await asyncio.sleep(1)
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=60)
        assert len(await centre.messages(caller)) == 1
        assert len(await centre.rows(caller)) == 1


@pytest.mark.parametrize("error", [Unreachable("no answer"), Rejected("500"), NotUp("412")])
@virtual
async def test_who_cannot_be_adopted_at_once_is_within_seconds(error: ExternalError) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        place = (await centre.row(caller)).entered_at
        await engine.crash()
        engine = centre.engine()
        engine.telephony.faults["adopt"] = [error]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with capture_logs() as lines:
            await caller.hears_times("consent", 2, within_s=10.0)
        assert [line["event"] for line in lines] == ["call.not_adopted"]
        assert (await centre.row(caller)).entered_at == place
        assert "fallback" not in caller.ears.sounds


# ── every step ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Story:
    """A call played to an engine that may die on the way; ``check`` holds whenever it died."""

    play: Callable[[Centre, Caller, AgentPhone], Awaitable[None]]
    behaviour: Callable[[], tuple[Callable[..., None], ...]]


async def _allows(centre: Centre, caller: Caller, phone: AgentPhone) -> None:
    await caller.hears_prompt("consent")
    caller.press("1")


async def _refuses_after_a_wrong_key(centre: Centre, caller: Caller, phone: AgentPhone) -> None:
    await caller.hears_prompt("consent")
    caller.press("9")
    await caller.hears_times("consent", 2)
    caller.press("2")


async def _says_nothing(centre: Centre, caller: Caller, phone: AgentPhone) -> None:
    await caller.hears_prompt("consent")


STORIES = {
    "allows and talks": Story(_allows, lambda: (answers(2.0, talks_s=6.0),)),
    "refuses, first agent's phone declines": Story(
        _refuses_after_a_wrong_key, lambda: (declines(1.0), answers(2.0, talks_s=6.0))
    ),
    "silent, agent hangs up at once": Story(
        _says_nothing, lambda: (answers_and_hangs_up(), answers(2.0, talks_s=6.0))
    ),
}


async def _tell(story: Story, last_step: int | None) -> list[str]:
    """Play the story with an engine that dies after ``last_step`` steps; then let the next one finish it.
    Returns the steps the first engine took."""
    async with contact_centre() as centre:
        phone = centre.phone("anna", *story.behaviour())
        engine = centre.engine(last_step=last_step)
        other = await centre.call(caller=SECOND_CALLER, number="701")  # before the caller in the line
        await asyncio.sleep(0.2)
        caller = await centre.call()
        async with asyncio.TaskGroup() as group:
            played = group.create_task(_people(centre, story, caller, other, phone))
            next_one = group.create_task(successor(centre, engine))
            await played
            next_one.cancel()
        await _as_if_nothing_had_happened(centre, caller, other)
        return engine.life.steps


async def _people(centre: Centre, story: Story, caller: Caller, other: Caller, phone: AgentPhone) -> None:
    await story.play(centre, caller, phone)
    await asyncio.sleep(14)
    other.hang_up()
    while caller.connected:
        await _sign_in_by_hand(centre)
        await asyncio.sleep(1.0)
    await asyncio.sleep(OUTAGE_S + 3)


async def _sign_in_by_hand(centre: Centre) -> None:
    """The agent sits before the desk of whichever engine lives."""
    living = [e for e in centre.engines if not e.life.dead.is_set()]
    agents = await centre.store.run(lambda tx: tx.agents.all())
    states = {a.name: a.state for a in agents}
    if living and states.get("anna", AgentState.OFFLINE) in (AgentState.OFFLINE, AgentState.RONA):
        try:
            await living[-1].desk.sign_in("anna")
        except asyncio.CancelledError:
            if not living[-1].life.dead.is_set():
                raise


async def _as_if_nothing_had_happened(centre: Centre, caller: Caller, other: Caller) -> None:
    assert "agent" in caller.ears.sounds, str(caller.ears)
    in_line = caller.ears.sounds[caller.ears.sounds.index("music") :]
    assert "fallback" not in in_line, str(caller.ears)
    rows = await centre.rows(caller)
    assert len(rows) == 1, f"one call became {[(r.chapter, r.end_reason) for r in rows]}: {caller.ears}"
    assert rows[0].end_reason is not None
    ledger, sent = await centre.ledger(caller), await centre.messages(caller)
    allowed = [r for r in ledger if r.outcome is WaitTimeSmsStatus.ALLOWED]
    assert len(sent) == len(allowed) <= 1
    settled = [r for r in ledger if r.outcome is not WaitTimeSmsStatus.NO_RESPONSE]
    assert len(settled) <= 1
    assert not settled or rows[0].consent.status is settled[0].outcome
    assert len([t for t in await centre.tickets() if t.call_id == rows[0].id]) == 1
    assert (await centre.row(other)).ended_at is not None
    gap = max((b - a for a, b in _gaps(caller)), default=0.0)
    assert gap < OUTAGE_S + TOLERANCE_S, f"silent for {gap:.1f} s: {caller.ears}"
    await centre.nothing_left()


def _gaps(caller: Caller) -> list[tuple[float, float]]:
    heard = caller.hears
    return [(a.t, b.t) for a, b in pairwise(heard) if a.what == "silence"]


def _failures(story: Story, every: int = 1) -> list[str]:
    return failures_at_each_step(lambda last_step: _tell(story, last_step), at_least=80, every=every)


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_every_step(name: str) -> None:
    failures = _failures(STORIES[name])
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_crash_on_postgresql() -> None:
    """Commits are what differs, and a step lies before and after each: every tenth is every kind of them."""
    failures = _failures(STORIES["refuses, first agent's phone declines"], every=10)
    assert not failures, "\n".join(failures)
