"""Texts that come when the call is over: whose they are, what the ticket gets, and the automatic answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import MessageQueued
from ivr_engine.domain.in_call_sms import MOST_ANSWERS
from ivr_engine.domain.messages import Direction, Message, Purpose
from ivr_engine.domain.records import replace
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms, Tx
from ivr_engine.sim import clock
from tests.flow.centre import site
from tests.flow.test_messaging_inbound import NOW, OTHER_PHONE, PHONE, SENDER, Books

OVER = NOW + timedelta(minutes=5)
"""When the calls of these tests end."""


@pytest.fixture
def books() -> Iterator[Books]:
    books = Books()
    yield books
    clock.run(books.store.close())


def talked(books: Books, id: str = "c1", *, language: str = "en") -> Call:
    """A call in which an agent talked to the caller and an SMS was sent; it ended at ``OVER``."""
    call = books.call(id)
    books.written_to(call)
    books.ticket(call)

    def talk(tx: Tx) -> None:
        now = replace(tx.calls.get(id), chapter=Chapter.TALKING, agent="anna", answered_at=NOW)
        tx.calls.save(replace(now, language=language))

    books.do(talk)
    books.ended(call, OVER)
    return call


def answering(**changes: Any) -> InboundRules:
    in_call: dict[str, Any] = {
        "automatic_answer": {"text": {"en": "{brand}: too late", "de": "{brand}: zu spät"}}
    }
    settings = site(in_call_sms=in_call | changes, sms={"sender": SENDER})
    return InboundRules.of("company", settings)


def writes(
    books: Books, rules: InboundRules, *, id: str = "SM1", after_s: float = 60, **fields: str
) -> Message:
    sms = InboundSms(id, fields.get("sender", PHONE), fields.get("recipient", SENDER), "Hello?")
    message = books.do(lambda tx: received(tx, sms, rules, OVER + timedelta(seconds=after_s)))
    assert message is not None
    return message


def answers(books: Books) -> list[Message]:
    every = books.do(lambda tx: tx.messages.search(limit=1000))
    return [m for m in reversed(every) if m.purpose == Purpose.AUTOMATIC_ANSWER]


def comments(books: Books) -> list[str]:
    return [c.text for c in books.do(lambda tx: tx.tickets.get("t-c1")).comments]


def test_after_a_talk_a_text_can_be_read_with_the_call_and_is_not_on_the_ticket(books: Books) -> None:
    talked(books)
    message = writes(books, answering())
    assert (message.call_id, message.ticket_id, message.purpose) == ("c1", None, Purpose.LATE_REPLY)
    assert comments(books) == ["Answer here"]


def test_a_picture_that_comes_after_a_talk_is_not_on_the_ticket_either(books: Books) -> None:
    talked(books)
    sms = InboundSms("SM1", PHONE, SENDER, "", (("https://company.example/1", "image/png"),))
    message = books.do(lambda tx: received(tx, sms, answering(), OVER))
    assert message is not None
    assert message.ticket_id is None  # by which the file is attached when it is there
    assert comments(books) == ["Answer here"]


def test_who_hung_up_while_waiting_adds_to_the_ticket_and_is_not_answered(books: Books) -> None:
    call = books.call("c1")
    books.written_to(call)
    books.ticket(call)
    books.ended(call, OVER)
    message = writes(books, answering())
    assert (message.call_id, message.ticket_id, message.purpose) == ("c1", "t-c1", Purpose.REPLY)
    assert comments(books) == ["Answer here", "Hello?"]
    assert not answers(books)


@pytest.mark.parametrize(("after_s", "call_id"), [(3600, "c1"), (3601, None)])
def test_later_it_belongs_to_no_call(books: Books, after_s: float, call_id: str | None) -> None:
    talked(books)
    message = writes(books, answering(after_hang_up=3600), after_s=after_s)
    assert message.call_id == call_id
    assert message.purpose == (Purpose.LATE_REPLY if call_id else Purpose.UNSOLICITED)


def test_a_later_text_is_answered_once_in_the_callers_language_from_the_number_it_went_to(
    books: Books,
) -> None:
    talked(books, language="de")
    for n in range(10):
        writes(books, answering(), id=f"SM{n}", after_s=n * 4000)
    [answer] = answers(books)
    assert (answer.direction, answer.sender, answer.recipient) == (Direction.OUTBOUND, SENDER, PHONE)
    assert (answer.text, answer.call_id, answer.ticket_id) == ("Example: zu spät", "c1", None)
    events = [e.what for e in books.do(lambda tx: tx.events.of_call("c1"))]
    assert MessageQueued(answer.id) in events
    shown = [m.purpose for m in books.do(lambda tx: tx.messages.of_call("c1"))]
    assert shown[1:4] == [Purpose.LATE_REPLY, Purpose.AUTOMATIC_ANSWER, Purpose.LATE_REPLY]


def test_one_who_hung_up_while_waiting_is_answered_when_nobody_reads_it_any_more(books: Books) -> None:
    call = books.call("c1")
    books.written_to(call)
    books.ended(call, OVER)
    writes(books, answering(after_hang_up=60), after_s=61)
    assert len(answers(books)) == 1


def test_with_a_pause_it_is_answered_again_but_a_machine_is_not_talked_to_for_ever(books: Books) -> None:
    talked(books)
    rules = answering(
        automatic_answer={"text": {"en": "too late", "de": "zu spät"}, "again_after": 60}, after_hang_up=0
    )
    asked = [0, 30, 59, 60, 119, 120, *range(1000, 100_000, 1000)]
    for n, after_s in enumerate(asked):
        writes(books, rules, id=f"SM{n}", after_s=after_s)
    times = [round((a.created_at - OVER).total_seconds()) for a in answers(books)]
    assert times == [0, 60, 120, 1000, 2000]
    assert len(times) == MOST_ANSWERS


@pytest.mark.parametrize(
    "rules",
    [
        answering(automatic_answer={"text": {}}),
        answering(enabled=False),
        InboundRules.of(
            "company",
            site(
                in_call_sms={"automatic_answer": {"text": {"en": "late"}}},
                support={"label": "S", "in_call_sms": False},
            ),
        ),
        InboundRules(provider="company", country="DE"),
    ],
    ids=["no text", "off", "off for the queue", "no site"],
)
def test_where_it_is_not_switched_on_nothing_is_answered(books: Books, rules: InboundRules) -> None:
    talked(books)
    writes(books, rules)
    assert not answers(books)


def test_strangers_and_other_numbers_get_no_answer(books: Books) -> None:
    talked(books)
    writes(books, answering(), id="SM1", sender=OTHER_PHONE)
    writes(books, answering(), id="SM2", recipient="+4930999999")
    assert not answers(books)


def test_a_new_call_of_the_phone_has_what_is_written_to_the_number_of_the_one_before(books: Books) -> None:
    talked(books)
    books.call("c2", at=OVER + timedelta(seconds=10))
    message = writes(books, answering())
    assert (message.call_id, message.purpose) == ("c2", Purpose.REPLY)
    assert not answers(books)


def test_who_writes_first_in_a_call_is_understood(books: Books) -> None:
    books.call("c1")
    assert writes(books, answering()).call_id == "c1"
    assert writes(books, answering(), id="SM2", recipient="+4930999999").call_id is None
