"""Changing a record, which is frozen: a new one with some fields different.

Calls and messages are made anew some thirty times a call, so they are msgspec's structs: making one costs a
tenth of what a dataclass of as many fields does. The others are dataclasses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from msgspec import Struct, structs

R = TypeVar("R")


def replace(record: R, /, **changes: Any) -> R:  # noqa: ANN401 - as of dataclasses, and of copy since 3.13
    """``record``, a struct or a dataclass, with these fields instead. ``TypeError``: it has no such field."""
    if isinstance(record, Struct):
        return cast("R", structs.replace(record, **changes))
    return cast("R", dataclasses.replace(cast("Any", record), **changes))


def differing(record: Struct, before: Struct | None) -> Sequence[tuple[str, Any]]:
    """Each field in which ``record`` differs from ``before``, and what it is now; without ``before`` all."""
    now = structs.astuple(record)
    if before is None:
        return tuple(zip(record.__struct_fields__, now, strict=True))
    then = structs.astuple(before)
    return [
        (name, value)
        for name, value, was in zip(record.__struct_fields__, now, then, strict=True)
        if value is not was and value != was
    ]
