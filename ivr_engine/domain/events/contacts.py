"""Which contact a conversation belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContactIdentified:
    """``how``: ``created`` (nobody had the number), ``updated`` (one contact has it), ``chosen`` by staff."""

    contact_id: str
    how: str


@dataclass(frozen=True, slots=True)
class ContactUnclear:
    """Several contacts have the number: somebody is to say which it is."""

    candidates: int


Happening = ContactIdentified | ContactUnclear
