"""A caller who hung up and is to be called back: their place in the line stays theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ivr_engine.domain.records import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """``number`` is E.164, confirmed by the caller. ``attempts``: how often it was dialled. ``next_try_at``:
    not offered to agents before. ``rings_until``: it is being dialled now, until then at most.
    ``called_off``: they wrote meanwhile that they want none; this try is the last."""

    number: str
    expires_at: datetime
    attempts: int = 0
    next_try_at: datetime | None = None
    rings_until: datetime | None = None
    called_off: bool = False

    def wait_s(self, now: datetime) -> float:
        """Seconds until it may be offered."""
        return max(0.0, (self.next_try_at - now).total_seconds()) if self.next_try_at else 0.0

    def left_s(self, now: datetime) -> float:
        """Seconds until it expires."""
        return max(0.0, (self.expires_at - now).total_seconds())

    def dialled(self, now: datetime, ring_s: float) -> Callback:
        return replace(
            self, attempts=self.attempts + 1, rings_until=now + timedelta(seconds=ring_s), next_try_at=None
        )

    def not_reached(self, now: datetime, retry_after_s: float) -> Callback:
        return replace(self, rings_until=None, next_try_at=now + timedelta(seconds=retry_after_s))
