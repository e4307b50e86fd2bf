"""What a waiting caller is told in a round of announcements: place in line, wait, a message.

The wait is told as a range of whole minutes out of a few, so that each sentence there can be is spoken when
the texts are loaded, never during a call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ivr_engine.domain.wait_estimate import Estimate

MINUTES: Final = (1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60)
"""What a range can begin and end with."""

_WIDEST: Final = 4
"""Steps of ``MINUTES`` from the beginning of a range to its end, at most. P80 is at most 2.4 times P50, so
that no wider range comes up."""


@dataclass(frozen=True, slots=True)
class WaitRange:
    """From ``low`` to ``high`` minutes. ``low`` 0: less than ``high``. ``high`` ``None``: more than that."""

    low: int
    high: int | None

    @property
    def prompt(self) -> str:
        """The name of the sentence that says it."""
        if self.high is None:
            return "wait.more"
        return f"wait.{self.low}to{self.high}" if self.low else f"wait.under{self.high}"


def wait_range(estimate: Estimate) -> WaitRange:
    """From P50, rounded down, to P80, rounded up: what is said holds for those it should hold for."""
    p50, p80 = estimate.p50_s / 60, estimate.p80_s / 60
    if p80 > MINUTES[-1]:
        return WaitRange(MINUTES[-1], None)
    end = next(index for index, minutes in enumerate(MINUTES) if minutes >= p80)
    if p50 < MINUTES[0] and MINUTES[end] <= 3:
        return WaitRange(0, MINUTES[end])
    begin = max((index for index, minutes in enumerate(MINUTES) if minutes <= p50), default=0)
    begin = min(max(begin, end - _WIDEST), end - 1)
    return WaitRange(MINUTES[begin], MINUTES[end])


def every_range(up_to_s: float | None = None) -> list[WaitRange]:
    """All that ``wait_range`` can say where P80 is no longer than ``up_to_s``."""
    longest = math.inf if up_to_s is None else up_to_s / 60
    ranges = [WaitRange(0, high) for high in MINUTES if high <= 3]
    for end, high in enumerate(MINUTES):
        ranges += [WaitRange(low, high) for low in MINUTES[max(0, end - _WIDEST) : end]]
    ranges.append(WaitRange(MINUTES[-1], None))
    shortest: dict[int | None, int] = dict(zip((*MINUTES, None), (0, *MINUTES), strict=True))
    return [one for one in ranges if shortest[one.high] < longest]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementRules:
    """What one queue says. Nothing of the place above ``position_up_to``, nothing of the wait where P80 is
    above ``wait_up_to_s``; ``None``: no limit. Of ``messages`` (prompts) one a round, in turn."""

    position: bool = True
    position_up_to: int | None = None
    wait: bool = False
    wait_up_to_s: float | None = None
    messages: tuple[str, ...] = ()


def says_position(rules: AnnouncementRules, position: int) -> bool:
    return rules.position and (rules.position_up_to is None or position <= rules.position_up_to)


def said_of_wait(rules: AnnouncementRules, estimate: Estimate | None) -> WaitRange | None:
    """``None``: nothing. Of a wait that is unknown nothing is said."""
    if not rules.wait or estimate is None:
        return None
    if rules.wait_up_to_s is not None and estimate.p80_s > rules.wait_up_to_s:
        return None
    return wait_range(estimate)


def message_of_round(rules: AnnouncementRules, rounds: int) -> str | None:
    """After so many rounds."""
    return rules.messages[rounds % len(rules.messages)] if rules.messages else None
