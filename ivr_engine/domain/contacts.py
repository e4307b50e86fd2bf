"""Contacts: who somebody is, whatever number they call from; and which contact a call belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused

MOST_NUMBERS: Final = 20
"""Of one contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """``numbers``: E.164, or as signalled. ``language``: of the last call. ``external``: what other systems
    call this contact, by the system's name."""

    id: str
    name: str = ""
    numbers: tuple[str, ...] = ()
    language: str = ""
    created_at: datetime
    updated_at: datetime
    external: Mapping[str, str] = field(default_factory=dict[str, str])

    def called(self, language: str, now: datetime) -> Contact:
        """As it is once they have been spoken with."""
        return replace(self, language=language, updated_at=now)

    def reached_at(self, number: str, now: datetime) -> Contact:
        """With that number, among those it had. ``Refused`` when there are too many."""
        if number in self.numbers:
            return self
        if len(self.numbers) >= MOST_NUMBERS:
            raise Refused(f"contact {self.id} has {MOST_NUMBERS} numbers already")
        return replace(self, numbers=(*self.numbers, number), updated_at=now)

    def without(self, number: str) -> Contact:
        return replace(self, numbers=tuple(each for each in self.numbers if each != number))


@dataclass(frozen=True, slots=True)
class Found:
    """What another system knows of a phone number: one contact there."""

    external_id: str
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody has that number: a contact is made."""


@dataclass(frozen=True, slots=True)
class Known:
    contact: Contact


@dataclass(frozen=True, slots=True)
class Several:
    """The agent has to say which of them it is, or that it is none."""

    candidates: tuple[Contact, ...]


Match = Unknown | Known | Several


def match(found: Sequence[Contact]) -> Match:
    """The rule: none, one, or several contacts with the caller's number."""
    if not found:
        return Unknown()
    return Known(found[0]) if len(found) == 1 else Several(tuple(found))
