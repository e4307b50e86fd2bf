"""What happened in a queue's line, and what those who wait were told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueEntered:
    queue: str
    position: int


@dataclass(frozen=True, slots=True)
class PositionAnnounced:
    position: int


@dataclass(frozen=True, slots=True)
class WaitAnnounced:
    """The caller heard a range; ``said`` names the prompt. Beside the estimate stands what app_queue would
    have said (``domain.wait_estimate``)."""

    said: str
    p50_s: float
    p80_s: float
    expected_s: float
    app_queue_s: float


@dataclass(frozen=True, slots=True)
class OverCapacity:
    """The caller's queue is; ``limit`` as in ``domain.capacity.Limit``."""

    queue: str
    limit: str


@dataclass(frozen=True, slots=True)
class OverCapacityChosen:
    """What the caller goes on with; ``key`` is ``None`` where none was pressed."""

    option: str
    key: str | None


@dataclass(frozen=True, slots=True)
class LineLeft:
    """Led on out of the queue's line, with no agent."""

    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueueSwitched:
    """By the emergency switch; ``queue`` empty: all of them. ``prompt`` is said, ``None``: open again."""

    queue: str
    prompt: str | None


Happening = (
    QueueEntered
    | PositionAnnounced
    | WaitAnnounced
    | OverCapacity
    | OverCapacityChosen
    | LineLeft
    | QueueSwitched
)
