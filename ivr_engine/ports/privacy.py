"""Who wants no texts, and what is deleted when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ivr_engine.domain.opt_outs import Erasure, OptOut


class OptOuts(Protocol):
    """One list for all senders and providers; what has ended stays in it.

    Who was erased is found as well, by the pseudonym.
    """

    def is_opted_out(self, number: str) -> bool: ...

    def standing(self, number: str) -> OptOut | None:
        """The one that stands for that number, locked until the transaction ends."""
        ...

    def add(self, opt_out: OptOut) -> None:
        """``Refused`` when one stands."""
        ...

    def end(self, opt_out: OptOut) -> None:
        """Write who resumed it; ``Refused`` when it has ended before."""
        ...

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[OptOut]:
        """Newest first."""
        ...

    def page(self, after: tuple[datetime, str] | None, limit: int) -> list[OptOut]:
        """Oldest first, those after that moment and id."""
        ...


class Erasures(Protocol):
    """Requests to forget a number. One stays when it is done, by then under the pseudonym."""

    def add(self, erasure: Erasure) -> None: ...

    def save(self, erasure: Erasure) -> None:
        """``Refused(missing)`` when there is none."""
        ...

    def get(self, erasure_id: str) -> Erasure:
        """``Refused(missing)`` when there is none."""
        ...

    def open(self) -> list[Erasure]:
        """Not done yet, oldest first."""
        ...

    def newest(self, limit: int) -> list[Erasure]:
        """Done or not, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Portion:
    """Some rows that are to go, by id, and the files in the media folder that go with them."""

    ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Privacy(Protocol):
    """Deleting, in portions: first the files of a portion, then its rows, so that a crash in between leaves
    rows that lead to the same files again."""

    def pseudonym(self, number: str) -> str: ...

    def under_way(self, number: str) -> str | None:
        """What of that number is going on and must end before it can be deleted."""
        ...

    def messages_of(self, number: str, limit: int) -> Portion: ...

    def tickets_of(self, number: str, limit: int) -> Portion: ...

    def calls_of(self, number: str, limit: int) -> Portion:
        """With the recordings of their talks."""
        ...

    def old_messages(self, before: datetime, limit: int) -> Portion: ...

    def old_media(self, before: datetime, limit: int) -> Portion:
        """Messages that have pictures or videos."""
        ...

    def old_files(self, before: datetime, limit: int) -> Portion:
        """Of tickets, but for recordings of talks, which have a limit of their own."""
        ...

    def old_tickets(self, before: datetime, limit: int) -> Portion:
        """Of talks with nothing recorded that is still kept."""
        ...

    def old_calls(self, before: datetime, limit: int) -> Portion:
        """Ended, with nothing recorded that is still kept."""
        ...

    def drop_messages(self, ids: Sequence[str]) -> int:
        """With what tickets have of them. How many there were, here and below."""
        ...

    def drop_media(self, message_ids: Sequence[str]) -> int: ...

    def drop_files(self, ids: Sequence[str]) -> int: ...

    def drop_tickets(self, ids: Sequence[str]) -> int: ...

    def drop_calls(self, ids: Sequence[str]) -> int:
        """With their events."""
        ...

    def hide_calls(self, ids: Sequence[str], number: str) -> int:
        """They stay to be counted, without the number, and without what the caller said of themselves."""
        ...

    def drop_caller(self, number: str) -> int:
        """What was known from one call to the next, contacts that have no other number."""
        ...

    def rename(self, number: str) -> dict[str, int]:
        """By its pseudonym, in the proofs that have to be kept: consents and opt-outs. How many of each."""
        ...

    def drop_consents(self, before: datetime, limit: int) -> int: ...
