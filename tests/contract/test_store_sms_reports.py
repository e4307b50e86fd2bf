"""The funnel of the wait-time SMS and the texts that went to and fro, as every store counts them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ivr_engine.domain.consent import WaitTimeSmsStatus, Withdrawal
from ivr_engine.domain.events import ConsentAsked, ConsentNotOffered, SmsWithheld
from ivr_engine.domain.messages import Direction, MessageStatus, Purpose
from ivr_engine.domain.records import replace
from ivr_engine.domain.sms_reports import Funnel, Usage, summed
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect
from tests.contract.store_examples import KINDS, NOW, call, consent, message, requested

DAY = timedelta(days=1)
TODAY = NOW.replace(hour=0)
ALLOWED, DENIED, NO_RESPONSE = WaitTimeSmsStatus
_unique = itertools.count()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


class Day:
    """What happened on a day, to be written."""

    def __init__(self, tx: Tx, at: datetime = NOW, queue: str = "support", language: str = "en") -> None:
        self._tx, self._at, self._place = tx, at, (queue, language)

    def asked(self, call_id: str, round: int = 1) -> None:
        self._tx.events.add(self._at, call_id, ConsentAsked(round, *self._place))

    def not_asked(self, call_id: str, reason: str) -> None:
        self._tx.events.add(self._at, call_id, ConsentNotOffered(reason, *self._place))

    def withheld(self, call_id: str, purpose: Purpose = Purpose.WAIT_TIME_SMS) -> None:
        self._tx.events.add(self._at, call_id, SmsWithheld("day_cap", *self._place, purpose))

    def said(self, call_id: str, outcome: WaitTimeSmsStatus | Withdrawal, **more: Any) -> None:
        queue, language = self._place
        fields: dict[str, Any] = {
            "call_id": call_id,
            "outcome": outcome,
            "at": self._at,
            "queue": queue,
            "language": language,
        }
        self._tx.consents.add(replace(consent(next(_unique), "+4915112345678"), **fields | more))

    def sent(self, call_id: str, *statuses: MessageStatus) -> None:
        for status in statuses:
            self._text(call_id, status, Direction.OUTBOUND, Purpose.WAIT_TIME_SMS)

    def wrote(self, call_id: str, purpose: Purpose = Purpose.REPLY) -> None:
        self._text(call_id, MessageStatus.RECEIVED, Direction.INBOUND, purpose)

    def _text(self, call_id: str, status: MessageStatus, way: Direction, purpose: Purpose) -> None:
        text = message(call_id=call_id, status=status, created_at=self._at, direction=way, purpose=purpose)
        self._tx.messages.add(text)


async def funnel(store: Store, since: datetime = TODAY) -> dict[tuple[str, str], Funnel]:
    return await store.run(lambda tx: tx.sms_reports.funnel(since, since + DAY))


async def test_nothing_happened(store: Store) -> None:
    assert await funnel(store) == {}
    assert await store.run(lambda tx: tx.sms_reports.usage(TODAY, TODAY + DAY)) == {}


async def test_callers_are_counted_once_and_rounds_each(store: Store) -> None:
    def write(tx: Tx) -> None:
        day = Day(tx)
        for round in (1, 1, 2, 3):  # the first was cut short by an agent's ring
            day.asked("a", round)
        for outcome in (NO_RESPONSE, NO_RESPONSE, ALLOWED):
            day.said("a", outcome)
        day.asked("b")
        day.said("b", DENIED)
        for round in (1, 2):
            day.asked("c", round)
            day.said("c", NO_RESPONSE)
        day.asked("d")  # hung up in the question
        for _ in range(5):
            day.not_asked("e", "wait_too_short")
        day.not_asked("e", "cannot_receive_sms")
        day.not_asked("f", "cannot_receive_sms")
        day.said("g", ALLOWED, purpose="recording")
        day.said("a", Withdrawal.WITHDRAWN)
        day.said("c", Withdrawal.WITHDRAWN)

    await store.run(write)
    assert await funnel(store) == {
        ("support", "en"): Funnel(
            offered=4,
            rounds=8,
            allowed=1,
            denied=1,
            no_response=1,
            withdrawn=2,
            not_offered={"wait_too_short": 1, "cannot_receive_sms": 2},
        )
    }


async def test_what_became_of_the_texts_and_who_answered(store: Store) -> None:
    delivered, sent, failed = MessageStatus.DELIVERED, MessageStatus.SENT, MessageStatus.FAILED
    undelivered, queued = MessageStatus.UNDELIVERED, MessageStatus.QUEUED
    texts = [
        (delivered,),
        (sent,),
        (MessageStatus.ACCEPTED,),
        (undelivered, delivered),  # sent once more
        (undelivered, queued),
        (undelivered, undelivered),
        (failed,),
        (MessageStatus.UNKNOWN,),
    ]

    def write(tx: Tx) -> None:
        day = Day(tx)
        for n, statuses in enumerate(texts):
            day.said(f"call-{n}", ALLOWED)
            day.sent(f"call-{n}", *statuses)
        day.said("held", ALLOWED)
        day.withheld("held")
        day.withheld("deflected", Purpose.DEFLECTION)
        for _ in range(3):
            day.wrote("call-0")
        day.wrote("call-1")
        day.wrote("call-3", Purpose.LATE_REPLY)
        day.wrote("somebody else")

    await store.run(write)
    assert await funnel(store) == {
        ("support", "en"): Funnel(
            allowed=9, withheld=1, sent=5, delivered=2, failed=2, under_way=1, unknown=1, replied=2
        )
    }


async def test_by_queue_language_and_day(store: Store) -> None:
    def write(tx: Tx) -> None:
        for at in (TODAY, TODAY + DAY - timedelta(milliseconds=1), TODAY + DAY, TODAY - timedelta(seconds=1)):
            Day(tx, at).asked(f"{at}")
        Day(tx, queue="sales").asked("s")
        Day(tx, language="de").asked("g")

    await store.run(write)
    today = await funnel(store)
    assert list(today) == [("sales", "en"), ("support", "de"), ("support", "en")]
    assert [one.offered for one in today.values()] == [1, 1, 2]
    assert summed(today.values()) == Funnel(offered=4, rounds=4)
    assert {day: one.offered for day, one in (await funnel(store, TODAY + DAY)).items()} == {
        ("support", "en"): 1
    }


async def test_texts_of_calls_to_and_fro(store: Store) -> None:
    one, other = call(queue="support", language="en"), call(queue="sales", language="de")

    def write(tx: Tx) -> None:
        tx.calls.add(one)
        tx.calls.add(other)
        ways = [
            (one, Direction.OUTBOUND, Purpose.WAIT_TIME_SMS),
            (one, Direction.INBOUND, Purpose.REPLY),
            (one, Direction.INBOUND, Purpose.REPLY),
            (one, Direction.OUTBOUND, Purpose.IN_CALL_SMS),
            (other, Direction.OUTBOUND, Purpose.CLOSING_SMS),
        ]
        for of, way, purpose in ways:
            tx.messages.add(message(call_id=of.id, direction=way, purpose=purpose))
        tx.messages.add(replace(message(call_id=one.id), created_at=TODAY - DAY))
        tx.messages.add(message(direction=Direction.INBOUND, purpose=Purpose.UNSOLICITED))

    await store.run(write)
    usage = await store.run(lambda tx: tx.sms_reports.usage(TODAY, TODAY + DAY))
    assert usage == {
        ("sales", "de"): Usage(outbound=1, purposes={"closing_sms": 1}),
        ("support", "en"): Usage(
            inbound=2, outbound=2, purposes={"wait_time_sms": 1, "reply": 2, "in_call_sms": 1}
        ),
    }
    assert usage["support", "en"].total == 4


async def test_offers_are_found_by_their_index(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/engine.db"
    store = connect(url, inline=True)
    await funnel(store)
    await store.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        counted = "kind IN ('consent_asked', 'consent_not_offered', 'sms_withheld')"
        plan = connection.execute(
            text(f"EXPLAIN QUERY PLAN SELECT kind FROM events WHERE {counted} AND at >= 'x' AND at < 'y'")
        )
        assert "ix_events_offers" in str(plan.all())
    engine.dispose()
