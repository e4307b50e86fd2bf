"""What may be sent in a call, what it costs, and which texts after its end are answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.in_call_sms import LONGEST, MOST_ANSWERS, exchanged, in_words, is_answered, own_text
from ivr_engine.domain.messages import Direction, Message, MessageStatus, Purpose
from ivr_engine.domain.sms_parts import Encoding, measure, parts
from ivr_engine.errors import Refused

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
TEXTS = st.text(alphabet=st.sampled_from("aé€^\u2019ж😀\n "), max_size=400)


def message(
    purpose: str = Purpose.REPLY,
    direction: Direction = Direction.INBOUND,
    status: MessageStatus = MessageStatus.RECEIVED,
    at: datetime = NOW,
) -> Message:
    return Message(
        id="m",
        direction=direction,
        sender="+4915112345678",
        recipient="+4930123456",
        text="",
        status=status,
        provider="simulator",
        purpose=purpose,
        created_at=at,
        updated_at=at,
    )


@given(TEXTS)
def test_a_measure_is_what_is_sent(text: str) -> None:
    found, sent = measure(text), parts(text)
    assert (found.segments, found.units, found.characters) == (sent.count, sent.units, len(text))
    assert (found.encoding is Encoding.UCS2) == bool(found.forcing) == (sent.forcing is not None)
    assert found.forcing[:1] == ((sent.forcing,) if sent.forcing else ())
    assert len(set(found.forcing)) == len(found.forcing)


@given(TEXTS)
def test_so_much_is_left_and_not_a_unit_more(text: str) -> None:
    found = measure(text)
    assert found.left >= 0
    assert parts(text + "a" * found.left).count == found.segments
    assert parts(text + "a" * (found.left + 1)).count == found.segments + 1


@given(st.text(max_size=1200))
def test_what_an_agent_writes_is_refused_or_fit_to_be_sent(written: str) -> None:
    try:
        text = own_text(written)
    except Refused:
        return
    assert 0 < len(text) <= LONGEST
    assert own_text(text) == text
    text.encode()


def test_each_reason_in_the_number_has_a_sentence() -> None:
    about_waiting = {
        NotOffered.ALREADY_ANSWERED,
        NotOffered.LEFT_THE_LINE,
        NotOffered.MAXIMUM_PLAYS,
        NotOffered.NOT_OVER_CAPACITY,
        NotOffered.WAIT_TOO_SHORT,
        NotOffered.WAIT_TOO_LONG,
        NotOffered.WAIT_UNKNOWN,
        NotOffered.NUMBER_CAP,
        NotOffered.PREFIX_CAP,
        NotOffered.DAY_CAP,
    }
    for why in set(NotOffered) - about_waiting:
        assert why.value not in in_words(why)


@pytest.mark.parametrize(
    ("messages", "was"),
    [
        ([], False),
        ([message()], True),
        ([message(Purpose.WAIT_TIME_SMS, Direction.OUTBOUND, MessageStatus.FAILED)], False),
        ([message(Purpose.WAIT_TIME_SMS, Direction.OUTBOUND, MessageStatus.QUEUED)], True),
        ([message(Purpose.IN_CALL_SMS, Direction.OUTBOUND, MessageStatus.UNDELIVERED)], True),
    ],
)
def test_an_exchange_is_a_text_either_way(messages: list[Message], was: bool) -> None:
    assert exchanged(messages) == was


def test_one_answer_or_one_after_each_pause_and_never_too_many() -> None:
    answer = message(Purpose.AUTOMATIC_ANSWER, Direction.OUTBOUND, MessageStatus.QUEUED)
    later = NOW + timedelta(seconds=60)
    assert is_answered([message()], None, NOW)
    assert not is_answered([answer], None, later)
    assert is_answered([answer], 60, later)
    assert not is_answered([answer], 61, later)
    assert not is_answered([answer] * MOST_ANSWERS, 60, NOW + timedelta(days=9))
