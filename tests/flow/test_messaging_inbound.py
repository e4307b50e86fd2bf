"""Texts coming in: whose call they belong to, once each, and on to the ticket. Status reports likewise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import MessageReceived
from ivr_engine.domain.messages import Direction, MediaStatus, Message, MessageStatus, outbound, printable
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.errors import Unreachable
from ivr_engine.messaging.inbound import InboundRules, received, status_reported
from ivr_engine.messaging.reconcile import ReconcilePolicy, Reconciliation
from ivr_engine.ports import InboundSms, StatusReport, Store, Tx
from ivr_engine.sim import clock
from ivr_engine.sim.clock import START, SimClock
from ivr_engine.store import connect

T = TypeVar("T")

PHONE, OTHER_PHONE = "+4915112345678", "+4915187654321"
SENDER, OTHER_SENDER = "+4930123456", "+4930654321"
RULES = InboundRules(provider="company", country="DE")
NOW = START


class Books:
    """A store and what the tests ask of it, at times of their own choosing."""

    def __init__(self) -> None:
        self.store: Store = connect("sqlite://")

    def do(self, transaction: Callable[[Tx], T]) -> T:
        return clock.run(self.store.run(transaction))

    def call(self, id: str, *, caller: str = PHONE, at: datetime = NOW) -> Call:
        call = Call(
            id=id,
            engine="ivr-1",
            channel_id=f"ch-{id}",
            caller=caller,
            number="700",
            queue="support",
            language="en",
            started_at=at,
            chapter=Chapter.WAITING,
        )
        self.do(lambda tx: tx.calls.add(call))
        return call

    def written_to(self, call: Call, *, sender: str = SENDER, at: datetime = NOW) -> Message:
        message = outbound(
            id=f"out-{call.id}",
            sender=sender,
            recipient=call.caller or "",
            text="Answer here",
            provider="company",
            purpose="wait_time_sms",
            call_id=call.id,
            now=at,
        )
        self.do(lambda tx: tx.messages.add(message))
        return message

    def ended(self, call: Call, at: datetime) -> None:
        def end(tx: Tx) -> None:
            tx.calls.save(tx.calls.get(call.id).ended(EndReason.CALLER_HUNG_UP, at))

        self.do(end)

    def ticket(self, call: Call) -> None:
        def open(tx: Tx) -> None:
            now = tx.calls.get(call.id)
            ticket = ticket_for(now, tx.messages.of_call(call.id), id=f"t-{call.id}", now=NOW)
            tx.tickets.add(ticket)
            tx.calls.save(replace(now, ticket_id=ticket.id))

        self.do(open)

    def comes_in(
        self, text: str = "Hello", *, id: str = "SM1", at: datetime = NOW, **fields: str
    ) -> Message | None:
        sms = InboundSms(id, fields.get("sender", PHONE), fields.get("recipient", SENDER), text)
        return self.do(lambda tx: received(tx, sms, RULES, at))


@pytest.fixture
def books() -> Iterator[Books]:
    books = Books()
    yield books
    clock.run(books.store.close())


def test_an_answer_belongs_to_the_call_whose_number_it_answers(books: Books) -> None:
    call = books.call("c1")
    books.written_to(call)
    message = books.comes_in("my order is 4711")
    assert message is not None
    assert (message.call_id, message.direction, message.status) == (
        "c1",
        Direction.INBOUND,
        MessageStatus.RECEIVED,
    )
    events = books.do(lambda tx: tx.events.of_call("c1"))
    assert events[-1].what == MessageReceived(message.id, 0)


def test_the_same_text_ten_times_is_one_message_and_one_event(books: Books) -> None:
    books.written_to(books.call("c1"))
    assert [m is not None for m in (books.comes_in() for _ in range(10))] == [True] + [False] * 9
    assert len(books.do(lambda tx: tx.messages.search(status=MessageStatus.RECEIVED))) == 1
    assert sum(isinstance(e.what, MessageReceived) for e in books.do(lambda tx: tx.events.after(0))) == 1


def test_of_two_open_calls_the_one_written_to_last(books: Books) -> None:
    books.written_to(books.call("c1"), at=NOW)
    books.written_to(books.call("c2", at=NOW - timedelta(hours=1)), at=NOW + timedelta(seconds=1))
    message = books.comes_in()
    assert message is not None
    assert message.call_id == "c2"


def test_the_number_answered_decides_between_two_open_calls(books: Books) -> None:
    books.written_to(books.call("c1"), sender=SENDER)
    books.written_to(books.call("c2"), sender=OTHER_SENDER, at=NOW + timedelta(seconds=1))
    message = books.comes_in(recipient=SENDER)
    assert message is not None
    assert message.call_id == "c1"


def test_an_open_call_goes_before_a_later_one_that_has_ended(books: Books) -> None:
    books.written_to(books.call("c1"))
    later = books.call("c2")
    books.written_to(later, at=NOW + timedelta(seconds=5))
    books.ended(later, NOW + timedelta(seconds=10))
    message = books.comes_in(at=NOW + timedelta(seconds=20))
    assert message is not None
    assert message.call_id == "c1"


@pytest.mark.parametrize(("after", "call_id"), [(timedelta(hours=1), "c1"), (timedelta(hours=3), None)])
def test_after_hang_up_for_a_set_time(books: Books, after: timedelta, call_id: str | None) -> None:
    call = books.call("c1")
    books.written_to(call)
    books.ticket(call)
    books.ended(call, NOW)
    message = books.comes_in("one more thing", at=NOW + after)
    assert message is not None
    assert message.call_id == call_id
    comments = books.do(lambda tx: tx.tickets.get("t-c1")).comments
    assert [c.text for c in comments] == ["Answer here"] + (["one more thing"] if call_id else [])


def test_a_stranger_belongs_to_no_call(books: Books) -> None:
    books.written_to(books.call("c1"))
    message = books.comes_in(sender=OTHER_PHONE)
    assert message is not None
    assert message.call_id is None


def test_numbers_are_understood_as_the_network_writes_them(books: Books) -> None:
    books.written_to(books.call("c1"))
    message = books.comes_in(sender="0151 12345678", recipient="030123456")
    assert message is not None
    assert (message.sender, message.recipient, message.call_id) == (PHONE, SENDER, "c1")
    short = books.comes_in(id="SM2", sender="12345\x00\x1b[31m")
    assert short is not None
    assert short.sender == "12345[31m"


def test_the_ticket_gets_what_was_written_before_and_after_it_was_opened_once(books: Books) -> None:
    call = books.call("c1")
    books.written_to(call)
    books.comes_in("before", id="SM1", at=NOW + timedelta(seconds=1))
    books.ticket(call)
    books.comes_in("after", id="SM2", at=NOW + timedelta(seconds=2))
    comments = books.do(lambda tx: tx.tickets.get("t-c1")).comments
    assert [(c.author, c.text) for c in comments] == [
        ("system", "Answer here"),
        ("customer", "before"),
        ("customer", "after"),
    ]


def test_at_most_ten_files_wait_to_be_fetched(books: Books) -> None:
    media = tuple((f"https://company.example/{n}", "image/png") for n in range(20))
    message = books.do(lambda tx: received(tx, InboundSms("SM1", PHONE, SENDER, "", media), RULES, NOW))
    assert message is not None
    assert [m.status for m in message.media] == [MediaStatus.PENDING] * 10
    assert len({m.id for m in message.media}) == 10


HOSTILE = "a\x00b\x1b[2Jc\ud800d\r\ne\tf\u202e😀"


def test_control_characters_do_not_get_through(books: Books) -> None:
    assert printable(HOSTILE) == "ab[2Jcd\ne\tf\u202e😀"
    message = books.comes_in(HOSTILE)
    assert message is not None
    assert message.text == printable(HOSTILE)


# ── status reports ───────────────────────────────────────────────────────────────────────────────


def reported(
    books: Books, status: MessageStatus, *, provider_id: str = "SM5", ours: str | None = "out-c1"
) -> Message | None:
    report = StatusReport(provider_id, status, ours)
    return books.do(lambda tx: status_reported(tx, report, "company", NOW))


def test_a_report_may_come_before_we_know_the_providers_id(books: Books) -> None:
    books.written_to(books.call("c1"))
    assert reported(books, MessageStatus.SENT) is not None
    message = books.do(lambda tx: tx.messages.get("out-c1"))
    assert (message.status, message.provider_id) == (MessageStatus.SENT, "SM5")
    assert reported(books, MessageStatus.DELIVERED, ours=None) is not None  # by the provider's id alone


def test_reports_reversed_and_repeated_leave_the_final_one(books: Books) -> None:
    books.written_to(books.call("c1"))
    news = [
        reported(books, status)
        for status in (
            MessageStatus.DELIVERED,
            MessageStatus.SENT,
            MessageStatus.ACCEPTED,
            MessageStatus.DELIVERED,
        )
    ]
    assert [n is not None for n in news] == [True, False, False, False]


def test_reports_of_nothing_we_know_change_nothing(books: Books) -> None:
    assert reported(books, MessageStatus.DELIVERED, ours="nobody") is None
    inbound = books.comes_in()
    assert inbound is not None
    assert reported(books, MessageStatus.DELIVERED, ours=inbound.id) is None
    assert books.do(lambda tx: tx.messages.get(inbound.id)).status is MessageStatus.RECEIVED


def test_a_second_id_for_one_message_is_a_doubled_sms_and_said_loudly(books: Books) -> None:
    books.written_to(books.call("c1"))
    reported(books, MessageStatus.DELIVERED)
    with capture_logs() as logs:
        assert reported(books, MessageStatus.DELIVERED, provider_id="SM6") is None
    assert [(e["event"], e["first"], e["second"]) for e in logs] == [("sms.doubled", "SM5", "SM6")]


# ── reconciliation ───────────────────────────────────────────────────────────────────────────────


class Listing:
    """A provider of which only the list of inbound messages is asked."""

    def __init__(self, *texts: InboundSms) -> None:
        self.texts = texts
        self.asked: list[datetime] = []
        self.down = 0

    async def received_since(self, since: datetime) -> tuple[InboundSms, ...]:
        self.asked.append(since)
        if self.down:
            self.down -= 1
            raise Unreachable("the provider is down")
        return self.texts


def test_texts_sent_while_the_engine_was_down_are_found_once(books: Books) -> None:
    books.written_to(books.call("c1"))
    books.comes_in("came by webhook", id="SM0")
    listing = Listing(*(InboundSms(f"SM{n}", PHONE, SENDER, f"text {n}") for n in range(120)))
    told: list[Message] = []

    async def story() -> None:
        looking = Reconciliation(
            store=books.store,
            provider=listing,
            clock=SimClock(),
            rules=lambda: RULES,
            stored=told.append,
        )
        assert await looking.look() == 119
        assert await looking.look() == 0

    with capture_logs() as logs:
        clock.run(story())
    assert [(e["event"], e["messages"]) for e in logs] == [("sms.found_in_list", 119)]
    assert len(told) == 119
    assert len(books.do(lambda tx: tx.messages.search(status=MessageStatus.RECEIVED, limit=1000))) == 120
    assert {m.call_id for m in told} == {"c1"}


def test_the_list_is_asked_with_an_overlap_and_soon_again_when_it_fails(
    books: Books,
) -> None:
    listing = Listing()
    listing.down = 3
    policy = ReconcilePolicy(every_s=100, overlap_s=50, first_s=1000, retry_s=10)

    async def story() -> list[float]:
        looking = Reconciliation(
            store=books.store,
            provider=listing,
            clock=SimClock(),
            rules=lambda: RULES,
            stored=lambda _: None,
            policy=policy,
        )
        task = asyncio.create_task(looking.run())
        await asyncio.sleep(235)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [(since - START).total_seconds() for since in listing.asked]

    with capture_logs() as logs:
        asked = clock.run(story())
    assert asked == pytest.approx([-1000, -990, -980, -970, -20, 80], abs=1)
    assert [e["event"] for e in logs] == ["sms.reconciliation_waits"]


def test_after_a_restart_it_reaches_back_behind_the_newest_text(books: Books) -> None:
    books.comes_in(at=START - timedelta(days=2))
    listing = Listing()

    async def story() -> None:
        looking = Reconciliation(
            store=books.store,
            provider=listing,
            clock=SimClock(),
            rules=lambda: RULES,
            stored=lambda _: None,
        )
        await looking.look()

    clock.run(story())
    assert listing.asked == [START - timedelta(days=2, hours=1)]


def test_an_answer_to_a_call_that_is_not_kept_any_more_is_stored_all_the_same(books: Books) -> None:
    def write(tx: Tx) -> None:
        tx.messages.add(
            outbound(
                id="old",
                sender=SENDER,
                recipient=PHONE,
                text="Hello",
                provider="company",
                purpose="wait_time_sms",
                call_id="long gone",
                now=NOW,
            )
        )

    books.do(write)
    message = books.comes_in()
    assert message is not None
    assert message.call_id is None
