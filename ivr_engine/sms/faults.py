"""How the simulator is told to fail, as real providers do.

A fault applies to the next ``times`` occasions or for ``seconds`` seconds (neither: until cleared). Faults
live in memory: a restarted simulator is a healthy one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

Place = Literal["send", "list", "media", "numbers", "callbacks", "inbound"]

KINDS: Final[dict[Place, frozenset[str]]] = {
    "send": frozenset(
        {"error", "busy", "hang", "slow", "late_accept", "lose_answer", "reset", "refuse", "early_callbacks"}
    ),
    "list": frozenset({"error", "busy", "hang", "reset"}),
    "media": frozenset({"error", "busy", "hang", "reset"}),
    "numbers": frozenset({"missing", "error", "busy", "hang", "reset"}),
    "callbacks": frozenset({"duplicate", "late", "reversed", "missing", "undelivered"}),
    "inbound": frozenset({"duplicate", "late", "missing"}),
}


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault as asked for over HTTP.

    On ``send``: ``error`` answers ``status`` · ``busy`` 429 with ``retry_after_s`` · ``hang`` takes the
    request and says nothing for ``hold_s``, never accepting it · ``slow`` accepts at once, answers after
    ``hold_s`` · ``late_accept`` accepts only after ``hold_s`` · ``lose_answer`` accepts, then resets the
    connection · ``reset`` resets without accepting · ``refuse`` answers 400 with ``code`` ·
    ``early_callbacks`` sends all status callbacks before it answers.
    On ``numbers``: ``missing`` says that the number is not ours.
    On ``callbacks``: ``duplicate`` sends each ``copies`` times · ``late`` after ``hold_s`` more ·
    ``reversed`` delivered before sent · ``missing`` none · ``undelivered`` ends in that status with ``code``.
    On ``inbound``: ``duplicate`` sends the webhook ``copies`` times at once · ``late`` · ``missing``.
    """

    on: Place
    kind: str
    times: int | None = None
    seconds: float | None = None
    status: int = 500
    retry_after_s: int = 1
    hold_s: float = 120.0
    code: str = "30008"
    copies: int = 10

    def problem(self) -> str | None:
        """Why this makes no sense, or ``None``."""
        if self.kind not in KINDS[self.on]:
            return f"on {self.on} the kinds are: {', '.join(sorted(KINDS[self.on]))}"
        if not (500 <= self.status <= 599):
            return "status must be 500 to 599"
        if not (1 <= self.copies <= 100):
            return "copies must be 1 to 100"
        if not (0 <= self.hold_s <= 3600):
            return "hold_s must be 0 to 3600"
        if self.times is not None and self.times < 1:
            return "times must be at least 1"
        if self.seconds is not None and self.seconds <= 0:
            return "seconds must be more than 0"
        return None


class _Active:
    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.left = fault.times
        self.until = None if fault.seconds is None else now + fault.seconds

    def over(self, now: float) -> bool:
        return (self.left is not None and self.left <= 0) or (self.until is not None and now >= self.until)


class Faults:
    """The switches that are on, in the order in which they were set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: list[_Active] = []

    def add(self, fault: Fault) -> None:
        self._active.append(_Active(fault, self._clock()))

    def clear(self) -> None:
        self._active.clear()

    def active(self) -> list[Fault]:
        now = self._clock()
        return [a.fault for a in self._active if not a.over(now)]

    def take(self, on: Place) -> Fault | None:
        """The fault that strikes now at ``on``, one occasion used up."""
        now = self._clock()
        self._active = [a for a in self._active if not a.over(now)]
        for active in self._active:
            if active.fault.on == on:
                if active.left is not None:
                    active.left -= 1
                return active.fault
        return None
