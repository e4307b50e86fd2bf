"""Who was offered a call, who took it, and what state agents are in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentOffered:
    agent: str


@dataclass(frozen=True, slots=True)
class OfferMissed:
    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentConnected:
    agent: str
    ticket_id: str


@dataclass(frozen=True, slots=True)
class AgentChanged:
    agent: str
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WrappedUp:
    """The wrap-up of a contact is over; ``reason`` as configured, ``time_up``, or none given."""

    agent: str
    reason: str | None


Happening = AgentOffered | OfferMissed | AgentConnected | AgentChanged | WrappedUp
