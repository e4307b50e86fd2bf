"""The waiting line. Nobody overtakes without a rule that says so."""

from __future__ import annotations

from collections.abc import Iterable

from ivr_engine.domain.calls import Call
from ivr_engine.domain.matching import Place


def line(calls: Iterable[Call], queue: str) -> list[Call]:
    """The callers who hold a place in ``queue``, first in line first."""
    return sorted((c for c in calls if c.queue == queue and c.in_line), key=place)


def place(call: Call) -> Place:
    """What sorts callers."""
    return (-call.priority, call.entered_at or call.started_at, call.id)
