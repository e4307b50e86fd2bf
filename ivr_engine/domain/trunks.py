"""Lines to the world, and whether calls can pass over them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

REGISTERED: Final = "Registered"
GONE: Final = frozenset({"UNAVAILABLE", "INVALID"})
"""An endpoint's states (as a device) that mean that none of its contacts answers; a contact that is never
asked counts as there."""


class TrunkState(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
    """Asterisk does not tell: no connection to it, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """One line. ``since``: when it came into this state. ``why``: one sentence, empty when it is up."""

    name: str
    state: TrunkState
    why: str
    since: datetime


def judged(registrations: Collection[str], device: str | None) -> tuple[TrunkState, str]:
    """What Asterisk's statuses of a trunk's registrations and its state as a device mean, and why.

    Up needs every registration, and a contact that answers. A name that Asterisk does not know at all is a
    mistake in the configuration: nothing would ever be seen of it.
    """
    if not registrations and device is None:
        return TrunkState.DOWN, "Asterisk knows no endpoint and no registration of this name"
    refused = [status for status in registrations if status != REGISTERED]
    if refused:
        return TrunkState.DOWN, f"the registration is {refused[0]!r}"
    if device in GONE:
        return TrunkState.DOWN, "the other side does not answer"
    return TrunkState.UP, ""
