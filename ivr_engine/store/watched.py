"""A store that says when its database is lost, and when it is back: a line each, whoever notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import structlog

from ivr_engine.errors import ExternalError
from ivr_engine.ports import Changes, Store, Tx
from ivr_engine.store.failures import Conflict

T = TypeVar("T")

LOOK_AGAIN_S: Final = 1.0
"""Between two looks whether a lost database is back."""

_log: Final = structlog.get_logger()


class SharedStore(Store, Protocol):
    """A database may be several engines'."""

    async def hear_others(self) -> None:
        """Until cancelled, tell those who ``listen`` what other engines write."""
        ...


class WatchedStore:
    """``ports.Store``. Hold ``watch`` in the root task group: it looks after a lost database, and hears what
    other engines write."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._lost = asyncio.Event()
        self._lost_at = 0.0
        self._closing = False

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        return await self._noticing(self._store.run(transaction))

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self._noticing(self._store.look(transaction))

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def check(self) -> None:
        await self._noticing(self._store.check())
        self._is_back()

    async def close(self) -> None:
        self._closing = True
        await self._store.close()

    async def watch(self) -> None:
        """Until cancelled. Only a row that was written says that it is back: a full disk can be read."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store.hear_others())
            await self._look_again()

    async def _look_again(self) -> None:
        while True:
            await self._lost.wait()
            await asyncio.sleep(LOOK_AGAIN_S)
            with suppress(ExternalError):
                await self.check()

    async def _noticing(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except ExternalError as error:
            self._is_lost(error)
            raise

    def _is_lost(self, error: ExternalError) -> None:
        if self._closing or self._lost.is_set() or isinstance(error, Conflict):
            return
        self._lost_at = asyncio.get_running_loop().time()
        self._lost.set()
        _log.error("store.lost", error=str(error), meaning="callers stay and hear music; nothing is promised")

    def _is_back(self) -> None:
        if self._lost.is_set():
            self._lost.clear()
            away_s = round(asyncio.get_running_loop().time() - self._lost_at, 1)
            _log.warning("store.back", away_s=away_s, meaning="calls go on from where they were")
