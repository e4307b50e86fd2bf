"""Who wants no texts, and what is kept of those who asked to be forgotten."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ivr_engine.domain.numbers import masked
from ivr_engine.domain.records import replace


class How(StrEnum):
    """By which way somebody said it: a text, an agent they told, a program over the API, or the provider,
    who heard it before us."""

    SMS = "sms"
    STAFF = "staff"
    API = "api"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who said it, how and in which words. ``actor``: the agent's name, ``api``, the provider's name; for a
    text the caller."""

    at: datetime
    how: How
    wording: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """One stretch of time in which a number is sent nothing, by any sender and any provider. It stands until
    ``resumed``. ``language``: of the confirmation."""

    id: str
    number: str
    said: Said
    language: str | None = None
    resumed: Said | None = None

    def ended(self, said: Said) -> OptOut:
        """Unchanged when it has ended before."""
        return self if self.resumed else replace(self, resumed=said)


PSEUDONYM: Final = "erased:"
"""How the name begins of a number that was erased."""

Pseudonym = Callable[[str], str]
"""Number → the name under which what must be kept of it stays, once it is erased: the number masked, and a
hash of it that nobody can make without the key. So who was erased and opted out stays opted out."""


def pseudonyms(key: str) -> Pseudonym:
    """``key``: a secret of this installation, the same for all engines on one database."""
    secret = key.encode()

    def pseudonym(number: str) -> str:
        digest = hmac.digest(secret, number.encode("utf-8", "replace"), "sha256").hex()
        return f"{PSEUDONYM}{masked(number)}:{digest[:40]}"

    return pseudonym


class ErasureState(StrEnum):
    """``asked`` · ``waiting``: something of the number is under way · ``done``."""

    ASKED = "asked"
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A number to be forgotten. ``number`` is its pseudonym once that is done. ``deleted``: how many of what,
    so far. ``waits_for``: what is under way and has to end first."""

    id: str
    number: str
    at: datetime
    actor: str
    state: ErasureState = ErasureState.ASKED
    deleted: dict[str, int]
    waits_for: str | None = None
    done_at: datetime | None = None

    def counted(self, **more: int) -> Erasure:
        kinds = {**dict.fromkeys(more, 0), **self.deleted}
        return replace(self, deleted={kind: n + more.get(kind, 0) for kind, n in kinds.items()})
