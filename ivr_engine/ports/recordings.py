"""Recordings that the telephone system made, and holds until they are deleted."""

from __future__ import annotations

from typing import Protocol


class Recordings(Protocol):
    """Recordings are known by the name that ``Leg.record`` was given."""

    async def fetch(self, name: str) -> bytes | None:
        """The WAV file (8 kHz, 16 bit), ``None`` while it is being made. ``Gone`` when there is none."""
        ...

    async def delete(self, name: str) -> None:
        """Take it away; fine when it is gone."""
        ...
