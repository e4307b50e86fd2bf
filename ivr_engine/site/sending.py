"""How texts are sent: when, by whom where the first provider takes none, with what files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from ivr_engine.domain.quiet_hours import Hours
from ivr_engine.domain.schedules import Span
from ivr_engine.site.schedules import SPAN_PATTERN, ZONE_PATTERN
from ivr_engine.site.sms_numbers import SmsSender
from ivr_engine.site.values import Settings

Provider = Literal["simulator", "twilio"]
Purpose = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
DayHours = Annotated[str, Field(pattern=SPAN_PATTERN)]

ANY_TIME: Final = "00:00-24:00"


class SecondProvider(Settings):
    """Takes the texts while the first provider takes none. A text that the first one was asked to send
    changes over only when it certainly has not got it."""

    provider: Provider
    """A change takes a restart."""
    sender: SmsSender | None = None
    """The number it sends from, and answers come back to; not given: the same as the first."""


class Sending(Settings):
    """What holds for every text that is sent. Rates are with the numbers (`sms_numbers`)."""

    hours: dict[Purpose, DayHours] = Field(default_factory=lambda: {"campaign": "08:00-21:00"})
    """When texts of a purpose may be sent, by the clock of who gets them: ``campaign``, ``wait_time_sms``, …
    One that comes at another time waits. Purposes not named are sent at any time, as those are that somebody
    has just asked for. What stands here takes the place of all that is built in."""
    time_zone: Annotated[str, Field(pattern=ZONE_PATTERN)] = "UTC"
    """Of numbers that do not tell theirs."""
    second_provider: SecondProvider | None = None
    media_links_last: Annotated[float, Field(gt=0, le=168)] = 4.0
    """Hours, from when a text leaves. A picture that goes out with it (`in_call_sms.media`) is fetched by the
    provider from `IVR_PUBLIC_URL`, by a signed link."""

    def quiet_hours(self) -> Hours:
        """What ``domain.quiet_hours`` asks; for a site that was found in order."""
        by_purpose = {purpose: _span(written) for purpose, written in self.hours.items()}
        return Hours(by_purpose, ZoneInfo(self.time_zone))


def mistakes(sending: Sending, first: Provider) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What no pattern finds: path of the setting, what is wrong, remedy."""
    try:
        ZoneInfo(sending.time_zone)
    except (KeyError, ValueError, OSError):  # not known, not a name, a folder of names
        what = f"there is no time zone '{sending.time_zone}'"
        yield ("time_zone",), what, "write it like Europe/Berlin"
    for purpose, written in sending.hours.items():
        span = _span(written)
        if span.begin == span.end:
            what = f"'{written}' is no time at all"
            yield ("hours", purpose), what, f"write when they may be sent; at any time is '{ANY_TIME}'"
    second = sending.second_provider
    if second is not None and second.provider == first:
        what = f"the second provider is the first one, '{first}'"
        yield ("second_provider", "provider"), what, "name another one, or leave 'second_provider' out"


def _span(written: str) -> Span:
    numbers = [int(number) for number in re.split("[:-]", written)]
    return Span(numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3])
