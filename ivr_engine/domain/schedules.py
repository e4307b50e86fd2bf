"""Opening hours and holidays, by the clock on the wall of a place. Pure: the moment is an argument.

A span that ends before it begins goes on past midnight and belongs to the day it begins on. A holiday (any
range of days with hours of its own, none for closed) wins over the day of the week; of two that overlap the
first one written counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes since midnight, the end not included: ``Span(480, 1080)`` is from 8 to 18 o'clock."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """On the day it begins on."""
        return self.begin <= minute and (minute < self.end or self.end <= self.begin)

    def reaches_over_to(self, minute: int) -> bool:
        """On the day after."""
        return self.end <= self.begin and minute < self.end


@dataclass(frozen=True, slots=True)
class Holiday:
    """``first`` to ``last``, both included, as (month, day); of that ``year``, or of every year. ``hours``
    are the day's own; none: closed."""

    name: str
    year: int | None
    first: tuple[int, int]
    last_year: int | None
    last: tuple[int, int]
    hours: tuple[Span, ...] = ()

    def covers(self, day: date) -> bool:
        if self.year is not None:
            begin, end = (self.year, *self.first), (self.last_year or self.year, *self.last)
            return begin <= (day.year, day.month, day.day) <= end
        today = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= today <= self.last
        return today >= self.first or today <= self.last


@dataclass(frozen=True, slots=True)
class Schedule:
    """``week`` has the spans of Monday to Sunday."""

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    holidays: tuple[Holiday, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether it is open; ``holiday`` is the name of the one that decides."""

    open: bool
    holiday: str | None = None


def opening(schedule: Schedule, now: datetime) -> Opening:
    """Whether it is open at ``now`` (an aware datetime). By the wall clock: in the night in which summer time
    begins or ends, hours are as long as the clock says."""
    local = now.astimezone(schedule.zone)
    minute, today = local.hour * 60 + local.minute, local.date()
    yesterday = today - timedelta(days=1)
    holiday = _holiday(schedule, today)
    if any(span.holds(minute) for span in _hours(schedule, today)):
        return Opening(True, holiday and holiday.name)
    if any(span.reaches_over_to(minute) for span in _hours(schedule, yesterday)):
        return Opening(True, None)
    return Opening(False, holiday and holiday.name)


def _holiday(schedule: Schedule, day: date) -> Holiday | None:
    return next((each for each in schedule.holidays if each.covers(day)), None)


def _hours(schedule: Schedule, day: date) -> Sequence[Span]:
    holiday = _holiday(schedule, day)
    return schedule.week[day.weekday()] if holiday is None else holiday.hours
