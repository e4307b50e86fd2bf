"""Pace, turns, quiet hours and the second provider, through outbox and store, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from structlog.testing import capture_logs

from ivr_engine.domain.messages import Message, MessageStatus, Urgency
from ivr_engine.domain.quiet_hours import Hours
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import StatusReport, Tx
from ivr_engine.sim.life import Life
from tests.figures import Figure
from tests.flow.centre import contact_centre, virtual
from tests.flow.databases import on_both
from tests.flow.sms_company import (
    BUSY,
    ERROR,
    HANGS,
    LATE,
    LOST,
    REFUSED,
    SECOND_SENDER,
    SENDER,
    UNREACHABLE,
    Company,
    CompanyAdapter,
    Office,
)
from tests.flow.test_journey_consent import TRAVEL_S
from tests.flow.test_messaging_outbox import now, tell

ACCEPTED, DELIVERED, FAILED = MessageStatus.ACCEPTED, MessageStatus.DELIVERED, MessageStatus.FAILED
UNKNOWN = MessageStatus.UNKNOWN
OTHER = "+4930777777"
CAMPAIGN: dict[str, Any] = {"urgency": Urgency.CAMPAIGN, "purpose": "campaign"}
ALWAYS = Hours({})
UNHEARD = SettlingPolicy(refresh_first_s=1e6)
"""Nobody looks for reports that this company never sends."""
RARELY = OutboxLimits(poll_s=60)


def at_rates(rates: dict[str, float], engine: str = "ivr-1", **more: Any) -> SendingRules:
    return SendingRules(engine=engine, rate_of=rates.get, hours=lambda: ALWAYS, **more)


def times(office: Office, ids: Sequence[str]) -> list[float]:
    wanted = set(ids)
    return [at for at, id in office.company.requests if id in wanted]


def rate(sent: Sequence[float]) -> float:
    """Messages a second, from the first to the last."""
    return (len(sent) - 1) / (sent[-1] - sent[0])


def most_in(sent: Sequence[float], window_s: float) -> int:
    """The most messages in any window of that length (without its end, and what scheduling takes)."""
    most = first = 0
    for last in range(len(sent)):
        while sent[last] - sent[first] >= window_s - 0.01:
            first += 1
        most = max(most, last - first + 1)
    return most


# ── pace ─────────────────────────────────────────────────────────────────────────────────────────


def test_five_thousand_at_one_a_second(figure: Figure) -> None:
    async def story(office: Office) -> None:
        ids = await office.queue(5000, stream="spring", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 1.0}, policy=UNHEARD), limits=RARELY):
            await office.until(ACCEPTED, limit_s=5060, every_s=60)
        sent = times(office, ids)
        figure(
            30, "5,000 at 1 a second", messages=len(sent), rate=f"{rate(sent):.6f}", burst=most_in(sent, 1)
        )
        assert len(sent) == 5000
        assert 0.95 <= rate(sent) <= 1.0
        assert most_in(sent, 1.0) == 1

    tell(story)


@on_both
def test_each_sender_has_its_own_rate_and_its_own_queue() -> None:
    async def story(office: Office) -> None:
        slow = await office.queue(10, stream="a", **CAMPAIGN)
        fast = await office.queue(1000, sender=OTHER, stream="b", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 1.0, OTHER: 100.0})):
            await office.until(ACCEPTED, limit_s=30)
        assert 0.95 <= rate(times(office, slow)) <= 1.0
        assert 95 <= rate(times(office, fast)) <= 100

    tell(story)


def test_parts_count_not_messages() -> None:
    async def story(office: Office) -> None:
        ids = await office.queue(10, text="a" * 400)  # three parts each
        async with office.engine(rules=at_rates({SENDER: 3.0})):
            await office.until(ACCEPTED)
        gaps = [after - before for before, after in pairwise(times(office, ids))]
        assert all(abs(gap - 1.0) < 0.01 for gap in gaps[1:])
        assert 1.0 <= gaps[0] < 1.1

    tell(story)


def test_an_engine_that_dies_again_and_again_is_no_faster(figure: Figure) -> None:
    async def story(office: Office) -> None:
        ids = await office.queue(60)
        lives = 0
        while len(office.company.ledger) < len(ids):
            life = Life(40)
            lives += 1
            async with office.engine(life, rules=at_rates({SENDER: 2.0})):
                while not life.dead.is_set() and len(office.company.ledger) < len(ids):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        sent = times(office, ids)
        doubled = sum(office.company.taken(id) > 1 for id in ids)
        figure(30, "2 a second, the engine killed again and again", lives=lives, burst=most_in(sent, 0.5))
        assert lives > 3
        assert most_in(sent, 0.5) == 1
        assert doubled == 0

    with capture_logs():
        tell(story)


@on_both
def test_engines_share_the_rate_of_a_sender() -> None:
    async def story(office: Office) -> None:
        async with (
            office.engine(rules=at_rates({SENDER: 10.0}, "ivr-1")),
            office.engine(rules=at_rates({SENDER: 10.0}, "ivr-2")),
        ):
            ids = await office.queue(200)
            await office.until(ACCEPTED, limit_s=25)
        sent = times(office, ids)
        assert 9.5 <= rate(sent) <= 10.0
        assert most_in(sent, 0.1) == 1
        messages = [await office.message(id) for id in ids]
        assert {message.engine for message in messages} == {"ivr-1", "ivr-2"}

    tell(story)


def test_another_engines_requests_are_left_alone_until_their_lease_is_over() -> None:
    async def story(office: Office) -> None:
        office.company.says = [HANGS]
        await office.queue()
        async with office.engine(rules=at_rates({}, "ivr-1")):
            await asyncio.sleep(2)
            async with office.engine(rules=at_rates({}, "ivr-2")):
                await asyncio.sleep(2)
                assert (await office.message()).status is MessageStatus.SENDING
                await office.until(UNKNOWN)
        assert len(office.company.requests) == 1

    with capture_logs():
        tell(story)


def test_a_clock_set_back_an_hour_silences_nobody() -> None:
    async def story(office: Office) -> None:
        await office.queue(20)
        async with office.engine(rules=at_rates({SENDER: 1.0})):
            await asyncio.sleep(5)
            office.clock.shift(-3600)
            await office.until(ACCEPTED, limit_s=40)
        assert all(office.company.taken(id) == 1 for id in office.queued)

    tell(story)


# ── who goes first ───────────────────────────────────────────────────────────────────────────────


def test_a_waiting_caller_before_a_conversation_before_a_campaign() -> None:
    async def story(office: Office) -> None:
        many = await office.queue(100, stream="spring", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 1.0})) as outbox:
            await asyncio.sleep(10.5)
            [talk] = await office.queue(stream="talk", urgency=Urgency.CONVERSATION)
            [caller] = await office.queue()
            outbox.wake()
            await asyncio.sleep(20)
        order = [id for _, id in office.company.requests]
        assert order[:11] == many[:11]
        assert order[11:13] == [caller, talk]
        assert order[13:15] == many[11:13]

    tell(story)


def test_campaigns_share_and_a_flood_of_one_conversation_leaves_them_a_part() -> None:
    async def story(office: Office) -> None:
        streams: dict[str, str] = {}

        async def wait(count: int, stream: str, **kind: Any) -> None:
            for id in await office.queue(count, stream=stream, **kind):
                streams[id] = stream

        await wait(200, "spring", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 10.0})):
            await asyncio.sleep(5)
            await wait(200, "summer", **CAMPAIGN)  # comes later, and does not wait for all of the other
            began = len(office.company.requests)
            await asyncio.sleep(5)
            shared = Counter(streams[id] for _, id in office.company.requests[began:])
            await wait(200, "talk", urgency=Urgency.CONVERSATION)
            began = len(office.company.requests)
            await asyncio.sleep(6)
            flooded = Counter(streams[id] for _, id in office.company.requests[began:])
        assert abs(shared["spring"] - shared["summer"]) <= 2
        assert flooded["talk"] >= 38
        assert min(flooded["spring"], flooded["summer"]) >= 8

    tell(story)


def test_a_conversation_that_writes_one_at_a_time_does_not_starve_a_campaign() -> None:
    async def story(office: Office) -> None:
        many = await office.queue(50, stream="spring", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 10.0})) as outbox:
            for _ in range(100):
                await office.queue(stream="talk", urgency=Urgency.CONVERSATION)
                outbox.wake()
                await asyncio.sleep(0.1)
        assert len(times(office, many)) >= 15

    tell(story)


# ── vetoes and quiet hours ───────────────────────────────────────────────────────────────────────


def test_a_stop_between_queueing_and_sending(figure: Figure) -> None:
    """Whatever says no is asked in the transaction that takes the message in hand."""
    stopped: set[str] = set()

    def nothing_against(tx: Tx, message: Message) -> str | None:
        return None

    def opted_out(tx: Tx, message: Message) -> str | None:
        return "21610" if message.recipient in stopped else None

    async def story(office: Office) -> None:
        ids = await office.queue(1000, stream="spring", **CAMPAIGN)
        async with office.engine(rules=at_rates({SENDER: 50.0}, vetoes=(nothing_against, opted_out))):
            await asyncio.sleep(4.02)
            sent = len(office.company.requests)
            stopped.add((await office.message()).recipient)
            await office.until(ACCEPTED, FAILED)
        after = len(office.company.requests) - sent
        figure(24, "STOP while 1,000 wait", waiting=len(ids) - sent, sent_from_then_on=after)
        assert after == 0
        assert (await office.message(ids[-1])).error_code == "21610"

    tell(story)


def test_a_thousand_wait_for_the_morning_and_callers_do_not(figure: Figure) -> None:
    evening = datetime(2026, 3, 28, 19, 59, 50, tzinfo=UTC)  # 20:59:50 in Berlin, and the clock leaps tonight

    async def story(office: Office) -> None:
        office.clock.shift((evening - office.clock.now()).total_seconds())
        began = now()
        many = await office.queue(1000, stream="spring", **CAMPAIGN)
        rules = SendingRules(rate_of={SENDER: 20.0}.get, policy=UNHEARD)
        async with office.engine(rules=rules, limits=RARELY) as outbox:
            await asyncio.sleep(60)
            evenings = len(times(office, many))
            [caller] = await office.queue()
            outbox.wake()
            await asyncio.sleep(1)
            assert times(office, [caller])
            await office.until(ACCEPTED, limit_s=24 * 3600, every_s=120)
        walls = [evening + timedelta(seconds=at - began) for at in times(office, many)]
        outside = sum(not 6 <= wall.hour < 19 for wall in walls[evenings:])
        outside += sum(wall >= evening + timedelta(seconds=10) for wall in walls[:evenings])
        figure(31, "1,000 at 21 o'clock in the night of a leap", evening=evenings, outside_hours=outside)
        assert (len(walls), outside) == (1000, 0)
        assert 190 <= evenings <= 201
        assert walls[evenings] - datetime(2026, 3, 29, 6, 0, tzinfo=UTC) < timedelta(seconds=61)

    tell(story)


def test_what_waited_for_the_morning_is_not_too_old_then() -> None:
    async def story(office: Office) -> None:
        night = datetime(2026, 1, 15, 20, 30, tzinfo=UTC)
        office.clock.shift((night - office.clock.now()).total_seconds())
        await office.queue(purpose="campaign", urgency=Urgency.CONVERSATION)
        async with office.engine(rules=SendingRules(), limits=RARELY):
            await office.until(ACCEPTED, limit_s=12 * 3600, every_s=60)

    tell(story)


# ── the second provider ──────────────────────────────────────────────────────────────────────────


def with_second(story: Callable[[Office, Company], Any]) -> None:
    async def both(office: Office) -> None:
        await story(office, Company("second"))

    with capture_logs():
        tell(both)


def taken(office: Office, second: Company) -> Counter[str]:
    return Counter(ours for company in (office.company, second) for _, ours in company.ledger)


def test_the_second_takes_over_while_the_first_is_down_and_hands_back() -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.says = [UNREACHABLE] * 5
        await office.queue(200)
        async with office.engine(second=second, limits=OutboxLimits(sends_at_once=5)):
            await office.until(ACCEPTED, limit_s=60)
            assert second.ledger
            message = await office.message(second.ledger[0][1])
            assert (message.provider, message.sender) == ("second", SECOND_SENDER)
            await asyncio.sleep(60)
            carried = len(second.ledger)
            for count in (1, 10):  # the first one tries whether the first provider is back
                await office.queue(count)
                await asyncio.sleep(10)
            await office.until(ACCEPTED)
        assert len(second.ledger) == carried  # the first is back
        assert set(taken(office, second).values()) == {1}

    with_second(story)


def test_what_may_have_been_taken_never_changes_over() -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.says = [HANGS, LOST, LATE] + [UNREACHABLE] * 100
        asked = await office.queue(3)
        async with office.engine(second=second):
            await office.until(ACCEPTED, UNKNOWN, limit_s=120)
            await office.queue(20)
            await office.until(ACCEPTED, UNKNOWN, limit_s=600)
        assert not {ours for _, ours in second.ledger} & set(asked)
        assert [(await office.message(id)).provider for id in asked] == ["company"] * 3
        assert max(taken(office, second).values()) == 1

    with_second(story)


def test_a_refusal_for_good_is_no_reason_to_ask_somebody_else() -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.says = [REFUSED] * 5
        await office.queue(5)
        async with office.engine(second=second):
            await office.until(FAILED)
        assert second.requests == []

    with_second(story)


def test_a_first_that_asks_for_a_long_patience_is_passed_by_and_a_short_one_is_waited_for() -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.says = [BUSY]
        office.company.retry_after_s = 5
        await office.queue(3)
        async with office.engine(second=second, limits=OutboxLimits(sends_at_once=1)):
            await office.until(ACCEPTED)
            assert second.requests == []
            office.company.says = [BUSY]
            office.company.retry_after_s = 600
            await office.queue(3)
            await asyncio.sleep(60)
            assert len(second.ledger) == 3
        assert set(taken(office, second).values()) == {1}

    with_second(story)


def test_a_minute_of_errors_with_a_second_provider_each_once(figure: Figure) -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.down = True
        ids = await office.queue(1000)
        async with office.engine(second=second):
            await asyncio.sleep(60)
            carried = len(second.ledger)
            office.company.down = False
            await office.until(ACCEPTED, limit_s=120)
        counted = taken(office, second)
        doubled = sum(count > 1 for count in counted.values())
        figure(19, "500 for 60 s, with a second provider", messages=1000, by_the_second=carried,
               lost=len(set(ids) - set(counted)), doubled=doubled)  # fmt: skip
        assert sorted(counted) == sorted(ids)
        assert doubled == 0
        assert carried >= 900

    with_second(story)


def test_whose_message_finds_that_the_first_is_down_gets_it_by_the_second() -> None:
    """Nobody else's is there that could try whether the first is back."""

    async def story(office: Office, second: Company) -> None:
        office.company.says = [UNREACHABLE] * 1000
        await office.queue(1)
        async with office.engine(second=second):
            await office.until(ACCEPTED, limit_s=10)
        assert [ours for _, ours in second.ledger] == ["m0"]

    with_second(story)


def test_the_second_has_its_own_pace() -> None:
    async def story(office: Office, second: Company) -> None:
        office.company.says = [UNREACHABLE] * 1000
        await office.queue(20)
        rules = at_rates({SENDER: 100.0, SECOND_SENDER: 1.0})
        async with office.engine(rules=rules, second=second):
            await office.until(ACCEPTED, limit_s=60)
        assert most_in([at for at, _ in second.requests], 1.0) == 1

    with_second(story)


def test_a_callback_of_the_first_after_the_second_has_it_is_shown_as_doubled() -> None:
    """The first had denied having it: its list did not show it."""

    async def story(office: Office) -> None:
        second = Company("second")
        office.company.says = [ERROR] * 3 + [UNREACHABLE] * 100
        await office.queue(3)
        async with office.engine(second=second):
            await office.until(ACCEPTED, limit_s=60)
            await office.report(StatusReport("SM99", DELIVERED, "m0"))
        assert (await office.message()).provider == "second"

    with capture_logs() as logs:
        tell(story)
    assert "sms.doubled" in [entry["event"] for entry in logs]


def test_a_callback_of_the_first_before_the_second_was_asked_settles_it() -> None:
    async def story(office: Office) -> None:
        second = Company("second", says=[UNREACHABLE] * 1000)
        office.company.says = [ERROR] * 3 + [UNREACHABLE] * 1000
        await office.queue(3)
        async with office.engine(second=second):
            while (await office.message()).provider != "second":  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.5)
            while (await office.message()).status is not MessageStatus.QUEUED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await office.report(StatusReport("SM99", DELIVERED, "m0"))
        message = await office.message()
        assert (message.status, message.provider, message.provider_id) == (DELIVERED, "company", "SM99")

    with capture_logs():
        tell(story)


# ── a provider that hangs, and callers on the line ───────────────────────────────────────────────


@virtual
async def test_prompts_do_not_wait_for_a_provider_that_hangs(figure: Figure) -> None:
    """Fifty callers press 1, one a second, while no request to the provider gets an answer in time."""
    waits: list[float] = []
    async with contact_centre() as centre:
        engine = centre.engine()
        company = Company(says=[HANGS] * 1000)
        outbox = Outbox(
            store=centre.store,
            carriers=Carriers(CompanyAdapter(company, Life()), public_url="https://engine.example"),
            clock=centre.clock,
            limits=OutboxLimits(tick_s=0.0),
        )
        running = asyncio.create_task(outbox.run())

        async def one(number: int) -> None:
            await asyncio.sleep(number)
            caller = await centre.call(caller=f"+49151{10_000_000 + number}")
            await caller.hears_prompt("consent")
            caller.press("1")
            pressed = now()
            await caller.hears_prompt("sms_sent", within_s=TRAVEL_S)
            waits.append(now() - pressed)
            await asyncio.sleep(5)
            caller.hang_up()
            await caller.ended()

        async with asyncio.TaskGroup() as callers:
            for number in range(50):
                callers.create_task(one(number))
        await asyncio.sleep(120)
        running.cancel()
        await asyncio.wait([running])
        figure(22, "provider hangs, 50 callers press 1", most_until_sent_is_said_s=f"{max(waits):.2f}")
        assert company.requests
        statuses = {m.status for m in await centre.store.run(lambda tx: tx.messages.search(limit=100))}
        assert statuses <= {UNKNOWN, MessageStatus.QUEUED, MessageStatus.UNSETTLED, MessageStatus.SENDING}
        await engine.stop()
