"""Recordings that are to be fetched, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, or_, select

from ivr_engine.domain.tickets import Voicemail
from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.tables import voicemails

_v: Final = voicemails.c
_INSERT: Final = voicemails.insert()
_UPDATE: Final = voicemails.update().where(_v.id == bindparam("key"))
_PUT_OFF: Final = _UPDATE.values(attempts=_v.attempts + 1, next_attempt_at=bindparam("later"))
_DELETE: Final = voicemails.delete().where(_v.id == bindparam("key"))
_IS_DUE: Final = or_(_v.next_attempt_at.is_(None), _v.next_attempt_at <= bindparam("now"))
_DUE: Final = (
    select(voicemails)
    .where(_v.engine == bindparam("engine"), _IS_DUE)
    .order_by(_v.started_at, _v.id)
    .limit(bindparam("limit"))
)


class VoicemailTable:
    """``ports.Voicemails``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, voicemail: Voicemail) -> None:
        self._db.write(_INSERT, {"id": voicemail.id, **_values(voicemail)})

    def save(self, voicemail: Voicemail) -> None:
        self._db.write(_UPDATE, {"key": voicemail.id, **_values(voicemail)})

    def put_off(self, voicemail_id: str, until: datetime) -> None:
        self._db.write(_PUT_OFF, {"key": voicemail_id, "later": until})

    def remove(self, voicemail_id: str) -> None:
        self._db.write(_DELETE, {"key": voicemail_id})

    def due(self, engine: str, now: datetime, limit: int) -> list[Voicemail]:
        rows = self._db.rows(_DUE, {"engine": engine, "now": now, "limit": limit})
        return [_voicemail(row) for row in rows]


def _values(voicemail: Voicemail) -> Values:
    return {
        "engine": voicemail.engine,
        "call_id": voicemail.call_id,
        "started_at": voicemail.started_at,
        "kept": voicemail.kept,
        "attempts": voicemail.attempts,
        "next_attempt_at": voicemail.next_attempt_at,
    }


def _voicemail(row: Row[Any]) -> Voicemail:
    return Voicemail(
        id=row.id,
        engine=row.engine,
        call_id=row.call_id,
        started_at=row.started_at,
        kept=row.kept,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
    )
