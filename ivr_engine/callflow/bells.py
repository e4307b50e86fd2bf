"""How the coroutine of a call learns that somebody changed its row: the change is in the store, the bell only
says "look". A bell that nobody hears is no loss; who comes later looks first."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Bells:
    """A bell a call, while somebody listens."""

    def __init__(self) -> None:
        self._bells: dict[str, asyncio.Event] = {}

    @contextmanager
    def of(self, call_id: str) -> Generator[asyncio.Event]:
        bell = self._bells[call_id] = asyncio.Event()
        try:
            yield bell
        finally:
            if self._bells.get(call_id) is bell:
                del self._bells[call_id]

    def ring(self, call_id: str) -> None:
        if bell := self._bells.get(call_id):
            bell.set()

    def ring_all(self) -> None:
        """Something has changed, and who does it knows no better."""
        for bell in self._bells.values():
            bell.set()
