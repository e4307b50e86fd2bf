"""Over capacity: when a queue is too full for those who wait to be let wait without a word, and what is
remembered of their stay in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ivr_engine.domain.menu import MenuState
from ivr_engine.domain.wait_estimate import Estimate


class Limit(StrEnum):
    """Which one was passed."""

    NOBODY_SIGNED_IN = "nobody_signed_in"
    WAIT = "wait"
    WAITING = "waiting"
    LONGEST_WAIT = "longest_wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRules:
    """One queue's limits; ``None``: no limit. ``wait_s`` is of the estimated wait, ``waiting`` of the other
    callers in line, ``again_s`` the seconds from one look to the next; ``None``: at entry only."""

    wait_s: float | None = None
    waiting: int | None = None
    longest_wait_s: float | None = None
    nobody_signed_in: bool = False
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Crowd:
    """A queue as one caller finds it: the others who wait, since when the first of them does, and the agents
    at work. ``estimate`` is ``None`` where the wait is unknown."""

    others: int
    longest_wait_s: float
    agents: int
    estimate: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A caller's stay in one line: ``rounds`` of announcements begun, when it was last looked whether the
    queue is over capacity, and where the caller stands in the choice of what to do about it, while asked."""

    rounds: int = 0
    looked_at: datetime | None = None
    choice: MenuState | None = None


def is_due(rules: CapacityRules, stay: Stay, now: datetime) -> bool:
    """Whether it is time to look, at entry or again."""
    if stay.looked_at is None:
        return True
    return rules.again_s is not None and (now - stay.looked_at).total_seconds() >= rules.again_s


def limit_passed(rules: CapacityRules, crowd: Crowd) -> Limit | None:
    """The first limit that is passed, or ``None``. An unknown wait passes no limit of the wait."""
    if rules.nobody_signed_in and crowd.agents == 0:
        return Limit.NOBODY_SIGNED_IN
    if rules.wait_s is not None and crowd.estimate is not None and crowd.estimate.expected_s > rules.wait_s:
        return Limit.WAIT
    if rules.waiting is not None and crowd.others > rules.waiting:
        return Limit.WAITING
    if rules.longest_wait_s is not None and crowd.longest_wait_s > rules.longest_wait_s:
        return Limit.LONGEST_WAIT
    return None
