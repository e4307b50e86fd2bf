"""When callers leave a line without an agent: too long a wait, nobody there any more, the line closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Why(StrEnum):
    MAXIMUM_WAIT = "maximum_wait"
    NO_AGENTS = "no_agents"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One queue's; ``None``: none. Seconds in the queue; seconds after the last agent left."""

    maximum_wait_s: float | None = None
    no_agents_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``joined_at``: since when the caller is in the queue. ``closed``: by the emergency switch. ``staffed``:
    somebody who serves the queue is signed in; ``last_left``: since when not, where that is known."""

    joined_at: datetime
    closed: bool
    staffed: bool
    last_left: datetime | None = None


def why_leave(limits: Limits, situation: Situation, now: datetime) -> Why | None:
    """Whether the caller leaves at ``now``."""
    if situation.closed:
        return Why.EMERGENCY
    at = maximum_wait_at(limits, situation.joined_at)
    if at is not None and at <= now:
        return Why.MAXIMUM_WAIT
    at = no_agents_at(limits, situation)
    return Why.NO_AGENTS if at is not None and at <= now else None


def maximum_wait_at(limits: Limits, joined_at: datetime) -> datetime | None:
    if limits.maximum_wait_s is None:
        return None
    return joined_at + timedelta(seconds=limits.maximum_wait_s)


def no_agents_at(limits: Limits, situation: Situation) -> datetime | None:
    """When the caller leaves because nobody is there, if nobody comes. Where nobody ever was, the time counts
    from the caller's arrival."""
    if limits.no_agents_s is None or situation.staffed:
        return None
    return (situation.last_left or situation.joined_at) + timedelta(seconds=limits.no_agents_s)
