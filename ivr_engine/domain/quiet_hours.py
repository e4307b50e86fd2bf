"""When people may be written to who did not ask for it just now: by the clock on their wall.

Pure: the moment is an argument. The zone comes from the number (``phonenumbers``); where that leaves several,
as for the mobiles of a large country, it has to be allowed in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from ivr_engine.domain.schedules import Span

SOLICITATIONS: Final = Span(8 * 60, 21 * 60)
"""8 to 21 o'clock at the recipient."""
LOOKED_AHEAD: Final = timedelta(days=2)
"""Zones that have no common moment so long never have one."""


@dataclass(frozen=True, slots=True)
class Hours:
    """``by_purpose``: when messages of a purpose may be sent; any time, for one that is not there. ``zone``:
    of recipients whose number does not tell theirs."""

    by_purpose: Mapping[str, Span] = field(default_factory=lambda: {"campaign": SOLICITATIONS})
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def next_moment(self, purpose: str, recipient: str, now: datetime) -> datetime:
        """When it may be sent: ``now``, or the first moment after."""
        span = self.by_purpose.get(purpose)
        return now if span is None else next_moment(recipient, span, now, self.zone)


def next_moment(recipient: str, span: Span, now: datetime, elsewhere: ZoneInfo) -> datetime:
    """``now``, or the first moment after at which the clocks at ``recipient`` (E.164) are all in ``span``."""
    zones = zones_of(recipient) or (elsewhere,)
    return _common(zones, span, now) or _common((elsewhere,), span, now) or now


@lru_cache(maxsize=4096)
def zones_of(recipient: str) -> tuple[ZoneInfo, ...]:
    """Where that number may be; empty when it does not tell."""
    try:
        number = phonenumbers.parse(recipient)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for name in timezone.time_zones_for_number(number) if (zone := _zone(name)))


def _zone(name: str) -> ZoneInfo | None:
    """``None`` for the name of the unknown zone, and for one that this machine does not have."""
    try:
        return None if name == timezone.UNKNOWN_TIMEZONE else ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return None


def _common(zones: tuple[ZoneInfo, ...], span: Span, now: datetime) -> datetime | None:
    moment = now
    while moment - now < LOOKED_AHEAD:
        shut = [zone for zone in zones if not _holds(span, zone, moment)]
        if not shut:
            return moment
        moment = max(_opens(span, zone, moment) for zone in shut)
    return None


def _holds(span: Span, zone: ZoneInfo, moment: datetime) -> bool:
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return span.holds(minute) or span.reaches_over_to(minute)


def _opens(span: Span, zone: ZoneInfo, moment: datetime) -> datetime:
    """The next time its clock says that the span begins. A time that the clock skips in spring is the one
    after the leap."""
    local = moment.astimezone(zone)
    day = local.replace(hour=span.begin // 60, minute=span.begin % 60, second=0, microsecond=0, fold=0)
    begins = day.astimezone(UTC)
    return begins if begins > moment else (day + timedelta(days=1)).astimezone(UTC)
