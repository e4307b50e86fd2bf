"""Opening hours and holidays by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.schedules import Opening, opening
from ivr_engine.site.schedules import ScheduleSettings, days_of, mistakes

OFFICE: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "hours": {"mon-thu": ["08:00-12:00", "13:00-18:00"], "fri": ["8:00-16:00"], "sat": ["22:00-02:00"]},
    "holidays": [
        {"name": "Christmas", "from": "12-24", "to": "01-01"},
        {"name": "Stocktaking", "from": "2026-07-06", "to": "2026-07-07", "hours": ["10:00-12:00"]},
        {"name": "Night off", "from": "2026-03-29"},
    ],
}


def at(local: str, settings: dict[str, Any] = OFFICE) -> Opening:
    schedule = ScheduleSettings.model_validate(settings).schedule
    return opening(schedule, datetime.fromisoformat(local).replace(tzinfo=schedule.zone).astimezone(UTC))


@pytest.mark.parametrize(
    ("local", "is_open"),
    [
        ("2026-03-02T07:59:59", False),  # a Monday
        ("2026-03-02T08:00:00", True),
        ("2026-03-02T11:59:59", True),
        ("2026-03-02T12:00:00", False),
        ("2026-03-02T13:00:00", True),
        ("2026-03-02T18:00:00", False),
        ("2026-03-06T15:59:00", True),
        ("2026-03-06T16:00:00", False),
        ("2026-03-07T12:00:00", False),
        ("2026-03-07T22:00:00", True),  # Saturday night …
        ("2026-03-08T01:59:00", True),  # … until Sunday morning
        ("2026-03-08T02:00:00", False),
        ("2026-07-01T08:00:00", True),  # summer time
        ("2026-07-01T07:59:00", False),
    ],
)
def test_the_week(local: str, is_open: bool) -> None:
    assert at(local) == Opening(is_open)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-12-23T09:00:00", Opening(True)),
        ("2026-12-24T09:00:00", Opening(False, "Christmas")),
        ("2029-12-31T09:00:00", Opening(False, "Christmas")),
        ("2027-01-01T09:00:00", Opening(False, "Christmas")),
        ("2027-01-04T09:00:00", Opening(True)),
        ("2026-07-06T09:00:00", Opening(False, "Stocktaking")),
        ("2026-07-07T11:00:00", Opening(True, "Stocktaking")),
        ("2027-07-06T09:00:00", Opening(True)),
        ("2026-03-29T00:30:00", Opening(True)),  # Saturday's night goes on into a holiday
    ],
)
def test_holidays_win_over_the_week(local: str, expected: Opening) -> None:
    assert at(local) == expected


def test_days_not_named_are_closed_and_day_ranges_go_round_the_week() -> None:
    assert days_of("fri-mon") == ["fri", "sat", "sun", "mon"]
    assert days_of("wed") == ["wed"]
    assert not at("2026-03-08T12:00:00").open
    always: dict[str, Any] = OFFICE | {"hours": {"mon-sun": ["00:00-24:00"]}, "holidays": []}
    assert at("2026-03-08T00:00:00", always).open
    assert at("2026-03-08T23:59:59", always).open


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
def test_round_the_clock_is_open_at_every_moment(moment: datetime) -> None:
    for spans in (["00:00-24:00"], ["06:00-06:00"], ["00:00-12:00", "12:00-00:00"]):
        settings = {"time_zone": "America/Sao_Paulo", "hours": {"mon-sun": spans}}
        schedule = ScheduleSettings.model_validate(settings).schedule
        assert opening(schedule, moment.replace(tzinfo=UTC)).open


def test_the_time_zone_decides() -> None:
    schedule = ScheduleSettings.model_validate(OFFICE).schedule
    winter = datetime(2026, 1, 12, 7, 0, tzinfo=UTC)
    assert opening(schedule, winter).open
    assert not opening(schedule, winter - timedelta(minutes=1)).open
    summer = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
    assert opening(schedule, summer).open


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"time_zone": "Europe/Berln"}, "no time zone 'Europe/Berln'"),
        ({"time_zone": "Europe"}, "no time zone 'Europe'"),
        ({"hours": {"mon-fri": [], "fri": []}}, "'fri' is in 'mon-fri' and in 'fri'"),
        ({"holidays": [{"name": "X", "from": "02-30"}]}, "'X': there is no day 02-30"),
        ({"holidays": [{"name": "X", "from": "2027-02-29"}]}, "no day 2027-02-29"),
        ({"holidays": [{"name": "X", "from": "2027-02-02", "to": "2027-01-01"}]}, "before it begins"),
        ({"holidays": [{"name": "X", "from": "2027-02-02", "to": "03-01"}]}, "has a year"),
    ],
)
def test_mistakes(change: dict[str, Any], what: str) -> None:
    [(_, said, _)] = mistakes(ScheduleSettings.model_validate(OFFICE | change))
    assert what in said


def test_the_29th_of_february_is_a_day_of_some_years() -> None:
    leap = OFFICE | {"holidays": [{"name": "Leap day", "from": "02-29"}]}
    assert list(mistakes(ScheduleSettings.model_validate(leap))) == []
    assert at("2028-02-29T09:00:00", leap) == Opening(False, "Leap day")
    assert at("2027-03-01T09:00:00", leap) == Opening(True)
