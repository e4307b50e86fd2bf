"""How fast one sender may send, in parts a second. Pure: the moment is an argument.

Each message takes its parts' time of its sender: one of three parts at two parts a second keeps the sender
for a second and a half. What was not used is not saved up, so that there is no burst after a pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

AHEAD: Final = timedelta(seconds=0.4)
"""How long before its moment a message is taken in hand, so that the time that a transaction takes costs no
rate; and how many are taken together."""
START: Final = timedelta(seconds=0.05)
"""The first message after a pause leaves late by what its transaction takes; the next keeps away from it."""
PAUSE: Final = timedelta(seconds=1)
MOST_PARTS: Final = 30
"""Of one message; providers take 1,600 characters."""


@dataclass(frozen=True, slots=True)
class SenderPace:
    """``free_at``: when its next part may leave. ``turn``: of what was sent last (``domain.turns``)."""

    sender: str
    free_at: datetime
    turn: float = 0.0


class Slots:
    """The moments at which ``sender`` may send, one after another; ``rate`` in parts a second, ``None`` for
    no limit."""

    def __init__(self, sender: str, pace: SenderPace | None, rate: float | None, now: datetime) -> None:
        self.sender = sender
        self.limited = rate is not None
        self._rate = rate
        self._now = now
        self._turn = pace.turn if pace else 0.0
        self._starts = pace is None or pace.free_at + PAUSE < now
        self._next = now if pace is None or rate is None else free_from(pace.free_at, rate, now)

    @property
    def next(self) -> datetime:
        return self._next

    @property
    def open(self) -> bool:
        """A message may be taken in hand now."""
        return self._next <= self._now + AHEAD

    @property
    def most(self) -> int | None:
        """How many messages may be taken in hand now, at most; ``None`` for any number."""
        if self._rate is None:
            return None
        ahead = (self._now + AHEAD - self._next).total_seconds()
        return int(ahead * self._rate) + 1 if ahead >= 0 else 0

    def take(self, parts: int, turn: float) -> datetime:
        """The moment of the next message, which has that many parts."""
        moment = self._next
        if self._rate is not None:
            self._next = moment + timedelta(seconds=parts / self._rate)
            if self._starts:
                self._next += START
                self._starts = False
        self._turn = max(self._turn, turn)
        return moment

    def pace(self, before: SenderPace | None = None) -> SenderPace:
        """To be kept; ``before``: what was, if this did not begin with it."""
        return SenderPace(self.sender, self._next, max(self._turn, before.turn if before else 0.0))


def free_from(free_at: datetime, rate: float, now: datetime) -> datetime:
    """When a sender may send next, ``now`` at the earliest. A moment further away than the longest message
    reaches was written before the clock was set back: it does not count."""
    latest = now + AHEAD + timedelta(seconds=MOST_PARTS / rate)
    return now if free_at > latest else max(now, free_at)
