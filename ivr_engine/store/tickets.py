"""Tickets as rows, their comments and files in tables of their own, in the order they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, Table, bindparam, select

from ivr_engine.domain.tickets import Comment, Ticket, TicketFile
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.tables import comments, files, tickets

_t: Final = tickets.c
_INSERT: Final = tickets.insert()
_GET: Final = select(tickets).where(_t.id == bindparam("key"))
_LOCK: Final = select(_t.id).where(_t.id == bindparam("key"))


def _found(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    newest = select(tickets).where(*conditions).order_by(_t.opened_at.desc(), _t.id.desc())
    return newest.limit(bindparam("limit"))


_OF_CALLER: Final = _t.caller == bindparam("caller")
_OF_CONTACT: Final = _t.contact_id == bindparam("contact")
_SEARCH: Final = {
    (False, False): _found(),
    (True, False): _found(_OF_CALLER),
    (False, True): _found(_OF_CONTACT),
    (True, True): _found(_OF_CALLER, _OF_CONTACT),
}
_BELONGS_TO: Final = tickets.update().where(_t.id == bindparam("key"))
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[str, ...]).decode


def _parts_of(table: Table) -> dict[bool, Select[Any]]:
    """Of one ticket, and of several: a statement whose text depends on how many costs a millisecond more."""
    of_one = table.c.ticket_id == bindparam("ticket")
    of_several = table.c.ticket_id.in_(bindparam("tickets", expanding=True))
    parts = select(table).order_by(table.c.serial)
    return {True: parts.where(of_one), False: parts.where(of_several)}


def _there(table: Table) -> Select[Any]:
    return select(table.c.id).where(
        table.c.ticket_id == bindparam("ticket"), table.c.source_id == bindparam("source")
    )


_COMMENTS: Final = _parts_of(comments)
_FILES: Final = _parts_of(files)
_COMMENT_THERE: Final = _there(comments)
_FILE_THERE: Final = _there(files)
_DETACH: Final = files.delete().where(
    files.c.ticket_id == bindparam("ticket"), files.c.source_id == bindparam("source")
)
_ADD_COMMENT: Final = comments.insert().inline()
_ADD_FILE: Final = files.insert().inline()


class TicketTable:
    """``ports.Tickets``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, ticket: Ticket) -> None:
        values = {
            "id": ticket.id,
            "call_id": ticket.call_id,
            "caller": ticket.caller,
            "queue": ticket.queue,
            "agent": ticket.agent,
            "language": ticket.language,
            "opened_at": ticket.opened_at,
            "contact_id": ticket.contact_id,
            "candidates": self._db.json(_encode, ticket.candidates) if ticket.candidates else None,
        }
        self._db.write(_INSERT, values)
        if ticket.comments:
            self._db.write_all(_ADD_COMMENT, [_comment_values(ticket.id, one) for one in ticket.comments])
        if ticket.files:
            self._db.write_all(_ADD_FILE, [_file_values(ticket.id, one) for one in ticket.files])

    def get(self, ticket_id: str) -> Ticket:
        rows = self._db.rows(_GET, {"key": ticket_id})
        if not rows:
            raise _no_ticket(ticket_id)
        return self._whole(rows)[0]

    def comment(self, ticket_id: str, comment: Comment) -> None:
        if self._is_new(ticket_id, _COMMENT_THERE, comment.source_id):
            self._db.write(_ADD_COMMENT, _comment_values(ticket_id, comment))

    def attach(self, ticket_id: str, file: TicketFile) -> None:
        if self._is_new(ticket_id, _FILE_THERE, file.source_id):
            self._db.write(_ADD_FILE, _file_values(ticket_id, file))

    def detach(self, ticket_id: str, source_id: str) -> None:
        self._db.write(_DETACH, {"ticket": ticket_id, "source": source_id})

    def belongs_to(self, ticket_id: str, contact_id: str | None, candidates: tuple[str, ...] = ()) -> None:
        written = self._db.json(_encode, candidates) if candidates else None
        values = {"key": ticket_id, "contact_id": contact_id, "candidates": written}
        if not self._db.write(_BELONGS_TO, values):
            raise _no_ticket(ticket_id)

    def search(
        self, *, caller: str | None = None, contact: str | None = None, limit: int = 100
    ) -> list[Ticket]:
        """Newest first."""
        statement = _SEARCH[caller is not None, contact is not None]
        return self._whole(self._db.rows(statement, {"caller": caller, "contact": contact, "limit": limit}))

    def _is_new(self, ticket_id: str, there: Select[Any], source_id: str | None) -> bool:
        # Locked first: of two transactions with the same source, the second must see the first's row.
        if self._db.row(_LOCK, {"key": ticket_id}, lock=True) is None:
            raise _no_ticket(ticket_id)
        if source_id is None:
            return True
        return self._db.row(there, {"ticket": ticket_id, "source": source_id}) is None

    def _whole(self, rows: Sequence[Row[Any]]) -> list[Ticket]:
        if not rows:
            return []
        one = len(rows) == 1
        ids = {"ticket": rows[0].id} if one else {"tickets": [row.id for row in rows]}
        said: dict[str, list[Comment]] = {row.id: [] for row in rows}
        kept: dict[str, list[TicketFile]] = {row.id: [] for row in rows}
        for part in self._db.rows(_COMMENTS[one], ids):
            said[part.ticket_id].append(_comment(part))
        for part in self._db.rows(_FILES[one], ids):
            kept[part.ticket_id].append(_file(part))
        return [_ticket(row, said[row.id], kept[row.id]) for row in rows]


def _no_ticket(ticket_id: str) -> Refused:
    return Refused(f"no ticket {ticket_id}", missing=True)


def _comment_values(ticket_id: str, comment: Comment) -> Values:
    return {
        "ticket_id": ticket_id,
        "id": comment.id,
        "at": comment.at,
        "author": comment.author,
        "text": comment.text,
        "source_id": comment.source_id,
    }


def _file_values(ticket_id: str, file: TicketFile) -> Values:
    return {
        "ticket_id": ticket_id,
        "id": file.id,
        "at": file.at,
        "file": file.file,
        "content_type": file.content_type,
        "size": file.size,
        "source_id": file.source_id,
    }


def _comment(row: Row[Any]) -> Comment:
    return Comment(id=row.id, at=row.at, author=row.author, text=row.text, source_id=row.source_id)


def _file(row: Row[Any]) -> TicketFile:
    return TicketFile(
        id=row.id,
        at=row.at,
        file=row.file,
        content_type=row.content_type,
        size=row.size,
        source_id=row.source_id,
    )


def _ticket(row: Row[Any], said: Sequence[Comment], kept: Sequence[TicketFile]) -> Ticket:
    return Ticket(
        id=row.id,
        call_id=row.call_id,
        caller=row.caller,
        queue=row.queue,
        agent=row.agent,
        language=row.language,
        opened_at=row.opened_at,
        comments=tuple(said),
        files=tuple(kept),
        contact_id=row.contact_id,
        candidates=_decode(row.candidates) if row.candidates else (),
    )
