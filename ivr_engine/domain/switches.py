"""The emergency switch: queues, or all of them, closed by hand with a spoken message until opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

ALL: Final = ""
"""Stands for all queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """``queue`` is ``ALL`` for every queue; ``prompt`` names what callers hear."""

    queue: str
    prompt: str
    since: datetime


def closed_by(switches: Mapping[str, Switch], queue: str) -> Switch | None:
    """What keeps callers out of ``queue``: the switch for all counts before its own."""
    return switches.get(ALL) or switches.get(queue)
