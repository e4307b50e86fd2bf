"""Answers as tables for people, or as JSON for scripts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_GOOD: Final = {"available", "allowed", "delivered", "ok", "talking", "received"}
_BAD: Final = {"rona", "failed", "undelivered", "unknown", "failing"}
_WHOLE: Final = {
    "id",
    "name",
    "caller",
    "from",
    "to",
    "number",
    "created_at",
    "started_at",
    "opened_at",
    "at",
}
"""Columns that are no use in pieces: they are copied, or read at a glance."""

_TIMES: Final = ("at", "since", "until", "opened")


def as_json(answer: object) -> None:
    """As the API gave it."""
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


def table(rows: Sequence[Row], columns: Mapping[str, str], nothing: str) -> None:
    """``columns``: key → heading. ``nothing`` is said when there are no rows."""
    console = _console()
    if not rows:
        console.print(Text(nothing))
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for key, heading in columns.items():
        shown.add_column(heading, overflow="fold", no_wrap=key in _WHOLE)
    for row in rows:
        shown.add_row(*(cell(row.get(key), key) for key in columns))
    console.print(shown)


def facts(row: Row, names: Mapping[str, str]) -> None:
    """One thing, a line a fact."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for key, name in names.items():
        shown.add_row(Text(name), cell(row.get(key), key))
    _console().print(shown)


def _console() -> Console:
    """As wide as the terminal; wide where there is none (a pipe, a file)."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=200 if piped else None)


def cell(value: object, key: str = "") -> Text:
    """A value, with nothing in it that a terminal could obey: texts come from strangers."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no", style="green" if value else "red")
    if isinstance(value, Mapping):
        parts = (f"{name} {printable(str(v))}" for name, v in value.items() if v not in (0, None, ""))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return Text(", ".join(parts) or "-")
    if isinstance(value, list):
        return Text(", ".join(printable(str(v)) for v in value) or "-")  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    text = local_time(value) if key.endswith(_TIMES) and isinstance(value, str) else printable(str(value))
    return Text(text, style="green" if text in _GOOD else "red" if text in _BAD else "")


def printable(text: str) -> str:
    """Control characters shown, not sent."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text)


def local_time(text: str) -> str:
    """UTC from the API, as the clock on this machine's wall; without the date when it is today's."""
    try:
        at = datetime.fromisoformat(text).astimezone()
        today = at.date() == datetime.now().astimezone().date()
        return at.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return printable(text)
