"""Moments at which something is due, by whom it concerns: one each, the earliest first."""

from __future__ import annotations

import heapq
from datetime import datetime


class Alarms:
    def __init__(self) -> None:
        self._set: dict[str, datetime] = {}
        self._order: list[tuple[datetime, str]] = []

    def set(self, who: str, at: datetime | None) -> None:
        """In place of the one before; ``None``: none any more."""
        if at is None:
            self._set.pop(who, None)
        elif self._set.get(who) != at:
            self._set[who] = at
            heapq.heappush(self._order, (at, who))

    def due(self, now: datetime) -> set[str]:
        """Whose moment has come; it is over with that."""
        due: set[str] = set()
        while (at := self.next()) is not None and at <= now:
            _, who = heapq.heappop(self._order)
            del self._set[who]
            due.add(who)
        return due

    def next(self) -> datetime | None:
        """The earliest moment set."""
        while self._order and self._set.get(self._order[0][1]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None
