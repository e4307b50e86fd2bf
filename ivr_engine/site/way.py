"""One way out of a node of a flow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a node: ``setting`` is where it is written, ``key`` whether the caller presses one."""

    setting: tuple[str, ...]
    target: str
    key: bool = False
