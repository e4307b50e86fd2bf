"""What agents texted to the callers they talked to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InCallSmsSent:
    """It stands in the outbox. ``preset`` names the one chosen; ``None``: the agent's own words."""

    message_id: str
    agent: str
    preset: str | None


Happening = InCallSmsSent
