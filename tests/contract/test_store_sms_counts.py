"""How many SMS callers had sent: what every store promises, also to those who ask at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from ivr_engine.domain.abuse import Cap, Caps, Counter
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import KINDS, NOW, requested

NUMBER = "+4915112345678"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


def caps(number: int | None = None, prefix: int | None = None, day: int | None = None) -> Caps:
    return Caps(per_number=number, per_prefix=prefix, per_day=day)


async def test_counts_up_to_the_limit_and_says_when_it_is_reached(store: Store) -> None:
    counters = caps(2).counters(NUMBER)
    taken = [await store.run(lambda tx: tx.sms_counts.take(counters, NOW)) for _ in range(4)]
    [counter] = counters
    assert [one.over for one in taken] == [None, None, counter, counter]
    assert [one.full for one in taken] == [(), (counter,), (), ()]
    assert await store.run(lambda tx: tx.sms_counts.used(counters, NOW)) == {counter.key: 2}


async def test_one_that_is_full_keeps_the_others_as_they_were(store: Store) -> None:
    limits = caps(9, 1, 9)
    first, second = limits.counters(NUMBER), limits.counters("+4915112345679")
    await store.run(lambda tx: tx.sms_counts.take(first, NOW))
    refused = await store.run(lambda tx: tx.sms_counts.take(second, NOW))
    assert refused.over == Counter(Cap.PREFIX, "+491511234", 1)
    used = await store.run(lambda tx: tx.sms_counts.used((*first, *second), NOW))
    assert used == {"number:+4915112345678": 1, "prefix:+491511234": 1, "day:": 1, "number:+4915112345679": 0}


async def test_a_new_day_begins_at_nothing_and_old_ones_are_forgotten(store: Store) -> None:
    counters, tomorrow = caps(1).counters(NUMBER), NOW + timedelta(days=1)

    def both(tx: Tx) -> list[bool]:
        return [tx.sms_counts.take(counters, at).over is None for at in (NOW, tomorrow, NOW)]

    assert await store.run(both) == [True, True, False]
    await store.run(lambda tx: tx.sms_counts.forget(tomorrow))
    assert await store.run(lambda tx: tx.sms_counts.high(1, NOW)) == {}
    assert await store.run(lambda tx: tx.sms_counts.high(1, tomorrow)) == {f"number:{NUMBER}": (1, tomorrow)}
    assert await store.run(lambda tx: tx.sms_counts.high(2, tomorrow)) == {}


async def test_without_caps_nothing_is_counted(store: Store) -> None:
    taken = await store.run(lambda tx: tx.sms_counts.take((), NOW))
    assert (taken.over, taken.full) == (None, ())


async def test_who_asks_at_the_same_moment_gets_no_more_than_there_is(store: Store) -> None:
    """Two hundred at once, of numbers that follow one another."""
    limits = caps(3, 25, 1000)

    async def one(n: int) -> bool:
        counters = limits.counters(f"+49151123400{n:02}")
        return (await store.run(lambda tx: tx.sms_counts.take(counters, NOW))).over is None

    granted = await asyncio.gather(*(one(n % 50) for n in range(200)))
    assert sum(granted) == 25
    used = await store.run(lambda tx: tx.sms_counts.used(limits.counters("+4915112340000"), NOW))
    assert used["prefix:+491511234"] == used["day:"] == 25


@pytest.mark.parametrize(("last_digits", "prefix"), [(4, "+491511234"), (3, "+4915112345"), (8, "+49151")])
def test_the_prefix_is_what_is_left_without_the_last_digits(last_digits: int, prefix: str) -> None:
    [counter] = Caps(per_prefix=1, last_digits=last_digits).counters(NUMBER)
    assert counter.whose == prefix
    assert Caps(per_prefix=1, last_digits=last_digits).of_key(counter.key) == counter
    assert Caps().of_key(counter.key) is None


async def test_what_is_counted_of_a_number_goes_when_the_number_is_to_be_forgotten(store: Store) -> None:
    counters = caps(9, 9).counters(NUMBER)
    await store.run(lambda tx: tx.sms_counts.take(counters, NOW))
    await store.run(lambda tx: tx.privacy.drop_caller(NUMBER))
    assert await store.run(lambda tx: tx.sms_counts.high(1, NOW)) == {"prefix:+491511234": (1, NOW)}
