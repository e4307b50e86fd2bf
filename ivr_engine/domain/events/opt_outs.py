"""Who wants no texts, and what is deleted. No event holds the number itself: the list does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OptedOut:
    """``how`` as in ``opt_outs.How``; ``actor``: who said it."""

    opt_out_id: str
    how: str
    actor: str


@dataclass(frozen=True, slots=True)
class OptOutEnded:
    """Texts are sent again."""

    opt_out_id: str
    how: str
    actor: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """A consent of the ledger was taken back: ``consent_id`` is the line that says so."""

    consent_id: str
    how: str
    actor: str


@dataclass(frozen=True, slots=True)
class HelpAsked:
    message_id: str


@dataclass(frozen=True, slots=True)
class ProofsExported:
    """``what``: ``consents`` or ``opt_outs``; of one number, or all."""

    what: str
    of_one_number: bool
    actor: str


@dataclass(frozen=True, slots=True)
class ErasureAsked:
    erasure_id: str
    actor: str


@dataclass(frozen=True, slots=True)
class NumberErased:
    """``deleted``: how many of what."""

    erasure_id: str
    deleted: dict[str, int]


@dataclass(frozen=True, slots=True)
class RetentionApplied:
    """What was too old has been deleted: how many of what."""

    deleted: dict[str, int]


Happening = (
    OptedOut
    | OptOutEnded
    | ConsentWithdrawn
    | HelpAsked
    | ProofsExported
    | ErasureAsked
    | NumberErased
    | RetentionApplied
)
