"""Against forged callers who have strangers written to (SMS pumping): how many SMS callers may have sent in a
day, to one number, to numbers that follow one another, and to all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Cap(StrEnum):
    """What is counted."""

    NUMBER = "number"
    PREFIX = "prefix"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Counter:
    """One count of a day. ``whose``: the number, or the digits that a prefix's numbers have in common; empty
    for all together. ``limit``: how many SMS there may be."""

    cap: Cap
    whose: str
    limit: int

    @property
    def key(self) -> str:
        """Its name in the store."""
        return f"{self.cap}:{self.whose}"

    @property
    def remedy(self) -> str:
        """What an admin can do about it."""
        return (
            "look at these calls; block their numbers ('abuse.blocked'), "
            f"or raise 'abuse.per_{self.cap}' if they were real callers"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many SMS a day; ``None``: as many as are asked for. ``last_digits``: numbers that differ in no more
    than these have the same prefix."""

    per_number: int | None = None
    per_prefix: int | None = None
    per_day: int | None = None
    last_digits: int = 4

    def counters(self, number: str) -> tuple[Counter, ...]:
        """All that an SMS to ``number`` (E.164) counts in, always in the same order: who locks them in it
        waits for nobody who waits for them."""
        counted = (
            (Cap.NUMBER, number, self.per_number),
            (Cap.PREFIX, number[: -self.last_digits], self.per_prefix),
            (Cap.DAY, "", self.per_day),
        )
        return tuple(Counter(cap, whose, limit) for cap, whose, limit in counted if limit is not None)

    def of_key(self, key: str) -> Counter | None:
        """The counter of that name; ``None`` when it is not capped any more."""
        cap, _, whose = key.partition(":")
        limit = {Cap.NUMBER: self.per_number, Cap.PREFIX: self.per_prefix, Cap.DAY: self.per_day}[Cap(cap)]
        return None if limit is None else Counter(Cap(cap), whose, limit)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of counting one more SMS: ``over``, the first counter that was full already (then none
    counted), or those that are full now."""

    over: Counter | None
    full: tuple[Counter, ...]


def taken(counters: tuple[Counter, ...], used: Mapping[str, int]) -> Taken:
    """``used``: each counter by its key, this SMS included."""
    over = next((one for one in counters if used[one.key] > one.limit), None)
    if over is not None:
        return Taken(over, ())
    return Taken(None, tuple(one for one in counters if used[one.key] == one.limit))


def day_of(now: datetime) -> str:
    """The day that counts: in UTC, so that all engines agree on it."""
    return now.astimezone(UTC).date().isoformat()
