"""How long callers will wait, as far as the queues' past tells."""

from __future__ import annotations

from typing import Protocol

from ivr_engine.domain.wait_watch import Accuracy, Of, QueueWaits


class Estimates(Protocol):
    """One for all queues. What it says is as of the last ``refresh``."""

    async def refresh(self) -> None:
        """Bring it up to what has happened until now, give or take half a second. ``ExternalError`` when the
        store does not answer."""
        ...

    def waits(self, queue: str) -> QueueWaits | None:
        """``None`` for a queue that the site does not know."""
        ...

    def accuracy(self, queue: str, of: Of) -> Accuracy | None:
        """How such estimates came out; ``None`` for a queue that the site does not know."""
        ...
