"""Transactions that only look run beside those that write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ivr_engine.domain.events import CallFinished
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused, Unreachable
from ivr_engine.ports import Store, Tx
from ivr_engine.store.store import LOOKERS
from tests.contract.store_examples import KINDS, NOW, Held, adding, call, message, requested


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


@pytest.fixture(params=["file", "postgresql"])
async def on_threads(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


async def test_a_look_sees_what_was_stored_before_it(store: Store) -> None:
    one = call()
    await store.run(adding(one))
    await store.run(lambda tx: tx.events.add(NOW, one.id, CallFinished("x")))
    found, events = await store.look(lambda tx: (tx.calls.get(one.id), tx.events.after(0)))
    assert found == one
    assert [event.call_id for event in events] == [one.id]
    with pytest.raises(Refused):
        await store.look(lambda tx: tx.calls.get("nobody"))


WRITES: list[Callable[[Tx], object]] = [
    lambda tx: tx.calls.add(call()),
    lambda tx: tx.events.add(NOW, None, CallFinished("x")),
    lambda tx: tx.messages.add(message()),
    lambda tx: tx.deliveries.keep_cursor("crm", 7),
]


@pytest.mark.parametrize("write", WRITES)
async def test_a_look_writes_nothing(store: Store, write: Callable[[Tx], object]) -> None:
    with pytest.raises(RuntimeError, match="give it to `run`"):
        await store.look(write)
    left = await store.look(lambda tx: (tx.calls.search(), tx.events.after(0), tx.messages.search()))
    assert left == ([], [], [])


async def test_long_looks_keep_nobody_from_writing(on_threads: Store) -> None:
    one = call()
    await on_threads.run(adding(one))
    looks = [Held(lambda tx: tx.calls.get(one.id)) for _ in range(LOOKERS)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(on_threads.look(held)) for held in looks]
        for held in looks:
            await held.started()  # all of them, before any has ended
        await on_threads.run(lambda tx: tx.calls.save(replace(tx.calls.get(one.id), priority=7)))
        for held in looks:
            held.release()
    assert [task.result() for task in asked] == [one] * LOOKERS


async def test_who_writes_keeps_nobody_from_looking(on_threads: Store) -> None:
    one = call()
    await on_threads.run(adding(one))

    def raise_it(tx: Tx) -> None:
        tx.calls.save(replace(tx.calls.get(one.id), priority=7))
        held(tx)

    held = Held(lambda tx: tx.calls.search())
    async with asyncio.TaskGroup() as group:
        group.create_task(on_threads.run(raise_it))
        await held.started()
        assert await on_threads.look(lambda tx: tx.calls.get(one.id)) == one
        held.release()
    assert (await on_threads.look(lambda tx: tx.calls.get(one.id))).priority == 7


async def test_a_look_without_end_keeps_no_write_from_being_stored(
    on_threads: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr_engine.store.store.CLOSE_TIMEOUT_S", 0.3)
    looking, writing = Held(lambda tx: tx.calls.search()), Held(adding(call()))
    looked = asyncio.ensure_future(on_threads.look(looking))
    await looking.started()
    written = asyncio.ensure_future(on_threads.run(writing))
    await writing.started()
    closing = asyncio.ensure_future(on_threads.close())
    await asyncio.sleep(0)
    writing.release()
    with pytest.raises(Unreachable, match="still busy"):
        await closing
    assert written.done()
    looking.release()
    await asyncio.wait([looked])


async def test_closing_waits_for_a_look(on_threads: Store) -> None:
    held = Held(lambda tx: tx.calls.search())
    asked = asyncio.ensure_future(on_threads.look(held))
    await held.started()
    closing = asyncio.ensure_future(on_threads.close())
    await asyncio.sleep(0)
    held.release()
    assert await asked == []
    await closing
