"""Whole tables as CSV or JSON, a page at a time: the store is never held, and nothing is gathered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query
from starlette.responses import StreamingResponse

from ivr_engine.ports import Tx
from ivr_engine.web.services import WebServices

PAGE: Final = 500
"""Rows read in one transaction."""

T = TypeVar("T")
After = tuple[datetime, str] | None
"""Moment and id of the last row that was read."""

_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula; the last four are wide forms of the first."""


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


AsFormat = Annotated[
    Format, Query(alias="format", description="csv, json (a list), or jsonl: one JSON object a line")
]

ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A download. In CSV, cells that a spreadsheet would take for a formula begin with '",
        "content": {"text/csv": {}, "application/json": {}, "application/jsonl": {}},
    }
}


def export(
    services: WebServices,
    name: str,
    columns: Sequence[str],
    page: Callable[[Tx, After, int], Sequence[T]],
    row: Callable[[T], Mapping[str, Any]],
    place: Callable[[T], tuple[datetime, str]],
    as_format: Format,
) -> StreamingResponse:
    """All rows, oldest first; what is added meanwhile comes too."""

    async def pages() -> AsyncIterator[list[Mapping[str, Any]]]:
        after: After = None
        while True:
            found = await services.look(lambda tx, after=after: page(tx, after, PAGE))
            yield [row(one) for one in found]
            if len(found) < PAGE:
                return
            after = place(found[-1])

    async def lines() -> AsyncIterator[str]:
        if as_format is Format.CSV:
            yield _csv([columns])
            async for rows in pages():
                yield _csv([[defused(_text(each[name])) for name in columns] for each in rows])
            return
        before, between, end = ("[\n", ",\n", "\n]\n") if as_format is Format.JSON else ("", "\n", "\n")
        async for rows in pages():
            if rows:
                yield before + between.join(_json(each) for each in rows)
                before = between
        yield end if before == between else before.strip() + end.strip()

    kind = "text/csv" if as_format is Format.CSV else f"application/{as_format}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{as_format}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines(), media_type=f"{kind}; charset=utf-8", headers=headers)


def defused(cell: str) -> str:
    """No spreadsheet calculates it: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _csv(rows: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    return written.getvalue()


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value)
