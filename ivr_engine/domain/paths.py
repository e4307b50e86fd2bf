"""One value of a JSON document, chosen by a path: ``customer.phones.0.number``."""

from __future__ import annotations

from typing import Final

LONGEST_VALUE: Final = 200
"""Characters; what is longer is cut off."""


def chosen(document: object, path: str) -> str | None:
    """The value at ``path`` (names and, for lists, numbers from 0; separated by dots) as text without control
    characters; ``None`` where there is none, or no single value."""
    for step in path.split("."):
        document = _child(document, step)
    return _text(document)


def _child(value: object, step: str) -> object:
    if isinstance(value, dict):
        return value.get(step)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 6:
        return value[int(step)] if int(step) < len(value) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return None


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:LONGEST_VALUE]
    if not isinstance(value, str):
        return None
    readable = "".join(c if c.isprintable() else " " for c in value[: LONGEST_VALUE * 2])
    return " ".join(readable.split())[:LONGEST_VALUE]
