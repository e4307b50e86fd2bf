"""A store for work that nobody waits for on the line: transactions gather and are committed together.

A commit costs more than what is in it (a write to the disk, waking a thread): at fifty texts a second,
claims, outcomes and status reports committed one by one cost several milliseconds of CPU a text. Started at
the same tick they share one commit, because the store commits together what waits at the same moment. The
price is up to one tick of delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from ivr_engine.ports import Changes, Store, Tx

T = TypeVar("T")

TICK_S: Final = 0.05
"""Far below what a texting person, or a provider's patience with a webhook, can notice."""


class Unhurried:
    """``ports.Store`` whose transactions begin at ticks of the loop's clock; ``tick_s`` 0: at once."""

    def __init__(self, store: Store, tick_s: float = TICK_S) -> None:
        self._store = store
        self._tick_s = tick_s

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        if self._tick_s > 0:
            # Counted from the loop's zero, so that everybody's ticks are the same.
            await asyncio.sleep(self._tick_s - asyncio.get_running_loop().time() % self._tick_s)
        return await self._store.run(transaction)

    async def at_once(self, transaction: Callable[[Tx], T]) -> T:
        """For what somebody waits for after all."""
        return await self._store.run(transaction)

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self._store.look(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()
