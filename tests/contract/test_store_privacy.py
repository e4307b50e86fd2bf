"""What every store promises of opt-outs, of proofs that cannot be changed, and of deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import ConsentRecord, WaitTimeSmsStatus, Withdrawal
from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.events import CallStarted, ConsentGiven
from ivr_engine.domain.messages import Direction, MediaStatus, MessageStatus
from ivr_engine.domain.opt_outs import Erasure, ErasureState, How, OptOut, Said, pseudonyms
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import comment_from, file_from
from ivr_engine.errors import Refused
from ivr_engine.ports import Store, Tx
from ivr_engine.store.transaction import Transaction
from tests.contract.store_examples import (
    KINDS,
    NOW,
    call,
    consent,
    media,
    message,
    requested,
    ticket,
)

PHONE = "+4915112345678"
OTHER = "+4915187654321"
DAY = timedelta(days=1)
known_as = pseudonyms("")
"""Stores of tests have no key."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


def said(days: float = 0, **fields: Any) -> Said:
    return replace(Said(at=NOW + days * DAY, how=How.SMS, wording="STOP", actor="caller"), **fields)


def opt_out(id: str = "o1", number: str = PHONE, days: float = 0) -> OptOut:
    return OptOut(id=id, number=number, said=said(days), language="de")


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_on_the_list_until_it_is_resumed(store: Store) -> None:
    first = opt_out()
    assert not await store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))
    await store.run(lambda tx: tx.opt_outs.add(first))
    assert await store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))
    assert await store.run(lambda tx: tx.opt_outs.standing(PHONE)) == first
    assert not await store.run(lambda tx: tx.opt_outs.is_opted_out(OTHER))
    over = first.ended(said(1, how=How.STAFF, actor="anna", wording="asked on the phone"))
    await store.run(lambda tx: tx.opt_outs.end(over))
    assert not await store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))
    assert await store.run(lambda tx: tx.opt_outs.standing(PHONE)) is None
    again = opt_out("o2", days=2)
    await store.run(lambda tx: tx.opt_outs.add(again))
    assert await store.run(lambda tx: tx.opt_outs.search(number=PHONE)) == [again, over]
    assert await store.run(lambda tx: tx.opt_outs.search()) == [again, over]
    assert await store.run(lambda tx: tx.opt_outs.page(None, 1)) == [over]
    assert await store.run(lambda tx: tx.opt_outs.page((over.said.at, over.id), 5)) == [again]


async def test_one_stands_at_a_time(store: Store) -> None:
    await store.run(lambda tx: tx.opt_outs.add(opt_out()))
    with pytest.raises(Refused):
        await store.run(lambda tx: tx.opt_outs.add(opt_out("o2")))


async def test_it_ends_once(store: Store) -> None:
    over = opt_out().ended(said(1))
    await store.run(lambda tx: tx.opt_outs.add(over))
    with pytest.raises(Refused, match="ended before"):
        await store.run(lambda tx: tx.opt_outs.end(replace(over, resumed=said(2))))


async def test_who_was_erased_is_found_by_the_pseudonym(store: Store) -> None:
    await store.run(lambda tx: tx.opt_outs.add(opt_out()))
    assert await store.run(lambda tx: tx.privacy.rename(PHONE)) == {
        "consents": 0,
        "opt_outs": 1,
    }
    assert await store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))
    assert not await store.run(lambda tx: tx.opt_outs.is_opted_out(OTHER))
    [kept] = await store.run(lambda tx: tx.opt_outs.search(number=PHONE))
    assert kept == await store.run(lambda tx: tx.opt_outs.standing(PHONE))
    assert kept.number == known_as(PHONE)
    assert PHONE not in kept.number
    await store.run(lambda tx: tx.opt_outs.end(kept.ended(said(1))))
    assert not await store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────


def _sql(statement: str) -> Callable[[Tx], object]:
    """What somebody would write who goes round the repositories."""
    return lambda tx: cast("Transaction", tx).statements.write(text(statement), {})


_TAMPERING = [
    "UPDATE consents SET outcome = 'allowed'",
    "UPDATE consents SET wording = ''",
    "UPDATE consents SET number = '+4915187654321'",
    "UPDATE consents SET number = 'erased:x', outcome = 'denied'",
    "UPDATE consents SET at = '2020-01-01 00:00:00+00'",
    "DELETE FROM consents",
    "DELETE FROM consents WHERE id = 'consent-1'",
    "UPDATE opt_outs SET wording = ''",
    "UPDATE opt_outs SET since = '2020-01-01 00:00:00+00'",
    "UPDATE opt_outs SET number = '+4915187654321'",
    "UPDATE opt_outs SET resumed_at = NULL WHERE id = 'over'",
    "UPDATE opt_outs SET resumed_actor = 'somebody else' WHERE id = 'over'",
    "DELETE FROM opt_outs",
]


@pytest.mark.parametrize("statement", _TAMPERING)
async def test_a_proof_cannot_be_changed_or_deleted(store: Store, statement: str) -> None:
    def fill(tx: Tx) -> None:
        tx.consents.add(consent(1, PHONE))
        tx.opt_outs.add(opt_out())
        tx.opt_outs.add(opt_out("over", number=OTHER).ended(said(1)))

    await store.run(fill)
    before = await store.run(lambda tx: (tx.consents.search(), tx.opt_outs.search()))
    with pytest.raises(Refused, match="append-only"):
        await store.run(_sql(statement))
    assert await store.run(lambda tx: (tx.consents.search(), tx.opt_outs.search())) == before


async def test_what_is_erased_once_cannot_be_renamed_again(store: Store) -> None:
    await store.run(lambda tx: tx.consents.add(consent(1, PHONE)))
    await store.run(lambda tx: tx.privacy.rename(PHONE))
    [kept] = await store.run(lambda tx: tx.consents.search())
    assert kept == replace(consent(1, PHONE), number=known_as(PHONE))
    with pytest.raises(Refused, match="append-only"):
        await store.run(lambda tx: tx.privacy.rename(kept.number))


async def test_consents_go_when_they_are_too_old_and_no_others(store: Store) -> None:
    old = [replace(consent(n, PHONE), at=NOW - 10 * DAY) for n in range(5)]
    new = replace(consent(9, PHONE), at=NOW - 4 * DAY)
    for record in (*old, new):
        await store.run(lambda tx, record=record: tx.consents.add(record))
    limit = NOW - 5 * DAY
    assert await store.run(lambda tx: tx.privacy.drop_consents(limit, 3)) == 3
    assert await store.run(lambda tx: tx.privacy.drop_consents(limit, 3)) == 2
    assert await store.run(lambda tx: tx.privacy.drop_consents(limit, 3)) == 0
    assert await store.run(lambda tx: tx.consents.search()) == [new]
    with pytest.raises(Refused, match="append-only"):
        await store.run(_sql("DELETE FROM consents"))


def answer(number: int, outcome: WaitTimeSmsStatus | Withdrawal, phone: str = PHONE) -> ConsentRecord:
    return replace(consent(number, phone), outcome=outcome)


async def test_a_consent_stands_until_it_is_withdrawn(store: Store) -> None:
    yes, no = WaitTimeSmsStatus.ALLOWED, WaitTimeSmsStatus.DENIED
    given = answer(2, yes)
    for record in (answer(1, no), given, answer(3, no)):
        await store.run(lambda tx, record=record: tx.consents.add(record))
    assert await store.run(lambda tx: tx.consents.given(PHONE, "wait_time_sms")) == given
    assert await store.run(lambda tx: tx.consents.given(PHONE, "recording")) is None
    assert await store.run(lambda tx: tx.consents.given(OTHER, "wait_time_sms")) is None
    withdrawn = replace(answer(4, Withdrawal.WITHDRAWN), how="sms", actor="caller", wording="STOP")
    await store.run(lambda tx: tx.consents.add(withdrawn))
    assert await store.run(lambda tx: tx.consents.given(PHONE, "wait_time_sms")) is None
    await store.run(lambda tx: tx.consents.add(answer(5, yes)))
    assert await store.run(lambda tx: tx.consents.given(PHONE, "wait_time_sms")) == answer(5, yes)


async def test_the_ledger_page_by_page(store: Store) -> None:
    records = [consent(n, PHONE if n % 2 else known_as(PHONE)) for n in range(4)] + [consent(9, OTHER)]
    records.append(replace(records[-1], id="consent-91"))
    for record in records:
        await store.run(lambda tx, record=record: tx.consents.add(record))
    first = await store.run(lambda tx: tx.consents.page(None, 5))
    assert first == records[:5]
    rest = await store.run(lambda tx: tx.consents.page((first[-1].at, first[-1].id), 5))
    assert rest == records[5:]
    assert await store.run(lambda tx: tx.consents.page(None, 9, number=PHONE)) == records[:4]
    after = (records[1].at, records[1].id)
    assert await store.run(lambda tx: tx.consents.page(after, 9, number=PHONE)) == records[2:4]
    assert await store.run(lambda tx: tx.consents.search(number=PHONE)) == records[3::-1]


async def test_a_consent_of_an_erased_number_can_be_withdrawn(store: Store) -> None:
    erased = answer(1, WaitTimeSmsStatus.ALLOWED, known_as(PHONE))
    await store.run(lambda tx: tx.consents.add(erased))
    assert await store.run(lambda tx: tx.consents.given(PHONE, "wait_time_sms")) == erased
    assert await store.run(lambda tx: tx.consents.given(OTHER, "wait_time_sms")) is None


# ── deleting ─────────────────────────────────────────────────────────────────────────────────────


async def test_erasures(store: Store) -> None:
    one = Erasure(id="e1", number=PHONE, at=NOW, actor="api", deleted={})
    await store.run(lambda tx: tx.erasures.add(one))
    assert await store.run(lambda tx: tx.erasures.open()) == [one]
    done = replace(
        one.counted(messages=2, files=0), number=known_as(PHONE), state=ErasureState.DONE, done_at=NOW
    )
    await store.run(lambda tx: tx.erasures.save(done))
    assert done.deleted == {"messages": 2, "files": 0}
    assert await store.run(lambda tx: tx.erasures.get("e1")) == done
    assert await store.run(lambda tx: tx.erasures.open()) == []
    assert await store.run(lambda tx: tx.erasures.newest(10)) == [done]
    missing: list[Callable[[Tx], object]] = [
        lambda tx: tx.erasures.get("?"),
        lambda tx: tx.erasures.save(replace(one, id="?")),
    ]
    for transaction in missing:
        with pytest.raises(Refused) as caught:
            await store.run(transaction)
        assert caught.value.missing


def _belongings(tx: Tx) -> None:
    """Of two phones, everything that is kept of a phone."""
    for phone, n in ((PHONE, "1"), (OTHER, "2")):
        ended = call(id=f"c{n}", caller=phone, chapter=Chapter.WAITING).ended(EndReason.CALLER_HUNG_UP, NOW)
        tx.calls.add(ended)
        tx.events.add(NOW, f"c{n}", CallStarted(phone, "700"), ConsentGiven("allowed", "1"))
        photo = media(id=f"p{n}", status=MediaStatus.STORED, file=f"p{n}.png")
        inbound = message(
            id=f"in{n}",
            direction=Direction.INBOUND,
            sender=phone,
            recipient="+4930123456",
            status=MessageStatus.RECEIVED,
            media=(photo,),
            call_id=f"c{n}",
        )
        tx.messages.add(inbound)
        tx.messages.add(message(id=f"out{n}", recipient=phone, status=MessageStatus.DELIVERED))
        attached = file_from(photo, NOW)
        assert attached is not None
        said = comment_from(inbound)
        tx.tickets.add(ticket(id=f"t{n}", caller=phone, comments=(said,), files=(attached,)))
        tx.callers.keep_language(phone, "de", NOW)
        tx.recordings.add(
            TalkRecording(
                id=f"r{n}",
                engine="ivr-1",
                call_id=f"c{n}",
                agent="anna",
                started_at=NOW,
                status=RecordingStatus.KEPT,
            )
        )
        tx.contacts.add(
            Contact(
                id=f"k{n}", name="Somebody", language="de", created_at=NOW, updated_at=NOW, numbers=(phone,)
            )
        )


async def test_everything_of_a_number_and_nothing_of_another(store: Store) -> None:
    await store.run(_belongings)

    def erase(tx: Tx) -> None:
        privacy = tx.privacy
        assert privacy.under_way(PHONE) is None
        for _ in range(2):
            portion = privacy.messages_of(PHONE, 10)
            privacy.drop_messages(portion.ids)
        assert privacy.messages_of(PHONE, 10).ids == ()
        tickets = privacy.tickets_of(PHONE, 10)
        assert tickets.ids == ("t1",)
        assert privacy.drop_tickets(tickets.ids) == 1
        calls = privacy.calls_of(PHONE, 10)
        assert (calls.ids, calls.files) == (("c1",), ("r1.wav",))
        assert privacy.hide_calls(calls.ids, PHONE) == 1
        assert privacy.calls_of(PHONE, 10).ids == ()
        assert privacy.drop_caller(PHONE) == 2
        assert privacy.drop_caller(PHONE) == 0

    assert (await store.run(lambda tx: tx.privacy.messages_of(PHONE, 1))).ids == ("out1",)
    await store.run(erase)

    def left(tx: Tx, phone: str) -> tuple[int, ...]:
        found = (
            tx.messages.search(number=phone),
            tx.tickets.search(caller=phone),
            tx.calls.search(caller=phone),
        )
        return (*map(len, found), tx.callers.language(phone) is not None, len(tx.contacts.with_number(phone)))

    assert await store.run(lambda tx: left(tx, PHONE)) == (0, 0, 0, 0, 0)
    assert await store.run(lambda tx: left(tx, OTHER)) == (2, 1, 1, 1, 1)
    hidden = await store.run(lambda tx: tx.calls.get("c1"))
    assert (hidden.caller, hidden.queue) == (None, "support")
    events = [event.what for event in await store.run(lambda tx: tx.events.of_call("c1"))]
    assert events == [CallStarted(known_as(PHONE), "700"), ConsentGiven("allowed", "1")]
    [recording] = await store.run(lambda tx: tx.recordings.of_call("c1"))
    assert recording.status is RecordingStatus.DELETED


async def test_what_is_under_way_is_left_alone(store: Store) -> None:
    await store.run(_belongings)
    waits: list[tuple[Callable[[Tx], object], str]] = [
        (
            lambda tx: tx.messages.add(message(id="x", recipient=PHONE, status=MessageStatus.SENDING)),
            "a message",
        ),
        (lambda tx: tx.calls.add(call(caller=PHONE)), "a call"),
    ]
    for begin, what in waits:
        await store.run(begin)
        assert await store.run(lambda tx: tx.privacy.under_way(PHONE)) == what
        assert await store.run(lambda tx: tx.privacy.under_way(OTHER)) is None
    assert "x" not in (await store.run(lambda tx: tx.privacy.messages_of(PHONE, 10))).ids
    assert await store.run(lambda tx: tx.privacy.drop_messages(["x", "out1"])) == 1
    assert (await store.run(lambda tx: tx.messages.get("x"))).status is MessageStatus.SENDING


async def test_what_is_too_old(store: Store) -> None:
    await store.run(_belongings)

    def age(tx: Tx) -> None:
        privacy, soon, late = tx.privacy, NOW, NOW + DAY
        for old in (privacy.old_messages, privacy.old_media, privacy.old_files, privacy.old_tickets):
            assert old(soon, 10).ids == ()
        portion = privacy.old_media(late, 10)
        assert sorted(portion.files) == ["p1.png", "p2.png"]
        assert privacy.drop_media(portion.ids) == 2
        assert privacy.old_media(late, 10).ids == ()
        assert tx.tickets.get("t1").files == ()
        assert len(privacy.old_messages(late, 3).ids) == 3
        assert privacy.drop_messages(privacy.old_messages(late, 10).ids) == 4
        assert tx.tickets.get("t1").comments == ()
        assert privacy.old_calls(late, 10).ids == ()  # a recording is kept
        for recording in tx.recordings.with_status(RecordingStatus.KEPT):
            tx.recordings.save(replace(recording, status=RecordingStatus.DELETED))
        assert sorted(privacy.old_calls(late, 10).ids) == ["c1", "c2"]
        assert privacy.drop_calls(privacy.old_calls(late, 10).ids) == 2
        assert tx.events.of_call("c1") == []
        assert privacy.drop_tickets(privacy.old_tickets(late, 10).ids) == 2

    await store.run(age)
    assert await store.run(lambda tx: (tx.calls.search(), tx.tickets.search(), tx.messages.search())) == (
        [],
        [],
        [],
    )
