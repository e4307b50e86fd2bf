"""Contacts, and the systems that are told about conversations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from ivr_engine.domain.contacts import Contact, Found
from ivr_engine.domain.crm import Backlog, Delivery, Kind, Posting


class Contacts(Protocol):
    def add(self, contact: Contact) -> None: ...

    def save(self, contact: Contact) -> None:
        """``Refused(missing)`` when there is none."""
        ...

    def get(self, contact_id: str) -> Contact:
        """``Refused(missing)`` when there is none."""
        ...

    def some(self, contact_ids: Sequence[str]) -> list[Contact]:
        """Those of them that are there, in that order."""
        ...

    def with_number(self, number: str) -> list[Contact]:
        """The oldest first."""
        ...

    def with_external(self, system: str, external_id: str) -> Contact | None: ...

    def search(self, limit: int = 100) -> list[Contact]:
        """Last spoken with first."""
        ...

    def remove(self, contact_id: str) -> None:
        """Its tickets stay, and are nobody's. ``Refused(missing)`` when there is none."""
        ...

    def forget(self, number: str) -> int:
        """Take the number from every contact; a contact without another number goes altogether, with its
        name. How many contacts had it."""
        ...


class Deliveries(Protocol):
    """What is to be told to which adapter, and how far each has been told."""

    def cursor(self, adapter: str) -> int | None:
        """The last event of which it has been seen to; ``None`` for an adapter never heard of."""
        ...

    def keep_cursor(self, adapter: str, through: int) -> None: ...

    def end(self, adapter: str) -> None:
        """It is told no more: if it comes back, it begins anew. Its dead letters stay."""
        ...

    def adapters(self) -> list[str]:
        """Those with a cursor."""
        ...

    def add(self, deliveries: Sequence[Delivery]) -> None: ...

    def due(self, adapter: str, now: datetime, limit: int) -> list[Delivery]:
        """Of each call the first that waits, if its time has come."""
        ...

    def save(self, delivery: Delivery) -> None:
        """Attempts, time of the next, error."""
        ...

    def done(self, delivery: Delivery) -> None: ...

    def hurry(self, adapter: str, now: datetime) -> None:
        """What waits for a later try is tried now: the other side is back."""
        ...

    def dead(self, adapter: str | None = None, limit: int = 100) -> list[Delivery]:
        """Given up, oldest first."""
        ...

    def replay(self, now: datetime, adapter: str | None = None, id: str | None = None) -> int:
        """Try dead letters again: all, an adapter's, or one. How many there were."""
        ...

    def drop(self, adapter: str, id: str) -> bool:
        """A dead letter is of no use any more; false when there is none."""
        ...

    def backlog(self, adapter: str) -> Backlog: ...


class Crm(Protocol):
    """A system that is told about conversations: the one built in, or an outside one."""

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> Collection[Kind]:
        """What it is told; nothing else is given to it."""
        ...

    @property
    def at_once(self) -> int:
        """How many postings, of different calls, it is given side by side."""
        ...

    async def post(self, posting: Posting) -> None:
        """Returns once the other side has it for good. The same ``posting.id`` again changes nothing there.

        ``Rejected`` when it will never take this one; any other ``ExternalError``: not now. Ends within a
        deadline of its own.
        """
        ...

    async def close(self) -> None: ...


class ContactDirectory(Protocol):
    """Another system that knows whose a phone number is."""

    @property
    def system(self) -> str:
        """Its name, as contacts keep it beside what it calls them."""
        ...

    async def find(self, number: str) -> list[Found]:
        """``ExternalError`` when it does not answer, or in a way that makes no sense. Ends within a deadline
        of its own."""
        ...

    async def close(self) -> None: ...
