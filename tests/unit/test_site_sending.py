"""The settings of sending, and what ``check`` says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ivr_engine.site.check import Severity
from tests.flow.centre import site
from tests.unit.test_site_check import Folder

BERLIN = "+4915112345678"
NIGHT, DAY = datetime(2026, 1, 15, 3, 0, tzinfo=UTC), datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_campaigns_keep_to_the_day_and_what_was_asked_for_does_not() -> None:
    hours = site().sending.quiet_hours()
    assert hours.next_moment("campaign", BERLIN, NIGHT) == datetime(2026, 1, 15, 7, 0, tzinfo=UTC)
    assert hours.next_moment("campaign", BERLIN, DAY) == DAY
    assert hours.next_moment("wait_time_sms", BERLIN, NIGHT) == NIGHT


def test_each_purpose_can_have_hours_of_its_own() -> None:
    own = {"wait_time_sms": "06:00-22:00", "campaign": "00:00-24:00"}
    hours = site(sending={"hours": own, "time_zone": "Europe/Berlin"}).sending.quiet_hours()
    assert hours.next_moment("wait_time_sms", BERLIN, NIGHT) == datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
    assert hours.next_moment("campaign", BERLIN, NIGHT) == NIGHT
    assert hours.zone.key == "Europe/Berlin"


def test_the_providers_are_named_the_first_one_first() -> None:
    assert site().providers == ("simulator",)
    both = site(sending={"second_provider": {"provider": "twilio", "sender": "+4930999999"}})
    assert both.providers == ("simulator", "twilio")
    assert "+4930999999" in both.receiving_numbers()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("time_zone: Europe/Berlin", "time_zone: Europe/Berln", "there is no time zone 'Europe/Berln'"),
        ('campaign: "08:00-21:00"', 'campaign: "08:00-08:00"', "'08:00-08:00' is no time at all"),
        (
            "sending:\n",
            "sending:\n  second_provider:\n    provider: simulator\n",
            "the second provider is the first one, 'simulator'",
        ),
        ('campaign: "08:00-21:00"', 'campaign: "8 to 9"', "campaign"),
    ],
)
def test_what_check_says(folder: Folder, old: str, new: str, what: str) -> None:
    folder.change("config/sms.yaml", old, new)
    (problem,) = folder.check()
    assert problem.severity is Severity.ERROR
    assert what in problem.what
    assert problem.file.endswith("sms.yaml")
    assert problem.line
