"""kill -9 in the midst of commits: what was acknowledged is there, and nothing by halves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from ivr_engine.domain.events import CallFinished
from ivr_engine.ports import Tx
from ivr_engine.store import connect
from tests.contract.store_examples import NOW, call, opened

DEADLINE_S = 60.0
ACKNOWLEDGED = 500


async def write_for_ever(url: str) -> None:
    """The child: ten callers at once, each writing a call and its event, then saying so."""
    store = connect(url)

    async def caller(number: int) -> None:
        for turn in range(10_000_000):
            name = f"{number}-{turn}"

            def transaction(tx: Tx, name: str = name) -> None:
                tx.calls.add(call(id=name, channel_id=name))
                tx.events.add(NOW, name, CallFinished("test"))

            await store.run(transaction)
            os.write(1, f"{name}\n".encode())

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(caller(number))


async def test_killed_while_committing(tmp_path: Path) -> None:
    acknowledged = await asyncio.to_thread(_run_and_kill, tmp_path)
    async with opened("file", tmp_path) as store:
        await store.check()
        calls, events = await store.run(
            lambda tx: (tx.calls.search(limit=1_000_000), tx.events.after(0, limit=1_000_000))
        )
    stored = {one.id for one in calls}
    assert len(acknowledged) >= ACKNOWLEDGED
    assert set(acknowledged) <= stored
    assert sorted(event.call_id or "" for event in events) == sorted(stored)


def _run_and_kill(folder: Path) -> list[str]:
    code = "import asyncio, sys; from tests.contract.test_store_crash import write_for_ever as w; "
    child = subprocess.Popen(
        [sys.executable, "-c", code + "asyncio.run(w(sys.argv[1]))", f"sqlite:///{folder}/engine.db"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        said = [child.stdout.readline().strip() for _ in range(ACKNOWLEDGED)]
        child.kill()
        said += child.stdout.read().split("\n")[:-1]
    return said
