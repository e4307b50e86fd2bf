"""CRMs that hang, fail and talk nonsense; engines that are killed while they tell them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.crm import Kind, Posting
from ivr_engine.domain.messages import Purpose
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Rejected, Unreachable
from ivr_engine.messaging.crm_lane import CrmPolicy
from ivr_engine.sim.crm import HANGS_S, SimCrm
from ivr_engine.sim.people import Caller
from tests.figures import Figure
from tests.flow.centre import virtual
from tests.flow.crm_rig import QUICK, Desk, desk
from tests.flow.databases import on_both

TROUBLES: dict[str, Callable[[], Exception | float]] = {
    "hangs": lambda: HANGS_S,
    "answers after 30 s": lambda: 30.0,
    "answers 500": lambda: ExternalError("it answered with status 500"),
    "answers garbage": lambda: Unreachable("the request failed (bad http message)"),
    "has an adapter with a fault": lambda: ZeroDivisionError("a fault of its own"),
}


def in_order(ledger: list[Posting]) -> bool:
    """Of each call the opening first and the transcript last, everything in the order of the events."""
    for call in {each.conversation.id for each in ledger}:
        kinds = [each.kind for each in ledger if each.conversation.id == call]
        if kinds[0] is not Kind.CONVERSATION_OPENED or kinds[-1] is not Kind.TRANSCRIPT:
            return False
        if [each.at for each in ledger if each.conversation.id == call] != sorted(
            each.at for each in ledger if each.conversation.id == call
        ):
            return False
    return True


async def _lived(it: Desk, caller: Caller) -> tuple[list[str], float]:
    """What the caller heard, and the seconds until somebody answered."""
    row = await it.centre.row(caller)
    assert row.end_reason is EndReason.CALLER_HUNG_UP
    assert row.answered_at is not None
    return [heard.what for heard in caller.hears], (row.answered_at - row.started_at).total_seconds()


# ── item 37 ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", TROUBLES)
@virtual
async def test_a_crm_in_trouble_delays_no_call_and_no_other_crm(how: str, figure: Figure) -> None:
    sick = SimCrm("sick")
    sick.trouble = lambda _posting: TROUBLES[how]()
    async with desk(sick) as it:
        calls = 20
        lived = [await _whole_call(it) for _ in range(calls)]
        await it.until_told(Kind.TRANSCRIPT, calls)
        assert len(it.crm.told(Kind.CONVERSATION_CONNECTED)) == calls
        assert len(it.crm.tried) == len(it.crm.ledger)
        assert in_order(it.crm.ledger)
        sick.trouble = lambda _posting: None

        async def caught_up() -> bool:
            return len(sick.told(Kind.TRANSCRIPT)) == calls

        await it.centre.until(caught_up, "the sick one has all of it", within_s=3600)
        assert {each.id for each in sick.ledger} == {each.id for each in it.crm.ledger}
        assert in_order(sick.ledger)
    well = await _healthy()
    assert {str(heard) for heard, _ in lived} == {str(heard) for heard, _ in well}
    longest, without = (round(max(seconds for _, seconds in each), 2) for each in (lived, well))
    assert longest < without + 0.1, "what chance does to a call"
    figure(
        37,
        f"CRM {how}, {calls} calls meanwhile",
        calls=calls,
        longest_until_connected_s=longest,
        without_the_fault_s=without,
        postings=len(sick.ledger),
        lost=0,
        doubled=len(sick.ledger) - len({each.id for each in sick.ledger}),
    )


async def _whole_call(it: Desk) -> tuple[list[str], float]:
    caller = await it.connected()
    await it.sent(caller, "Hello", Purpose.IN_CALL_SMS, id=f"out-{caller.channel_id}")
    await asyncio.sleep(5.0)
    caller.hang_up()
    await asyncio.sleep(2.0)
    return await _lived(it, caller)


async def _healthy() -> list[tuple[list[str], float]]:
    async with desk() as it:
        return [await _whole_call(it) for _ in range(10)]


# ── retry, dead letters ──────────────────────────────────────────────────────────────────────────


@virtual
async def test_what_is_refused_is_a_dead_letter_and_the_rest_of_the_call_goes_on() -> None:
    async with desk() as it:
        it.crm.trouble = lambda posting: Rejected("422") if posting.kind is Kind.CONTACT_CREATED else None
        caller = await it.connected()
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        [letter] = await it.centre.store.run(lambda tx: tx.deliveries.dead("sim"))
        assert (letter.kind, letter.attempts, letter.error) == (Kind.CONTACT_CREATED, 1, "422")
        assert it.crm.tried.count(letter.id) == 1
        it.crm.trouble = lambda _posting: None
        now = it.centre.clock.now()
        assert await it.centre.store.run(lambda tx: tx.deliveries.replay(now, "sim", letter.id)) == 1
        [told] = await it.until_told(Kind.CONTACT_CREATED)
        assert told.id == letter.id
        assert await it.centre.store.run(lambda tx: tx.deliveries.dead()) == []


@virtual
async def test_what_fails_too_often_is_given_up_after_growing_pauses() -> None:
    async with desk(feed=False) as it:
        bad = "conversation.connected"
        times: list[float] = []

        def trouble(posting: Posting) -> Exception | None:
            if posting.kind != bad:
                return None
            times.append(asyncio.get_running_loop().time())
            return ExternalError("500")

        it.crm.trouble = trouble
        it.crms = replace(it.crms, tries=6)
        it.feed(policy=CrmPolicy(poll_s=0.2, retry_first_s=1.0, retry_most_s=8.0))
        await asyncio.sleep(1.0)
        caller = await it.connected()
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        assert len(times) == 6
        pauses = [later - earlier for earlier, later in pairwise(times)]
        for pause, wanted in zip(pauses, (1.0, 2.0, 4.0, 8.0, 8.0), strict=True):
            assert wanted <= pause < wanted + 2.0
        [letter] = await it.centre.store.run(lambda tx: tx.deliveries.dead())
        assert letter.kind == bad


@virtual
async def test_a_crm_that_is_down_is_tried_by_one_posting_and_gets_the_rest_when_it_is_back() -> None:
    async with desk() as it:
        it.crm.trouble = lambda _posting: ExternalError("503")
        for _ in range(10):
            await it.ends(await it.connected())
        await asyncio.sleep(600)
        before = len(it.crm.tried)
        await asyncio.sleep(600)
        assert len(it.crm.tried) - before <= 12, "about once a minute, however much waits"
        assert await it.centre.store.run(lambda tx: tx.deliveries.dead()) == []
        it.crm.trouble = lambda _posting: None
        began = asyncio.get_running_loop().time()
        await it.until_told(Kind.TRANSCRIPT, 10, within_s=120)
        assert asyncio.get_running_loop().time() - began < 75
        assert in_order(it.crm.ledger)


@virtual
async def test_one_call_that_is_never_taken_keeps_no_other_from_being_told() -> None:
    async with desk() as it:
        first = await it.connected()
        row = await it.centre.row(first)
        it.crm.trouble = lambda p: ExternalError("500") if p.conversation.id == row.id else None
        await it.ends(first)
        for _ in range(5):
            await it.ends(await it.connected())
        told = await it.until_told(Kind.TRANSCRIPT, 5)
        assert row.id not in {each.conversation.id for each in told}


# ── kills ────────────────────────────────────────────────────────────────────────────────────────


async def _killed_every_step(loses_answers: bool) -> tuple[int, int, list[Posting]]:
    """The feed is killed after one step, then after two, and so on, until it lives to the end."""
    async with desk(feed=False) as it:
        first = it.feed()
        await asyncio.sleep(1.0)  # what happens from here on is told
        await first.end()
        it.crm.loses_answers = loses_answers
        caller = await it.connected()
        await it.sent(caller, "Hello", Purpose.IN_CALL_SMS)
        await it.ends(caller)
        kills = 0
        while not it.crm.told(Kind.TRANSCRIPT) or await _waiting(it):
            feed = it.feed(last_step=kills % 40 + 1, policy=replace(QUICK, retry_most_s=0.5))
            async with asyncio.timeout(600):
                while not feed.life.dead.is_set() and (  # noqa: ASYNC110
                    not it.crm.told(Kind.TRANSCRIPT) or await _waiting(it)
                ):
                    await asyncio.sleep(0.05)  # the store tells nobody
            await feed.end()
            kills += 1
            if kills > 30:
                it.crm.loses_answers = False
            assert kills < 400
        return kills, len(it.crm.tried), it.crm.ledger


async def _waiting(it: Desk) -> int:
    return (await it.centre.store.run(lambda tx: tx.deliveries.backlog("sim"))).waiting


@pytest.mark.parametrize("loses_answers", [False, True], ids=["", "answers lost"])
@on_both
@virtual
async def test_killed_at_every_step_nothing_is_lost_and_every_try_has_the_same_id(
    loses_answers: bool, figure: Figure
) -> None:
    kills, tries, ledger = await _killed_every_step(loses_answers)
    assert [each.kind for each in ledger] == [
        Kind.CONVERSATION_OPENED,
        Kind.CONTACT_CREATED,
        Kind.CONVERSATION_CONNECTED,
        Kind.MESSAGE,
        Kind.CONVERSATION_ENDED,
        Kind.TRANSCRIPT,
    ]
    assert tries >= len(ledger)
    figure(
        37,
        "engine killed while it tells a CRM" + (" that loses its answers" if loses_answers else ""),
        kills=kills,
        postings=len(ledger),
        tries=tries,
        lost=0,
        doubled=len(ledger) - len({each.id for each in ledger}),
    )


# ── several engines ──────────────────────────────────────────────────────────────────────────────


@on_both
@virtual
async def test_of_several_engines_one_tells_and_another_goes_on_when_it_is_gone() -> None:
    async with desk(feed=False) as it:
        feeds = [it.feed(f"ivr-{number}") for number in range(3)]
        await asyncio.sleep(2.0)
        for _ in range(5):
            await it.ends(await it.connected())
        await it.until_told(Kind.TRANSCRIPT, 5)
        assert len(it.crm.tried) == len(it.crm.ledger), "nobody told it twice"
        for feed in feeds[:2]:
            feed.life.end()
        await it.ends(await it.connected())
        await it.until_told(Kind.TRANSCRIPT, 6, within_s=2 * QUICK.lease_s)
        assert len(it.crm.tried) == len(it.crm.ledger)
        assert in_order(it.crm.ledger)


@virtual
async def test_a_store_that_is_away_is_waited_for() -> None:
    async with desk(feed=False) as it:
        feed = it.feed()
        await asyncio.sleep(1.0)
        caller = await it.connected()
        feed.store.faults.extend(Unreachable("away") for _ in range(50))
        await it.ends(caller)
        await asyncio.sleep(5.0)
        feed.store.faults.clear()
        await it.until_told(Kind.TRANSCRIPT)
        assert in_order(it.crm.ledger)
