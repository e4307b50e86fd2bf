"""The chairs of the waiting room: through them callers are called when there is something for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class CalledSeat:
    """``ports.Seat``: whether the caller is called, and the cut of whatever is being said."""

    def __init__(self) -> None:
        self._called = False
        self._cut: asyncio.Timeout | None = None

    @property
    def called(self) -> bool:
        return self._called

    @asynccontextmanager
    async def interrupting(self) -> AsyncGenerator[None]:
        cut = asyncio.timeout(0 if self.called else None)
        try:
            async with cut:
                self._cut = cut
                yield
        except TimeoutError:
            if not cut.expired():
                raise
        finally:
            self._cut = None

    def heard(self) -> None:
        self._called = False

    def call(self) -> None:
        """Something was decided about this seat's caller, or may be now."""
        self._called = True
        if self._cut is not None:
            self._cut.reschedule(asyncio.get_running_loop().time())
