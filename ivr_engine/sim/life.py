"""The life of one engine, so that it can be ended like ``kill -9``: at any step, with nothing cleaned up.

Every port that an engine holds asks its ``Life`` before and after each step. Once dead, whatever the
engine's coroutines still try while they are being torn down ends in ``CancelledError`` and has no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from ivr_engine.ports import Changes, Store, Tx
from ivr_engine.sim.clock import chance

T = TypeVar("T")


class Life:
    """``steps`` names each step taken; with ``last_step`` the engine dies right there, counted from 0."""

    def __init__(self, last_step: int | None = None) -> None:
        self.steps: list[str] = []
        self.dead = asyncio.Event()
        self._last_step = last_step
        self._at_death: list[Callable[[], None]] = []

    def at_death(self, act: Callable[[], None]) -> None:
        self._at_death.append(act)

    def dies_after(self, steps: int) -> None:
        """So many more steps, and then no more."""
        self._last_step = len(self.steps) + steps

    def step(self, name: str) -> None:
        if self.dead.is_set():
            raise asyncio.CancelledError("the engine is dead")
        self.steps.append(name)
        if self._last_step is not None and len(self.steps) > self._last_step:
            self.end()
            raise asyncio.CancelledError(f"the engine died at {name}")

    def end(self) -> None:
        """Die now."""
        if not self.dead.is_set():
            self.dead.set()
            for act in self._at_death:
                act()


COMMIT_S: Final = (0.0002, 0.004)
"""Shortest and longest time from asking for a transaction to its commit, and again to its answer."""


class MortalStore:
    """``ports.Store`` of an engine that may die before or after any commit.

    ``store`` runs inline; the time that a real one takes is spent before and after, so that other
    coroutines get their chance in between. ``faults`` are raised, one a transaction; each takes ``slower_s``
    more.
    """

    def __init__(self, store: Store, life: Life) -> None:
        self.faults: list[Exception] = []
        self.slower_s = 0.0
        self._store = store
        self._life = life

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        self._life.step("before commit")
        await asyncio.sleep(chance().uniform(*COMMIT_S) + self.slower_s)
        if self.faults:
            raise self.faults.pop(0)
        result = await self._store.run(transaction)
        await asyncio.sleep(chance().uniform(*COMMIT_S))
        self._life.step("after commit")
        return result

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self.run(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        """The dead hear nothing."""
        self._store.listen(lambda changes: None if self._life.dead.is_set() else heard(changes))

    async def check(self) -> None:
        self._life.step("check")
        await self._store.check()

    async def close(self) -> None:
        """The store itself outlives the engine."""
