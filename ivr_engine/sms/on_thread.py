"""A blocking object kept on one thread of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class OnThread(Generic[T]):
    """``await it.run(lambda thing: thing.method(...))``; calls are carried out one after another."""

    def __init__(self, thing: T) -> None:
        self._thing = thing
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def run(self, use: Callable[[T], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, use, self._thing)

    def stop(self) -> None:
        """Finish what was begun; no call may follow."""
        self._thread.shutdown(wait=True)
