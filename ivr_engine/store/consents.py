"""The consent ledger as rows: added and read, never changed."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, select

from ivr_engine.domain.consent import ConsentRecord, WaitTimeSmsStatus
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import consents

_c: Final = consents.c
_INSERT: Final = consents.insert()


def _found(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    newest = select(consents).where(*conditions).order_by(_c.at.desc(), _c.id.desc())
    return newest.limit(bindparam("limit"))


_SEARCH: Final = {False: _found(), True: _found(_c.number == bindparam("number"))}


class ConsentTable:
    """``ports.Consents``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, record: ConsentRecord) -> None:
        values = {
            "id": record.id,
            "at": record.at,
            "call_id": record.call_id,
            "number": record.number,
            "queue": record.queue,
            "language": record.language,
            "wording": record.wording,
            "wording_version": record.wording_version,
            "audio_hash": record.audio_hash,
            "key": record.key,
            "outcome": record.outcome.value,
            "purpose": record.purpose,
        }
        self._db.write(_INSERT, values)

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[ConsentRecord]:
        statement = _SEARCH[number is not None]
        return [_record(row) for row in self._db.rows(statement, {"number": number, "limit": limit})]


def _record(row: Row[Any]) -> ConsentRecord:
    return ConsentRecord(
        id=row.id,
        at=row.at,
        call_id=row.call_id,
        number=row.number,
        queue=row.queue,
        language=row.language,
        wording=row.wording,
        wording_version=row.wording_version,
        audio_hash=row.audio_hash,
        key=row.key,
        outcome=WaitTimeSmsStatus(row.outcome),
        purpose=row.purpose,
    )
