"""How long the store makes its users wait: each time, and at this moment, because a store that hangs has no
latency to report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from ivr_engine.ports import Changes, Store, Tx

T = TypeVar("T")

REMEMBERED_S: Final = 2.0
"""How long the last transaction speaks for the store; after that only those under way do."""


def _nobody_asks(_seconds: float) -> None:
    pass


class LagStore:
    """``ports.Store``: runs ``store``, and knows its lag. ``took`` hears of each transaction how many seconds
    whoever asked for it waited, also when it failed."""

    def __init__(self, store: Store, took: Callable[[float], None] = _nobody_asks) -> None:
        self._store = store
        self._took = took
        self._under_way: dict[int, float] = {}
        self._started = 0
        self._last_s = 0.0
        self._last_at = float("-inf")

    def lag_s(self) -> float:
        """Seconds: the age of the oldest transaction under way, or what the last one took if that is more."""
        now = asyncio.get_running_loop().time()
        # Dicts keep their order: the first is the oldest.
        waiting = now - next(iter(self._under_way.values()), now)
        return max(waiting, self._last_s if now - self._last_at < REMEMBERED_S else 0.0)

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        loop = asyncio.get_running_loop()
        self._started += 1
        me, began = self._started, loop.time()
        self._under_way[me] = began
        try:
            return await self._store.run(transaction)
        finally:
            del self._under_way[me]
            self._last_at = loop.time()
            self._last_s = self._last_at - began
            self._took(self._last_s)

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self._store.look(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()
