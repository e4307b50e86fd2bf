"""Reports of the running engine, and what somebody should look at."""

from __future__ import annotations

import csv
import sys
from typing import Annotated, Any, Final

import typer

from ivr_engine.cli.asking import API, AsJson, get

report_app = typer.Typer(help="Reports: what became of the offers of an SMS, and how many texts there were.")

Day = Annotated[str | None, typer.Option(help="Like 2026-01-31, in UTC")]
Since = Annotated[str | None, typer.Option("--from", help="The first day, like 2026-01-25; else a week ago")]
Queue = Annotated[str | None, typer.Option(help="Of this queue alone")]
AsCsv = Annotated[bool, typer.Option("--csv", help="For spreadsheets, a row a day")]

_FUNNEL: Final = {
    "day": "day",
    "queue": "queue",
    "language": "language",
    "offered": "offered",
    "allowed": "allowed",
    "denied": "denied",
    "no_response": "no answer",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "replied": "replied",
    "not_offered": "not offered, callers",
}
_USAGE: Final = {
    "day": "day",
    "queue": "queue",
    "language": "language",
    "inbound": "inbound",
    "outbound": "outbound",
    "total": "total",
    "purposes": "of these",
}
_ALARM: Final = {"since": "since", "what": "what", "until": "until", "remedy": "what to do"}


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.add_typer(report_app, name="report")
    app.command()(alarms)


@report_app.command("wait-time-sms")
def wait_time_sms(
    since: Since = None, to: Day = None, queue: Queue = None, as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """Callers who were offered an SMS while they waited, and what became of it."""
    _report("wait-time-sms", _FUNNEL, "Nobody was offered an SMS.", as_json, as_csv, since, to, queue)


@report_app.command("sms-usage")
def sms_usage(
    since: Since = None, to: Day = None, queue: Queue = None, as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """Texts of calls, in and out."""
    _report("sms-usage", _USAGE, "There were no texts.", as_json, as_csv, since, to, queue)


def alarms(as_json: AsJson = False) -> None:
    """What somebody should look at now: lines that are down, caps on SMS that are reached."""
    from ivr_engine.cli import show

    answer = get(f"{API}/alarms")
    if as_json:
        show.as_json(answer)
    else:
        show.table(answer["items"], _ALARM, "Nothing.")


def _report(
    name: str,
    columns: dict[str, str],
    nothing: str,
    as_json: bool,
    as_csv: bool,
    since: str | None,
    to: str | None,
    queue: str | None,
) -> None:
    from ivr_engine.cli import show

    asked: dict[str, Any] = {"from": since, "to": to, "queue": queue}
    answer = get(f"{API}/reports/{name}", **asked)
    if as_csv:
        _write_csv(name, answer["items"])
    elif as_json:
        show.as_json(answer)
    else:
        rows = answer["items"]
        total = [{"day": "all", **answer["total"]}] if len(rows) > 1 else []
        show.table([*rows, *total], columns, nothing)


def _write_csv(name: str, items: list[dict[str, Any]]) -> None:
    """As the API does."""
    from ivr_engine.web.shapes.reports import FUNNEL_COLUMNS, USAGE_COLUMNS, FunnelItem, UsageItem

    funnel = name == "wait-time-sms"
    columns, item = (FUNNEL_COLUMNS, FunnelItem) if funnel else (USAGE_COLUMNS, UsageItem)
    csv.writer(sys.stdout).writerows([columns, *(item.model_validate(one).row() for one in items)])
