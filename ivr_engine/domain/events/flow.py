"""What a caller did in the menus, and where a flow led to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeReached:
    """The flow led the caller to a node."""

    flow: str
    node: str


@dataclass(frozen=True, slots=True)
class KeyChosen:
    """A key of a menu that leads somewhere."""

    node: str
    key: str


@dataclass(frozen=True, slots=True)
class NothingPressed:
    """Silence where a key was asked for."""

    node: str


@dataclass(frozen=True, slots=True)
class MenuGivenUp:
    """``limit`` as in ``domain.menu.Limit``."""

    node: str
    limit: str


@dataclass(frozen=True, slots=True)
class LanguageChosen:
    language: str


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Another system was asked: ``answered`` or ``failed``. What it said is not repeated here."""

    node: str
    outcome: str


@dataclass(frozen=True, slots=True)
class TransferRefused:
    """``reason`` as in ``domain.dialling.NotDialled``."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransferStarted:
    number: str


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """``reason`` as in ``ports.DialResult``."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallTransferred:
    number: str


@dataclass(frozen=True, slots=True)
class QueueClosed:
    """The caller was led to a queue outside its hours."""

    queue: str


Happening = (
    NodeReached
    | KeyChosen
    | NothingPressed
    | MenuGivenUp
    | LanguageChosen
    | LookedUp
    | TransferRefused
    | TransferStarted
    | TransferFailed
    | CallTransferred
    | QueueClosed
)
