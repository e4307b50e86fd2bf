"""Forged callers who would have strangers written to: caps, blocked numbers, and the alarm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.abuse import Caps
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import ConsentNotOffered, Happening, SmsCapReached, SmsWithheld
from ivr_engine.domain.messages import Direction, outbound
from ivr_engine.messaging.abuse import abuse_veto
from ivr_engine.ports import Tx
from ivr_engine.sim.people import Caller
from tests.figures import Figure
from tests.flow.centre import MOBILE, Centre, contact_centre, virtual
from tests.flow.databases import on_both

ALLOWED = WaitTimeSmsStatus.ALLOWED
CAP, GROUP = 100, 125


def capped(**abuse: Any) -> dict[str, Any]:
    return {"abuse": {"per_number": 0, "per_prefix": 0, "per_day": 0} | abuse}


async def one_more(centre: Centre, number: str) -> Caller:
    """Calls, presses 1 where it is offered, hears what is said then, and hangs up."""
    caller = await centre.call(caller=number)
    try:
        await caller.hears_prompt("consent", within_s=15)
        caller.press("1")
        await asyncio.sleep(6)
    except AssertionError:
        pass
    caller.hang_up()
    await asyncio.sleep(1)
    return caller


async def sent(centre: Centre) -> int:
    every = await centre.store.run(lambda tx: tx.messages.search(limit=10_000))
    return len([m for m in every if m.direction is Direction.OUTBOUND])


async def events(centre: Centre, kind: type[Happening]) -> list[Any]:
    every = await centre.store.run(lambda tx: tx.events.after(0, 100_000, kinds=frozenset({kind})))
    return [event.what for event in every]


@on_both
@virtual
async def test_over_the_cap_of_a_number_nobody_is_asked_and_the_alarm_is_raised_once() -> None:
    async with contact_centre(**capped(per_number=2)) as centre:
        centre.engine()
        callers = [await one_more(centre, MOBILE) for _ in range(4)]
        assert await sent(centre) == 2
        assert ["consent" in c.ears.sounds for c in callers] == [True, True, False, False]
        for caller in callers[2:]:
            assert ConsentNotOffered("number_cap", "support", "en") in await centre.happened(caller)
        assert await events(centre, SmsCapReached) == [SmsCapReached("number", MOBILE, 2)]
        other = await one_more(centre, "+4915112345679")
        assert "sms_sent" in other.ears.sounds


@virtual
async def test_who_was_asked_before_the_cap_was_reached_is_told_that_none_is_sent() -> None:
    async with contact_centre(**capped(per_prefix=1)) as centre:
        centre.engine()
        first, second = await centre.call(), await centre.call(caller="+4915112345679")
        await second.hears_prompt("consent")
        await first.hears_prompt("consent")
        first.press("1")
        await first.hears_prompt("sms_sent")
        second.press("1")
        await second.hears_prompt("sms_not_sent")
        await second.hears_prompt("music")
        assert await sent(centre) == 1
        assert (await centre.row(second)).consent.status is ALLOWED
        assert SmsWithheld("prefix_cap", "support", "en") in await centre.happened(second)
        [record] = await centre.ledger(second)
        assert (record.key, record.outcome) == ("1", ALLOWED)
        await second.hears_times("position.2", 3)
        assert len(second.ears.times("consent")) == 1, "not asked again"
        assert await centre.position(second) == 2


@virtual
async def test_another_engine_and_one_that_comes_back_know_what_is_full() -> None:
    async with contact_centre(**capped(per_day=1)) as centre:
        engine = centre.engine()
        await one_more(centre, MOBILE)
        await engine.crash()
        centre.engine()
        caller = await one_more(centre, "+4917612345678")
        assert "consent" not in caller.ears.sounds
        assert ConsentNotOffered("day_cap", "support", "en") in await centre.happened(caller)
        assert await sent(centre) == 1


@virtual
async def test_a_new_day_is_a_new_beginning() -> None:
    """Virtual time begins at eight in the morning."""
    async with contact_centre(**capped(per_number=1)) as centre:
        centre.engine()
        for day in (1, 2):
            for _ in range(2):
                await one_more(centre, MOBILE)
            assert await sent(centre) == day
            await asyncio.sleep(20 * 3600)


@pytest.mark.parametrize(
    ("number", "settings", "why"),
    [
        ("+499001234567", {}, "premium_number"),
        (MOBILE, {"abuse": {"blocked": ["+491511"]}}, "blocked_number"),
    ],
)
@virtual
async def test_numbers_that_are_never_written_to(number: str, settings: dict[str, Any], why: str) -> None:
    async with contact_centre(**settings) as centre:
        centre.engine()
        caller = await one_more(centre, number)
        assert "consent" not in caller.ears.sounds
        assert ConsentNotOffered(why, "support", "en") in await centre.happened(caller)


def test_a_thousand_forged_callers_in_one_prefix(figure: Figure) -> None:
    """So many at a time that some are asked before the cap is known to be reached."""
    numbers = [f"+4915112340{n:03}" for n in range(1000)]
    found: dict[str, int] = {}

    @virtual
    async def day() -> None:
        async with contact_centre() as centre:
            centre.engine()
            callers: list[Caller] = []
            for begin in range(0, len(numbers), GROUP):
                group = numbers[begin : begin + GROUP]
                callers += await asyncio.gather(*(one_more(centre, number) for number in group))
            found["sent"] = await sent(centre)
            found["asked"] = len([c for c in callers if "consent" in c.ears.sounds])
            alarms = await events(centre, SmsCapReached)
            assert alarms == [SmsCapReached("prefix", "+491511234", CAP)]
            found["told_that_none_is_sent"] = len(await events(centre, SmsWithheld))

    day()
    assert found["sent"] == CAP
    figure(32, "1,000 forged callers in one prefix press 1", cap=CAP, **found)


def test_who_presses_2_or_nothing_gets_nothing(figure: Figure) -> None:
    """Also after wrong keys, and in every round there is."""
    callers = 300
    found: dict[str, int] = {}

    @virtual
    async def day() -> None:
        sms = {"maximum_plays": 3, "text": {"en": "x", "de": "x"}}
        async with contact_centre(wait_time_sms=sms) as centre:
            centre.engine()
            everybody = await asyncio.gather(
                *(_never_says_yes(centre, f"+49151{n:08}", n) for n in range(callers))
            )
            found["sent"] = await sent(centre)
            assert not [c for c in everybody if "sms_sent" in c.ears.sounds]
            stored = {c.consent.status for c in await centre.all_calls()}
            assert stored == {WaitTimeSmsStatus.DENIED, WaitTimeSmsStatus.NO_RESPONSE}

    day()
    assert found["sent"] == 0
    figure(28, "callers press 2, wrong keys or nothing", callers=callers, **found)


async def _never_says_yes(centre: Centre, number: str, kind: int) -> Caller:
    caller = await centre.call(caller=number)
    await caller.hears_prompt("consent", within_s=60)
    if kind % 3 == 0:
        caller.press("2")
    elif kind % 3 == 1:
        caller.press("7")
    await asyncio.sleep(90)
    caller.hang_up()
    return caller


# ── once more, when it is about to be sent ───────────────────────────────────────────────────────


def _vetoed(
    before: int, settings: dict[str, Any], recipient: str = MOBILE, purpose: str = "wait_time_sms"
) -> str | None:
    """What is said of a message to be sent by a site with ``settings``, after so many to the same number."""
    found: list[str | None] = []

    @virtual
    async def look() -> None:
        async with contact_centre(**settings) as centre:
            counters = Caps(per_number=1000).counters(recipient)
            message = outbound(
                id="m",
                sender="+4930123456",
                recipient=recipient,
                text="x",
                provider="simulator",
                purpose=purpose,
                call_id="c",
                now=centre.clock.now(),
            )

            def ask(tx: Tx) -> str | None:
                for _ in range(before):
                    tx.sms_counts.take(counters, centre.clock.now())
                return abuse_veto(lambda: centre.site, centre.clock)(tx, message)

            found.append(await centre.store.run(ask))

    look()
    return found[0]


def test_what_is_within_the_caps_is_sent() -> None:
    assert _vetoed(20, {}) is None


def test_of_a_count_above_the_cap_as_it_is_set_now_nothing_is_sent() -> None:
    assert _vetoed(21, {}) == "number_cap"


def test_a_number_that_was_blocked_meanwhile_is_not_sent_to() -> None:
    assert _vetoed(0, {"abuse": {"blocked": ["+4915"]}}) == "blocked_number"
    assert _vetoed(0, {}, "+447400123456") == "country_not_allowed"
    assert _vetoed(0, {}, "+499001234567") == "premium_number"


def test_abroad_where_some_queue_may() -> None:
    queue = {"wait_time_sms": {"non_domestic": True, "countries": ["GB"]}}
    assert _vetoed(0, {"support": queue}, "+447400123456") is None
    assert _vetoed(0, {"support": queue}, "+33612345678") == "country_not_allowed"


def test_what_an_agent_sends_is_not_judged() -> None:
    assert _vetoed(9, {}, purpose="in_call_sms") is None


# ── what the carrier says of the number ──────────────────────────────────────────────────────────

ATTESTED: dict[str, Any] = {
    "abuse": {"attestation": {"trunks": ["carrier"], "accepted": ["A", "TN-Validation-Passed-A"]}}
}


@pytest.mark.parametrize(
    ("trunk", "said", "asked"),
    [
        ("carrier", "A", True),
        ("carrier", " tn-validation-passed-a ", True),
        ("carrier", "B", False),
        ("carrier", "", False),
        ("carrier", "AA", False),
        ("elsewhere", "B", True),
        ("", "B", True),
    ],
)
@virtual
async def test_only_numbers_that_the_carrier_vouches_for(trunk: str, said: str, asked: bool) -> None:
    async with contact_centre(**ATTESTED) as centre:
        engine = centre.engine()
        headers = {"P-Attestation-Indicator": said} if said else {}
        channel = centre.switch.call_in(MOBILE, "700", trunk=trunk, headers=headers)
        caller = Caller(centre.switch, channel)
        await caller.hears_times("position.1", 1)
        await engine.crash()
        centre.engine()  # it is stored with the call
        await caller.hears_times("position.1", 3)
        assert ("consent" in caller.ears.sounds) is asked
        skipped = ConsentNotOffered("not_attested", "support", "en") in await centre.happened(caller)
        assert skipped is not asked
