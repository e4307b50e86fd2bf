"""How a call begins, is taken over and ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallStarted:
    caller: str | None
    number: str


@dataclass(frozen=True, slots=True)
class CallAdopted:
    """An engine took the call over after a crash, a restart or an outage."""

    chapter: str


@dataclass(frozen=True, slots=True)
class CallFellBack:
    """A fault in the engine: the caller was sent to the fallback dialplan."""

    error: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    reason: str


@dataclass(frozen=True, slots=True)
class TicketOpened:
    ticket_id: str


Happening = CallStarted | CallAdopted | CallFellBack | CallFinished | TicketOpened
