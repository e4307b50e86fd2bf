"""What every store promises of its transactions, whatever database lies below."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from types import NoneType

import pytest

from ivr_engine.domain.events import CallFinished
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import KINDS, NOW, adding, call, media, message, requested, writing


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


async def test_what_a_transaction_returns_is_returned(store: Store) -> None:
    assert await store.run(lambda tx: len(tx.calls.search())) == 0


async def test_a_transaction_happens_whole_or_not_at_all(store: Store) -> None:
    def transaction(tx: Tx) -> None:
        tx.calls.add(call())
        tx.messages.add(message())
        tx.events.add(NOW, None, CallFinished("x"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(transaction)
    left = await store.run(lambda tx: (tx.calls.search(), tx.messages.search(), tx.events.after(0)))
    assert left == ([], [], [])


async def test_one_bad_transaction_does_not_spoil_those_beside_it(store: Store) -> None:
    calls = [call() for _ in range(20)]

    def bad(tx: Tx) -> None:
        tx.calls.add(call(id="bad"))
        raise Refused("not now")

    transactions = [adding(one) for one in calls]
    transactions.insert(10, bad)
    results = await asyncio.gather(*map(store.run, transactions), return_exceptions=True)
    assert [type(result) for result in results] == [NoneType] * 10 + [Refused] + [NoneType] * 10
    assert {one.id for one in await store.run(lambda tx: tx.calls.search())} == {one.id for one in calls}


async def test_a_thousand_increments_at_once_lose_none(store: Store) -> None:
    one = call()
    await store.run(adding(one))

    def increment(tx: Tx) -> None:
        now = tx.calls.get(one.id)
        tx.calls.save(replace(now, priority=now.priority + 1))

    await asyncio.gather(*(store.run(increment) for _ in range(1000)))
    assert (await store.run(lambda tx: tx.calls.get(one.id))).priority == 1000


async def test_a_failure_that_is_caught_inside_still_undoes_everything(store: Store) -> None:
    one = call()

    def transaction(tx: Tx) -> None:
        tx.calls.add(one)
        try:
            tx.calls.add(one)
        except Refused:
            tx.messages.add(message())

    with pytest.raises(Refused, match="refuses this row"):
        await store.run(transaction)
    assert await store.run(lambda tx: tx.calls.search()) == []


async def test_a_transaction_kept_beyond_its_end_writes_no_more(store: Store) -> None:
    kept: list[Tx] = []
    await store.run(kept.append)
    with pytest.raises(Refused, match="over"):
        kept[0].calls.add(call())


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "lone surrogate"])
async def test_text_no_database_can_hold_is_refused(store: Store, text: str) -> None:
    refused: list[Callable[[Tx], object]] = [
        writing(message(text=text)),
        writing(message(media=(media(url=text),) if "\0" not in text else (), text=text)),
        lambda tx: tx.calls.search(caller=text),
    ]
    for transaction in refused:
        with pytest.raises(Refused, match="text"):
            await store.run(transaction)
    with pytest.raises(Refused, match="surrogates"):
        await store.run(lambda tx: tx.events.add(NOW, None, CallFinished("\ud800")))
    await store.check()


async def test_a_number_too_large_is_an_error_of_its_transaction_only(store: Store) -> None:
    with pytest.raises(OverflowError):
        await store.run(adding(call(priority=2**70)))
    await store.check()


async def test_a_time_without_zone_is_an_error(store: Store) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        await store.run(adding(call(started_at=datetime(2025, 3, 1))))
    await store.check()


async def test_check_and_close(store: Store) -> None:
    await store.check()
    await store.check()
    await store.close()
    await store.close()
    with pytest.raises(ExternalError, match="closed"):
        await store.run(lambda tx: None)
