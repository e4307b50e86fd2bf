"""Deleting what is too old, and what is known of a number that is to be forgotten: in portions, by id.

Nothing else deletes a consent: a trigger lets only those go that the gate names, and the gate is open within
the one transaction that deletes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BindParameter, ColumnElement, Row, Select, Table, bindparam, exists, func, select

from ivr_engine.domain.abuse import Cap
from ivr_engine.domain.messages import Media, MessageStatus
from ivr_engine.domain.recordings import RecordingStatus, file_name
from ivr_engine.domain.tickets import comment_id, file_id
from ivr_engine.ports.privacy import Portion
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import (
    HAS_PENDING_MEDIA,
    IS_OPEN,
    callers,
    calls,
    comments,
    consents,
    contact_numbers,
    contacts,
    events,
    files,
    ledger_gate,
    messages,
    opt_outs,
    recordings,
    sms_counts,
    tickets,
    voicemails,
)

_media: Final = msgspec.json.Decoder(tuple[Media, ...]).decode


def _value(name: str, *, many: bool = False) -> BindParameter[Any]:
    return bindparam(name, expanding=many)


_NUMBER: Final = _value("number")
_BEFORE: Final = _value("before")
_LIMIT: Final = _value("limit")
_IDS: Final = _value("ids", many=True)

# ── what is meant ────────────────────────────────────────────────────────────────────────────────────

_NOT_SETTLED: Final = messages.c.status.in_([MessageStatus.SENDING.value, MessageStatus.UNSETTLED.value])
_STILL_A_FILE: Final = recordings.c.status.in_(
    [
        status.value
        for status in RecordingStatus
        if status not in (RecordingStatus.DELETED, RecordingStatus.EMPTY)
    ]
)
_STILL_MADE: Final = recordings.c.status.in_([RecordingStatus.MAKING.value, RecordingStatus.FETCHED.value])
_CALLED: Final = calls.c.caller == _NUMBER


def _messages(*conditions: ColumnElement[bool]) -> Select[Any, Any]:
    return select(messages.c.id, messages.c.media).where(*conditions, ~_NOT_SETTLED).limit(_LIMIT)


_OF_NUMBER: Final = (
    _messages(messages.c.recipient == _NUMBER),
    _messages(messages.c.sender == _NUMBER),
)
_OLD_MESSAGES: Final = _messages(messages.c.created_at < _BEFORE)
_OLD_MEDIA: Final = _messages(messages.c.created_at < _BEFORE, messages.c.media.is_not(None))
_TICKETS: Final = select(tickets.c.id).where(tickets.c.caller == _NUMBER).limit(_LIMIT)
_OLD_TICKETS: Final = (
    select(tickets.c.id)
    .where(
        tickets.c.opened_at < _BEFORE,
        ~exists().where(recordings.c.call_id == tickets.c.call_id, _STILL_A_FILE),
    )
    .limit(_LIMIT)
)
_OLD_FILES: Final = (
    select(files.c.id, files.c.file)
    .where(files.c.at < _BEFORE, ~exists().where(recordings.c.id == files.c.source_id, _STILL_A_FILE))
    .limit(_LIMIT)
)
_CALLS: Final = select(calls.c.id).where(_CALLED, ~IS_OPEN).limit(_LIMIT)
_OLD_CALLS: Final = (
    select(calls.c.id)
    .where(
        calls.c.started_at < _BEFORE,
        ~IS_OPEN,
        ~exists().where(recordings.c.call_id == calls.c.id, _STILL_A_FILE),
    )
    .limit(_LIMIT)
)
_FILES_OF: Final = select(files.c.file).where(files.c.ticket_id.in_(_IDS))
_RECORDINGS_OF: Final = select(recordings.c.id).where(recordings.c.call_id.in_(_IDS), _STILL_A_FILE)
_MEDIA_OF: Final = select(messages.c.media).where(messages.c.id.in_(_IDS), messages.c.media.is_not(None))

_UNDER_WAY: Final = (
    ("a call", select(calls.c.id).where(_CALLED, IS_OPEN).limit(1)),
    ("a message", select(messages.c.id).where(messages.c.recipient == _NUMBER, _NOT_SETTLED).limit(1)),
    ("a picture", select(messages.c.id).where(messages.c.sender == _NUMBER, HAS_PENDING_MEDIA).limit(1)),
    (
        "a recording",
        select(recordings.c.id)
        .join(calls, calls.c.id == recordings.c.call_id)
        .where(_CALLED, _STILL_MADE)
        .limit(1),
    ),
    (
        "a voicemail",
        select(voicemails.c.id).join(calls, calls.c.id == voicemails.c.call_id).where(_CALLED).limit(1),
    ),
)


def _delete(table: Table, column: str) -> Any:  # noqa: ANN401 - a statement
    return table.delete().where(table.c[column].in_(_IDS))


_DROP_MESSAGES: Final = messages.delete().where(messages.c.id.in_(_IDS), ~_NOT_SETTLED)
"""One that has been taken in hand since it was found stays until it is settled."""
_DROP_RECORDINGS: Final = (
    recordings.update().where(recordings.c.call_id.in_(_IDS)).values(status=RecordingStatus.DELETED.value)
)
_HIDE_CALLS: Final = (
    calls.update()
    .where(calls.c.id.in_(_IDS))
    .values(caller=None, calls_back=None, visit=None, callback=None, talk=None)
)
_HIDE_EVENTS: Final = (
    events.update()
    .where(events.c.call_id.in_(_IDS))
    .values(data=func.replace(events.c.data, _NUMBER, bindparam("known_as")))
)
_CONTACTS: Final = select(contact_numbers.c.contact_id).where(contact_numbers.c.number == _NUMBER)
_OTHERS: Final = select(contact_numbers.c.contact_id).where(
    contact_numbers.c.contact_id.in_(_IDS), contact_numbers.c.number != _NUMBER
)
_NOBODYS: Final = tickets.update().where(tickets.c.contact_id.in_(_IDS)).values(contact_id=None)
_OLD_CONSENTS: Final = select(consents.c.id).where(consents.c.at < _BEFORE).limit(_LIMIT)


class PrivacyTable:
    """``ports.Privacy``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    # ── what there is ────────────────────────────────────────────────────────────────────────────

    def pseudonym(self, number: str) -> str:
        return self._db.pseudonym(number)

    def under_way(self, number: str) -> str | None:
        waits = (what for what, query in _UNDER_WAY if self._db.row(query, {"number": number}) is not None)
        return next(waits, None)

    def messages_of(self, number: str, limit: int) -> Portion:
        for query in _OF_NUMBER:
            if rows := self._db.rows(query, {"number": number, "limit": limit}):
                return _with_media(rows)
        return Portion()

    def old_messages(self, before: datetime, limit: int) -> Portion:
        return _with_media(self._db.rows(_OLD_MESSAGES, {"before": before, "limit": limit}))

    def old_media(self, before: datetime, limit: int) -> Portion:
        return _with_media(self._db.rows(_OLD_MEDIA, {"before": before, "limit": limit}))

    def tickets_of(self, number: str, limit: int) -> Portion:
        return self._with_files(self._ids(_TICKETS, number=number, limit=limit))

    def old_tickets(self, before: datetime, limit: int) -> Portion:
        return self._with_files(self._ids(_OLD_TICKETS, before=before, limit=limit))

    def old_files(self, before: datetime, limit: int) -> Portion:
        rows = self._db.rows(_OLD_FILES, {"before": before, "limit": limit})
        return Portion(tuple(row.id for row in rows), tuple(row.file for row in rows))

    def calls_of(self, number: str, limit: int) -> Portion:
        ids = self._ids(_CALLS, number=number, limit=limit)
        kept = self._db.rows(_RECORDINGS_OF, {"ids": ids}) if ids else ()
        return Portion(ids, tuple(file_name(row.id) for row in kept))

    def old_calls(self, before: datetime, limit: int) -> Portion:
        return Portion(self._ids(_OLD_CALLS, before=before, limit=limit))

    def _ids(self, query: Select[Any], **values: object) -> tuple[str, ...]:
        return tuple(row.id for row in self._db.rows(query, values))

    def _with_files(self, ids: tuple[str, ...]) -> Portion:
        kept = self._db.rows(_FILES_OF, {"ids": ids}) if ids else ()
        return Portion(ids, tuple(row.file for row in kept))

    # ── away with it ─────────────────────────────────────────────────────────────────────────────

    def drop_messages(self, ids: Sequence[str]) -> int:
        self.drop_media(ids)
        self._gone(comments, "id", [comment_id(one) for one in ids])
        return self._db.write(_DROP_MESSAGES, {"ids": list(ids)}) if ids else 0

    def drop_media(self, message_ids: Sequence[str]) -> int:
        rows = self._db.rows(_MEDIA_OF, {"ids": list(message_ids)}) if message_ids else ()
        media = [one.id for row in rows for one in _media(row.media)]
        self._gone(files, "id", [file_id(one) for one in media])
        if rows:
            without = messages.update().where(messages.c.id.in_(_IDS)).values(media=None, media_pending=False)
            self._db.write(without, {"ids": list(message_ids)})
        return len(media)

    def drop_files(self, ids: Sequence[str]) -> int:
        return self._gone(files, "id", ids)

    def drop_tickets(self, ids: Sequence[str]) -> int:
        for part in (comments, files):
            self._gone(part, "ticket_id", ids)
        return self._gone(tickets, "id", ids)

    def drop_calls(self, ids: Sequence[str]) -> int:
        for part in (events, recordings):
            self._gone(part, "call_id", ids)
        return self._gone(calls, "id", ids)

    def hide_calls(self, ids: Sequence[str], number: str) -> int:
        if not ids:
            return 0
        some = {"ids": list(ids)}
        self._db.write(_DROP_RECORDINGS, some)
        self._db.write_later()
        known_as = self.pseudonym(number)
        self._db.write(_HIDE_EVENTS, {**some, "number": number, "known_as": known_as})
        return self._db.write(_HIDE_CALLS, some)

    def drop_caller(self, number: str) -> int:
        counted = {"number": f"{Cap.NUMBER}:{number}"}
        self._db.write(sms_counts.delete().where(sms_counts.c.counter == _NUMBER), counted)
        gone = self._db.write(callers.delete().where(callers.c.number == _NUMBER), {"number": number})
        theirs = [row.contact_id for row in self._db.rows(_CONTACTS, {"number": number})]
        if theirs:
            shared = {row.contact_id for row in self._db.rows(_OTHERS, {"ids": theirs, "number": number})}
            without = contact_numbers.delete().where(contact_numbers.c.number == _NUMBER)
            self._db.write(without, {"number": number})
            theirs = [one for one in theirs if one not in shared]
            self._db.write(_NOBODYS, {"ids": theirs})
            gone += self._gone(contacts, "id", theirs)
        return gone

    def rename(self, number: str) -> dict[str, int]:
        known_as = self.pseudonym(number)
        renamed: dict[str, int] = {}
        for kind, table in (("consents", consents), ("opt_outs", opt_outs)):
            statement = table.update().where(table.c.number == bindparam("old"))
            renamed[kind] = self._db.write(statement, {"old": number, "number": known_as})
        return renamed

    def drop_consents(self, before: datetime, limit: int) -> int:
        ids = self._ids(_OLD_CONSENTS, before=before, limit=limit)
        if not ids:
            return 0
        self._db.write(ledger_gate.insert(), {"id": 1, "consents_before": before})
        gone = self._gone(consents, "id", ids)
        self._db.write(ledger_gate.delete(), {})
        return gone

    def _gone(self, table: Table, column: str, ids: Sequence[str]) -> int:
        return self._db.write(_delete(table, column), {"ids": list(ids)}) if ids else 0


def _with_media(rows: Iterable[Row[Any]]) -> Portion:
    rows = list(rows)
    kept = [one.file for row in rows if row.media for one in _media(row.media) if one.file is not None]
    return Portion(tuple(row.id for row in rows), tuple(kept))
