"""Reports on texts, as JSON and as CSV. A day is a transaction of its own: calls wait for no month."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Query, Response
from fastapi.exceptions import RequestValidationError

from ivr_engine.domain.sms_reports import Funnel, Place, Usage, summed, used_together
from ivr_engine.ports import Tx
from ivr_engine.web.errors import ERRORS
from ivr_engine.web.services import Services
from ivr_engine.web.shapes.reports import (
    FUNNEL_COLUMNS,
    USAGE_COLUMNS,
    FunnelCounts,
    FunnelItem,
    FunnelReport,
    UsageCounts,
    UsageItem,
    UsageReport,
)

router = APIRouter(prefix="/reports", tags=["reports"], responses=ERRORS)

C = TypeVar("C", Funnel, Usage)

DAYS: Final = 7
"""Of a report that names none."""
MOST_DAYS: Final = 366

_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is about; ``to`` included."""

    since: date
    to: date
    queue: str | None

    @property
    def days(self) -> Iterable[date]:
        return (self.since + timedelta(days=n) for n in range((self.to - self.since).days + 1))


def _asked(
    services: Services,
    since: Annotated[
        date | None, Query(alias="from", description="The first day (UTC); not given: six before `to`")
    ] = None,
    to: Annotated[date | None, Query(description="The last day (UTC), included; not given: today")] = None,
    queue: Annotated[str | None, Query(description="Of this queue alone", max_length=100)] = None,
) -> Asked:
    last = to or services.clock.now().date()
    first = since or last - timedelta(days=DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        wrong = f"'from' is not before 'to', or longer before it than {MOST_DAYS} days"
        raise RequestValidationError([{"loc": ("query", "from"), "msg": wrong}])
    return Asked(first, last, queue)


About = Annotated[Asked, Depends(_asked)]


@router.get("/wait-time-sms", summary="What became of the offers of an SMS")
async def wait_time_sms(services: Services, about: About) -> FunnelReport:
    """By day, queue and language: how many callers were offered the wait-time SMS, allowed or denied it; how
    many texts were sent and delivered, and who answered. And why it was not offered to others."""
    items = await _funnel(services, about)
    counts = (Funnel(**item.model_dump(exclude={"day", "queue", "language"})) for item in items)
    total = FunnelCounts.of(summed(counts))
    return FunnelReport.model_validate({"from": about.since, "to": about.to, "total": total, "items": items})


@router.get("/wait-time-sms.csv", summary="The same as CSV", response_class=Response, responses=_CSV)
async def wait_time_sms_csv(services: Services, about: About) -> Response:
    """One row a day, queue and language; a column for each reason why it was not offered."""
    return _csv("wait-time-sms", FUNNEL_COLUMNS, [item.row() for item in await _funnel(services, about)])


@router.get("/sms-usage", summary="Texts of calls, to and fro")
async def sms_usage(services: Services, about: About) -> UsageReport:
    """By day, queue and language: how many texts came and went in calls, while waiting and while talking."""
    items = await _usage(services, about)
    counts = (Usage(inbound=i.inbound, outbound=i.outbound, purposes=i.purposes) for i in items)
    total = UsageCounts.of(used_together(counts))
    return UsageReport.model_validate({"from": about.since, "to": about.to, "total": total, "items": items})


@router.get("/sms-usage.csv", summary="The same as CSV", response_class=Response, responses=_CSV)
async def sms_usage_csv(services: Services, about: About) -> Response:
    """One row a day, queue and language."""
    return _csv("sms-usage", USAGE_COLUMNS, [item.row() for item in await _usage(services, about)])


async def _funnel(services: Services, about: Asked) -> list[FunnelItem]:
    found = await _days(services, about, lambda tx, since, until: tx.sms_reports.funnel(since, until))
    return [
        FunnelItem(**FunnelCounts.of(counts).model_dump(), day=day, queue=queue, language=language)
        for day, (queue, language), counts in found
    ]


async def _usage(services: Services, about: Asked) -> list[UsageItem]:
    found = await _days(services, about, lambda tx, since, until: tx.sms_reports.usage(since, until))
    return [
        UsageItem(**UsageCounts.of(counts).model_dump(), day=day, queue=queue, language=language)
        for day, (queue, language), counts in found
    ]


async def _days(
    services: Services, about: Asked, counted: Callable[[Tx, datetime, datetime], Mapping[Place, C]]
) -> list[tuple[date, Place, C]]:
    found: list[tuple[date, Place, C]] = []
    for day in about.days:
        since = datetime.combine(day, time(), UTC)
        until = since + timedelta(days=1)

        def look(tx: Tx, since: datetime = since, until: datetime = until) -> Mapping[Place, C]:
            return counted(tx, since, until)

        places = await services.look(look)
        found += [(day, place, c) for place, c in places.items() if about.queue in (None, place[0])]
    return found


def _csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    written = io.StringIO()
    csv.writer(written).writerows([columns, *rows])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(written.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
