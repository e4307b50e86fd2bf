"""Opening hours as written, and as the domain reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from ivr_engine.domain.schedules import Holiday, Schedule, Span
from ivr_engine.site.values import Label, Settings

SPAN_PATTERN: Final = r"^([01]?[0-9]|2[0-3]):[0-5][0-9]-(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$"
DAYS_PATTERN: Final = r"^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$"
DATE_PATTERN: Final = r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
ZONE_PATTERN: Final = r"^[A-Za-z]{1,20}(/[A-Za-z0-9_+-]{1,30}){0,2}$"

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = Annotated[str, Field(pattern=SPAN_PATTERN)]
Days = Annotated[str, Field(pattern=DAYS_PATTERN)]
Date = Annotated[str, Field(pattern=DATE_PATTERN)]


class HolidaySettings(Settings):
    """One day or a range of days: ``12-24`` of every year, or ``2026-12-24`` of that one."""

    name: Label
    """What it is called."""
    first: Date = Field(alias="from")
    """The first day."""
    last: Date | None = Field(default=None, alias="to")
    """Included; not given: one day."""
    hours: tuple[Hours, ...] = ()
    """None: closed."""

    def read(self) -> Holiday:
        (year, *first), (last_year, *last) = _date(self.first), _date(self.last or self.first)
        return Holiday(
            self.name, year, (first[0], first[1]), last_year, (last[0], last[1]), _spans(self.hours)
        )


class ScheduleSettings(Settings):
    """When somebody is there."""

    time_zone: Annotated[str, Field(pattern=ZONE_PATTERN)]
    """By whose clock: `Europe/Berlin`."""
    hours: dict[Days, tuple[Hours, ...]]
    """By days: ``mon-fri: ["08:00-18:00"]``. Days not named are closed."""
    holidays: tuple[HolidaySettings, ...] = ()

    @cached_property
    def schedule(self) -> Schedule:
        """What ``domain.schedules`` asks; for a site that was found in order."""
        week = {day: _spans(spans) for days, spans in self.hours.items() for day in days_of(days)}
        return Schedule(
            ZoneInfo(self.time_zone),
            tuple(week.get(day, ()) for day in DAYS),
            tuple(holiday.read() for holiday in self.holidays),
        )


def days_of(days: str) -> list[str]:
    """``fri-mon`` is Friday, Saturday, Sunday and Monday."""
    first, _, last = days.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [DAYS[day % 7] for day in range(begin, end + 1 if end >= begin else end + 8)]


def mistakes(settings: ScheduleSettings) -> Iterator[tuple[tuple[int | str, ...], str, str]]:
    """What no pattern finds: path of the setting, what is wrong, remedy."""
    try:
        ZoneInfo(settings.time_zone)
    except (KeyError, ValueError, OSError):  # not known, not a name, a folder of names
        yield ("time_zone",), f"there is no time zone '{settings.time_zone}'", "write it like Europe/Berlin"
    seen: dict[str, str] = {}
    for days in settings.hours:
        for day in days_of(days):
            if day in seen:
                yield ("hours", days), f"'{day}' is in '{seen[day]}' and in '{days}'", "name each day once"
                break
            seen[day] = days
    for number, holiday in enumerate(settings.holidays):
        for what, remedy in _wrong_dates(holiday):
            yield ("holidays", number), f"'{holiday.name}': {what}", remedy


def _wrong_dates(holiday: HolidaySettings) -> Iterator[tuple[str, str]]:
    dates = [holiday.first, holiday.last or holiday.first]
    if len({len(each) for each in dates}) > 1:
        yield "one date has a year and the other has none", "write both with the year, or both without"
        return
    for each in dates:
        if not _exists(each):
            yield f"there is no day {each}", "write it like 12-24, or 2026-12-24"
            return
    if len(dates[0]) > 5 and dates[1] < dates[0]:
        yield f"it ends ({dates[1]}) before it begins ({dates[0]})", "exchange the two"


def _exists(written: str) -> bool:
    year, month, day = _date(written)
    try:
        date(year or 2024, month, day)  # the 29th of February is a day of some years
    except ValueError:
        return False
    return True


def _date(written: str) -> tuple[int | None, int, int]:
    numbers = [int(part) for part in written.split("-")]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (None, numbers[0], numbers[1])


def _spans(written: tuple[str, ...]) -> tuple[Span, ...]:
    found: list[Span] = []
    for each in written:
        numbers = [int(number) for number in re.split("[:-]", each)]
        found.append(Span(numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]))
    return tuple(found)
