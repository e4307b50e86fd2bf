"""The store on its own thread: what is committed together, and callers who do not wait for the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.calls import Call
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect
from tests.contract.store_examples import DEADLINE_S, Held, adding, call, opened, requested


@pytest.fixture(params=["file", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


async def test_what_waits_together_is_committed_together_and_alone_if_one_fails(store: Store) -> None:
    held, runs = Held(), dict[str, int]()
    ids = [f"{number:02}" for number in range(20)]

    def counted(name: str) -> Callable[[Tx], int]:
        def transaction(tx: Tx) -> int:
            runs[name] = runs.get(name, 0) + 1
            tx.calls.add(call(id=name))
            if name == "bad":
                raise Refused("not now")
            return len(tx.calls.search())

        return transaction

    async with asyncio.TaskGroup() as group:
        group.create_task(store.run(held))
        await held.started()
        good = [group.create_task(store.run(counted(name))) for name in ids[:10]]
        bad = asyncio.ensure_future(store.run(counted("bad")))
        good += [group.create_task(store.run(counted(name))) for name in ids[10:]]
        await asyncio.sleep(0)  # each has asked
        held.release()
        with pytest.raises(Refused):
            await bad
    # In the order asked for, each seeing what those before it wrote and nothing of the bad one.
    assert [task.result() for task in good] == list(range(1, 21))
    assert runs == {name: 2 for name in ids[:10]} | {"bad": 2} | {name: 1 for name in ids[10:]}


async def test_one_that_fails_before_it_wrote_makes_nobody_run_again(store: Store) -> None:
    held, runs = Held(), list[str]()

    def looking(tx: Tx) -> None:
        runs.append("looking")
        tx.calls.get("nobody")

    def adding_one(tx: Tx) -> None:
        runs.append("adding")
        tx.calls.add(call())

    asking = [asyncio.ensure_future(store.run(held))]
    await held.started()
    asking += [asyncio.ensure_future(store.run(each)) for each in (adding_one, looking, adding_one)]
    await asyncio.sleep(0)
    held.release()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [type(None), Refused, type(None)]
    assert runs == ["adding", "looking", "adding"]
    assert len(await store.run(lambda tx: tx.calls.search())) == 2


async def test_a_cancelled_caller_does_not_stop_the_transaction(store: Store) -> None:
    held, one = Held(), call()

    def transaction(tx: Tx) -> None:
        tx.calls.add(one)
        held(tx)

    task = asyncio.ensure_future(store.run(transaction))
    await held.started()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.release()
    assert await store.run(lambda tx: tx.calls.get(one.id)) == one


async def test_nor_one_that_still_waits_for_its_turn(store: Store) -> None:
    held, one = Held(), call()
    first = asyncio.ensure_future(store.run(held))
    await held.started()
    task = asyncio.ensure_future(store.run(adding(one)))
    await asyncio.sleep(0)
    task.cancel()
    held.release()
    await asyncio.wait([task, first])
    assert await store.run(lambda tx: tx.calls.get(one.id)) == one


async def test_an_error_nobody_waits_for_is_logged(store: Store) -> None:
    held = Held()

    def transaction(tx: Tx) -> None:
        held(tx)
        raise Refused("too late")

    with capture_logs() as logs:
        task = asyncio.ensure_future(store.run(transaction))
        await held.started()
        task.cancel()
        held.release()
        await asyncio.wait([task])
        await store.check()  # after it, in the same queue
    assert [line["event"] for line in logs] == ["store.error_unheard"]


async def test_closing_waits_for_what_was_asked_before(tmp_path: Path) -> None:
    held, one = Held(), call()
    async with opened("file", tmp_path) as store:
        first = asyncio.ensure_future(store.run(held))
        await held.started()
        second = asyncio.ensure_future(store.run(adding(one)))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0)
        with pytest.raises(ExternalError, match="closed"):
            await store.run(lambda tx: None)
        held.release()
        await asyncio.gather(first, second, closing)
    async with opened("file", tmp_path) as store:
        assert await store.run(lambda tx: tx.calls.get(one.id)) == one


async def test_no_error_ends_the_thread(store: Store) -> None:
    def stopping(tx: Tx) -> None:
        raise StopIteration

    def recursing(tx: Tx) -> None:
        recursing(tx)

    for transaction in (stopping, recursing):
        with pytest.raises(RuntimeError):
            await store.run(transaction)
    await store.check()


def test_a_loop_that_ends_before_its_transaction_harms_nobody(tmp_path: Path) -> None:
    store = connect(f"sqlite:///{tmp_path}/engine.db")
    one, go_on = call(), threading.Event()

    def transaction(tx: Tx) -> None:
        assert go_on.wait(DEADLINE_S)
        tx.calls.add(one)

    async def leave() -> None:
        asking = asyncio.ensure_future(store.run(transaction))
        await asyncio.sleep(0)
        asking.cancel()

    async def look() -> Call:
        try:
            return await store.run(lambda tx: tx.calls.get(one.id))
        finally:
            await store.close()

    asyncio.run(leave())
    go_on.set()
    assert asyncio.run(look()) == one
