"""Status reports in any order, any number of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.messages import FINAL, Direction, Message, MessageStatus, once_more, outbound
from ivr_engine.domain.records import replace

NOW = datetime(2025, 1, 6, 8, tzinfo=UTC)
OUT = [s for s in MessageStatus if s is not MessageStatus.RECEIVED]
REPORTED = [
    MessageStatus.ACCEPTED,
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.UNDELIVERED,
    MessageStatus.FAILED,
]


def message(status: MessageStatus = MessageStatus.QUEUED) -> Message:
    return Message(
        id="m",
        direction=Direction.OUTBOUND,
        sender="+4930123456",
        recipient="+4915112345678",
        text="text",
        status=status,
        provider="simulator",
        purpose="wait_time_sms",
        created_at=NOW,
        updated_at=NOW,
        next_attempt_at=NOW,
    )


def test_a_new_outbound_message_is_queued_and_due() -> None:
    new = outbound(
        id="m",
        sender="+4930123456",
        recipient="+4915112345678",
        text="text",
        provider="simulator",
        purpose="wait_time_sms",
        call_id="c",
        now=NOW,
    )
    assert (new.status, new.direction, new.attempts) == (MessageStatus.QUEUED, Direction.OUTBOUND, 0)
    assert (new.created_at, new.updated_at, new.next_attempt_at) == (NOW, NOW, NOW)


def test_a_report_moves_it_forward() -> None:
    later = NOW + timedelta(seconds=3)
    moved = message().moved(MessageStatus.SENT, later, error_code="30003")
    assert (moved.status, moved.updated_at, moved.error_code) == (MessageStatus.SENT, later, "30003")
    assert moved.next_attempt_at is None


@pytest.mark.parametrize("final", sorted(FINAL))
@pytest.mark.parametrize("report", list(MessageStatus))
def test_what_is_final_stays(final: MessageStatus, report: MessageStatus) -> None:
    before = message(final)
    assert before.moved(report, NOW + timedelta(seconds=9), error_code="x") is before


@pytest.mark.parametrize("status", OUT)
def test_the_same_report_again_changes_nothing(status: MessageStatus) -> None:
    before = message(status)
    assert before.moved(status, NOW + timedelta(seconds=9)) is before


@given(st.lists(st.sampled_from(list(MessageStatus)), max_size=30))
def test_it_never_goes_back(reports: list[MessageStatus]) -> None:
    order = list(MessageStatus)
    state = message()
    for report in reports:
        after = state.moved(report, NOW)
        assert order.index(after.status) >= order.index(state.status)
        state = after


@given(st.lists(st.sampled_from(REPORTED), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_order_and_repetition_of_reports_with_one_final_do_not_matter(
    reports: list[MessageStatus], dice: Random
) -> None:
    finals = [r for r in reports if r in FINAL][:1]
    reports = [r for r in reports if r not in FINAL] + finals
    shuffled = reports * 3
    dice.shuffle(shuffled)

    def after(sequence: list[MessageStatus]) -> MessageStatus:
        state = message()
        for report in sequence:
            state = state.moved(report, NOW)
        return state.status

    assert after(shuffled) == after(reports)
    assert not finals or after(shuffled) is finals[0]


def test_an_outbound_message_is_never_received() -> None:
    assert message().moved(MessageStatus.RECEIVED, NOW).status is MessageStatus.QUEUED


@pytest.mark.parametrize("status", [MessageStatus.UNDELIVERED, MessageStatus.FAILED])
def test_what_could_not_be_delivered_is_sent_once_more_as_a_message_of_its_own(status: MessageStatus) -> None:
    later = NOW + timedelta(minutes=1)
    first = replace(message(status), provider_id="SM1", error_code="30008", attempts=2, next_attempt_at=None)
    second = once_more(first, 300, id="m2", now=later)
    assert second is not None
    assert (second.id, second.retry_of, second.status) == ("m2", "m", MessageStatus.QUEUED)
    assert (second.provider_id, second.error_code, second.attempts) == (None, None, 0)
    assert second.created_at == later
    assert second.next_attempt_at == later + timedelta(seconds=300)
    assert (second.text, second.recipient) == (first.text, first.recipient)
    assert once_more(replace(second, status=status), 300, id="m3", now=later) is None


@pytest.mark.parametrize(
    "status", [s for s in OUT if s not in (MessageStatus.UNDELIVERED, MessageStatus.FAILED)]
)
def test_nothing_else_is_sent_once_more(status: MessageStatus) -> None:
    assert once_more(message(status), 300, id="m2", now=NOW) is None


def test_what_is_queued_is_ready_or_waits_for_a_moment() -> None:
    new = outbound(
        id="m", sender="+491", recipient="+492", text="", provider="p", purpose="x", call_id=None, now=NOW
    )
    assert (new.ready, new.waits_until) == (True, None)
    later = replace(new, next_attempt_at=NOW + timedelta(seconds=1))
    assert (later.ready, later.waits_until) == (False, later.next_attempt_at)
    sent = replace(later, status=MessageStatus.SENDING)
    assert (sent.ready, sent.waits_until) == (False, None)
    assert not replace(new, direction=Direction.INBOUND).ready
