"""What every store promises of contacts, deliveries to other systems, and leases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.crm import Backlog, Delivery, Kind
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import KINDS, NOW, call, requested, ticket

ONE, TWO = "+4915112345678", "+4915187654321"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


# ── contacts ─────────────────────────────────────────────────────────────────────────────────────


def contact(id: str = "c1", **fields: Any) -> Contact:
    return replace(
        Contact(id=id, name="Ada", numbers=(ONE,), language="de", created_at=NOW, updated_at=NOW), **fields
    )


async def test_a_contact_comes_back_as_it_was_written(store: Store) -> None:
    first = contact(numbers=(TWO, ONE), external={"hub": "4711", "erp": "a/b"})
    changed = replace(first, name="Ada L.", numbers=(ONE,), external={"hub": "12"}, updated_at=after(1))

    def write(tx: Tx) -> None:
        tx.contacts.add(first)
        assert tx.contacts.get("c1") == first
        tx.contacts.save(changed)

    await store.run(write)
    assert await store.run(lambda tx: tx.contacts.get("c1")) == changed
    assert await store.run(lambda tx: tx.contacts.with_number(TWO)) == []
    assert await store.run(lambda tx: tx.contacts.with_external("hub", "12")) == changed
    assert await store.run(lambda tx: tx.contacts.with_external("erp", "a/b")) is None


async def test_contacts_are_found_by_number_oldest_first_and_listed_newest_first(store: Store) -> None:
    two, one = contact("b", created_at=after(2)), contact("a", created_at=after(1), updated_at=after(9))
    other = contact("c", numbers=(TWO,))

    def write(tx: Tx) -> None:
        for each in (two, one, other):
            tx.contacts.add(each)

    await store.run(write)
    assert await store.run(lambda tx: tx.contacts.with_number(ONE)) == [one, two]
    assert await store.run(lambda tx: tx.contacts.some(["c", "?", "a"])) == [other, one]
    assert [each.id for each in await store.run(lambda tx: tx.contacts.search())] == ["a", "c", "b"]
    assert await store.run(lambda tx: tx.contacts.search(limit=1)) == [one]


async def test_a_contact_that_is_not_there_is_missing(store: Store) -> None:
    transactions: list[Callable[[Tx], object]] = [
        lambda tx: tx.contacts.get("?"),
        lambda tx: tx.contacts.save(contact("?")),
        lambda tx: tx.contacts.remove("?"),
        lambda tx: tx.tickets.belongs_to("?", "c1"),
    ]
    for transaction in transactions:
        with pytest.raises(Refused) as caught:
            await store.run(transaction)
        assert caught.value.missing


async def test_a_forgotten_number_takes_contacts_with_it_that_had_no_other(store: Store) -> None:
    def write(tx: Tx) -> int:
        tx.contacts.add(contact("alone"))
        tx.contacts.add(contact("both", numbers=(ONE, TWO)))
        tx.tickets.add(ticket(id="t1", contact_id="alone"))
        return tx.contacts.forget(ONE)

    assert await store.run(write) == 2
    [left] = await store.run(lambda tx: tx.contacts.search())
    assert (left.id, left.numbers) == ("both", (TWO,))
    assert (await store.run(lambda tx: tx.tickets.get("t1"))).contact_id is None
    assert await store.run(lambda tx: tx.contacts.forget(ONE)) == 0


async def test_a_ticket_knows_whose_it_may_be_and_then_whose_it_is(store: Store) -> None:
    def write(tx: Tx) -> None:
        tx.tickets.add(ticket(id="t1", candidates=("a", "b")))
        tx.tickets.add(ticket(id="t2"))

    await store.run(write)
    before = await store.run(lambda tx: tx.tickets.get("t1"))
    assert (before.contact_id, before.candidates) == (None, ("a", "b"))
    await store.run(lambda tx: tx.tickets.belongs_to("t1", "b"))
    after_that = await store.run(lambda tx: tx.tickets.get("t1"))
    assert (after_that.contact_id, after_that.candidates) == ("b", ())
    assert await store.run(lambda tx: tx.tickets.search(contact="b")) == [after_that]
    assert await store.run(lambda tx: tx.tickets.search(contact="b", caller=TWO)) == []


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


def delivery(id: str, of: str = "call-1", **fields: Any) -> Delivery:
    return replace(
        Delivery(
            id=id,
            adapter="hub",
            call_id=of,
            event_id=7,
            kind=Kind.MESSAGE,
            subject="m1",
            at=NOW,
            next_attempt_at=NOW,
        ),
        **fields,
    )


async def test_of_each_call_the_first_is_due(store: Store) -> None:
    rows = [delivery("1"), delivery("2"), delivery("3", "call-2"), delivery("4", "call-2", adapter="erp")]
    later = replace(rows[0], attempts=1, error="500", next_attempt_at=after(60))
    await store.run(lambda tx: tx.deliveries.add(rows))
    assert await store.run(lambda tx: tx.deliveries.due("hub", NOW, 9)) == [rows[0], rows[2]]
    assert await store.run(lambda tx: tx.deliveries.due("hub", NOW, 1)) == [rows[0]]
    await store.run(lambda tx: tx.deliveries.save(later))
    assert await store.run(lambda tx: tx.deliveries.due("hub", NOW, 9)) == [rows[2]], "2 waits for 1"
    assert await store.run(lambda tx: tx.deliveries.due("hub", after(60), 9)) == [rows[2], later]
    await store.run(lambda tx: tx.deliveries.hurry("hub", after(1)))
    [first, _] = await store.run(lambda tx: tx.deliveries.due("hub", after(1), 9))
    assert first == rows[2], "whose time had come already goes first"
    await store.run(lambda tx: tx.deliveries.done(later))
    assert await store.run(lambda tx: tx.deliveries.due("hub", NOW, 9)) == [rows[1], rows[2]]
    assert await store.run(lambda tx: tx.deliveries.due("erp", NOW, 9)) == [rows[3]]


async def test_dead_letters_let_the_others_pass_and_can_be_tried_again_or_dropped(store: Store) -> None:
    rows = [delivery("1", at=after(-5)), delivery("2"), delivery("3", "call-2", adapter="erp")]
    dead = [replace(each, next_attempt_at=None, attempts=9, error="400") for each in rows]

    def write(tx: Tx) -> None:
        tx.deliveries.add(rows)
        assert tx.deliveries.backlog("hub") == Backlog(2, 0, after(-5))
        for each in (dead[0], dead[2]):
            tx.deliveries.save(each)

    await store.run(write)
    assert await store.run(lambda tx: tx.deliveries.due("hub", NOW, 9)) == [rows[1]]
    assert await store.run(lambda tx: tx.deliveries.backlog("hub")) == Backlog(1, 1, NOW)
    assert await store.run(lambda tx: tx.deliveries.dead()) == [dead[2], dead[0]]
    assert await store.run(lambda tx: tx.deliveries.dead("hub")) == [dead[0]]
    assert await store.run(lambda tx: tx.deliveries.replay(after(1), "hub", "?")) == 0
    assert await store.run(lambda tx: tx.deliveries.replay(after(1), id="1")) == 1
    [again, *_] = await store.run(lambda tx: tx.deliveries.due("hub", after(1), 9))
    assert (again.id, again.attempts, again.next_attempt_at) == ("1", 0, after(1))
    assert not await store.run(lambda tx: tx.deliveries.drop("hub", "1")), "it waits: it is no dead letter"
    assert await store.run(lambda tx: tx.deliveries.drop("erp", "3"))
    assert await store.run(lambda tx: tx.deliveries.dead()) == []
    assert await store.run(lambda tx: tx.deliveries.replay(NOW)) == 0


async def test_cursors_move_and_end_with_what_waits(store: Store) -> None:
    assert await store.run(lambda tx: tx.deliveries.cursor("hub")) is None
    for through in (3, 9):
        await store.run(lambda tx, through=through: tx.deliveries.keep_cursor("hub", through))
        assert await store.run(lambda tx: tx.deliveries.cursor("hub")) == through
    given_up = replace(delivery("1"), next_attempt_at=None)
    await store.run(lambda tx: tx.deliveries.add([given_up, delivery("2")]))
    assert await store.run(lambda tx: tx.deliveries.adapters()) == ["hub"]
    await store.run(lambda tx: tx.deliveries.end("hub"))
    assert await store.run(lambda tx: tx.deliveries.cursor("hub")) is None
    assert await store.run(lambda tx: tx.deliveries.adapters()) == []
    assert await store.run(lambda tx: tx.deliveries.backlog("hub")) == Backlog(0, 1)


# ── leases ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_lease_is_one_engines_until_it_runs_out_or_is_given_back(store: Store) -> None:
    def take(holder: str, at: float) -> Callable[[Tx], bool]:
        return lambda tx: tx.leases.take("crm", holder, after(at), after(at + 60))

    assert await store.run(take("ivr-1", 0))
    assert not await store.run(take("ivr-2", 1))
    assert await store.run(take("ivr-1", 30)), "it may be kept"
    assert not await store.run(take("ivr-2", 89))
    assert await store.run(take("ivr-2", 91))
    await store.run(lambda tx: tx.leases.give_back("crm", "ivr-1"))
    assert not await store.run(take("ivr-1", 92)), "what is another's is not given back"
    await store.run(lambda tx: tx.leases.give_back("crm", "ivr-2"))
    assert await store.run(take("ivr-1", 92))


async def test_a_call_can_be_looked_at_without_locking_it(store: Store) -> None:
    one = call()
    await store.run(lambda tx: tx.calls.add(one))
    assert await store.run(lambda tx: tx.calls.look(one.id)) == one
    assert await store.run(lambda tx: tx.calls.look("?")) is None
