"""Contacts as rows, their numbers and what others call them in tables of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, bindparam, select

from ivr_engine.domain.contacts import Contact
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import contact_externals, contact_numbers, contacts, tickets

_c: Final = contacts.c
_n: Final = contact_numbers.c
_x: Final = contact_externals.c

_INSERT: Final = contacts.insert()
_UPDATE: Final = contacts.update().where(_c.id == bindparam("key"))
_DELETE: Final = contacts.delete().where(_c.id == bindparam("key"))
_NO_NUMBERS: Final = contact_numbers.delete().where(_n.contact_id == bindparam("key"))
_NO_EXTERNALS: Final = contact_externals.delete().where(_x.contact_id == bindparam("key"))
_ADD_NUMBER: Final = contact_numbers.insert().inline()
_ADD_EXTERNAL: Final = contact_externals.insert().inline()
_NOBODYS: Final = tickets.update().where(tickets.c.contact_id == bindparam("key"))


def _of(statement: Select[Any], column: ColumnElement[str]) -> dict[bool, Select[Any]]:
    """Of one contact, and of several: a statement whose text depends on how many costs a millisecond more."""
    several = column.in_(bindparam("ids", expanding=True))
    return {True: statement.where(column == bindparam("id")), False: statement.where(several)}


_SOME: Final = _of(select(contacts), _c.id)
_NUMBERS: Final = _of(select(contact_numbers).order_by(_n.contact_id, _n.place), _n.contact_id)
_EXTERNALS: Final = _of(select(contact_externals), _x.contact_id)
_WITH_NUMBER: Final = (
    select(contacts)
    .join(contact_numbers, _n.contact_id == _c.id)
    .where(_n.number == bindparam("number"))
    .order_by(_c.created_at, _c.id)
)
_WITH_EXTERNAL: Final = (
    select(contacts)
    .join(contact_externals, _x.contact_id == _c.id)
    .where(_x.system == bindparam("system"), _x.external_id == bindparam("external"))
    .order_by(_c.created_at, _c.id)
    .limit(1)
)
_SEARCH: Final = select(contacts).order_by(_c.updated_at.desc(), _c.id.desc()).limit(bindparam("limit"))


class ContactTable:
    """``ports.Contacts``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, contact: Contact) -> None:
        self._db.write(_INSERT, {"id": contact.id, "created_at": contact.created_at, **_values(contact)})
        self._add_parts(contact)

    def save(self, contact: Contact) -> None:
        if not self._db.write(_UPDATE, {"key": contact.id, **_values(contact)}):
            raise _no_contact(contact.id)
        self._db.write(_NO_NUMBERS, {"key": contact.id})
        self._db.write(_NO_EXTERNALS, {"key": contact.id})
        self._add_parts(contact)

    def get(self, contact_id: str) -> Contact:
        found = self.some([contact_id])
        if not found:
            raise _no_contact(contact_id)
        return found[0]

    def some(self, contact_ids: Sequence[str]) -> list[Contact]:
        if not contact_ids:
            return []
        rows = self._db.rows(_SOME[len(contact_ids) == 1], _names(contact_ids))
        found = {each.id: each for each in self._whole(rows)}
        return [found[each] for each in contact_ids if each in found]

    def with_number(self, number: str) -> list[Contact]:
        return self._whole(self._db.rows(_WITH_NUMBER, {"number": number}))

    def with_external(self, system: str, external_id: str) -> Contact | None:
        rows = self._db.rows(_WITH_EXTERNAL, {"system": system, "external": external_id})
        return next(iter(self._whole(rows)), None)

    def search(self, limit: int = 100) -> list[Contact]:
        return self._whole(self._db.rows(_SEARCH, {"limit": limit}))

    def remove(self, contact_id: str) -> None:
        self._db.write(_NOBODYS, {"key": contact_id, "contact_id": None})
        if not self._db.write(_DELETE, {"key": contact_id}):
            raise _no_contact(contact_id)

    def forget(self, number: str) -> int:
        having = self.with_number(number)
        for contact in having:
            rest = contact.without(number)
            if rest.numbers:
                self.save(rest)
            else:
                self.remove(contact.id)
        return len(having)

    def _add_parts(self, contact: Contact) -> None:
        numbers = [
            {"contact_id": contact.id, "place": place, "number": number}
            for place, number in enumerate(contact.numbers)
        ]
        externals = [
            {"contact_id": contact.id, "system": system, "external_id": known_as}
            for system, known_as in contact.external.items()
        ]
        if numbers:
            self._db.write_all(_ADD_NUMBER, numbers)
        if externals:
            self._db.write_all(_ADD_EXTERNAL, externals)

    def _whole(self, rows: Sequence[Row[Any]]) -> list[Contact]:
        if not rows:
            return []
        one, ids = len(rows) == 1, _names([row.id for row in rows])
        numbers: dict[str, list[str]] = {row.id: [] for row in rows}
        externals: dict[str, dict[str, str]] = {row.id: {} for row in rows}
        for part in self._db.rows(_NUMBERS[one], ids):
            numbers[part.contact_id].append(part.number)
        for part in self._db.rows(_EXTERNALS[one], ids):
            externals[part.contact_id][part.system] = part.external_id
        return [
            Contact(
                id=row.id,
                name=row.name,
                numbers=tuple(numbers[row.id]),
                language=row.language,
                created_at=row.created_at,
                updated_at=row.updated_at,
                external=externals[row.id],
            )
            for row in rows
        ]


def _names(ids: Sequence[str]) -> dict[str, Any]:
    return {"id": ids[0]} if len(ids) == 1 else {"ids": list(ids)}


def _values(contact: Contact) -> dict[str, Any]:
    return {"name": contact.name, "language": contact.language, "updated_at": contact.updated_at}


def _no_contact(contact_id: str) -> Refused:
    return Refused(f"no contact {contact_id}", missing=True)
