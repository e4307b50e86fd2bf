"""The consent ledger as rows: added and read, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, and_, bindparam, or_, select

from ivr_engine.domain.consent import ConsentRecord, WaitTimeSmsStatus, Withdrawal
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import consents

_c: Final = consents.c
_INSERT: Final = consents.insert()


def _found(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    newest = select(consents).where(*conditions).order_by(_c.at.desc(), _c.id.desc())
    return newest.limit(bindparam("limit"))


_EITHER: Final = or_(_c.number == bindparam("number"), _c.number == bindparam("known_as"))
_SEARCH: Final = {False: _found(), True: _found(_EITHER)}
_GIVEN: Final = (
    select(consents)
    .where(
        _EITHER,
        _c.purpose == bindparam("purpose"),
        _c.outcome.in_([WaitTimeSmsStatus.ALLOWED.value, Withdrawal.WITHDRAWN.value]),
    )
    .order_by(_c.at.desc(), _c.id.desc())
    .limit(1)
)
_LATER: Final = (
    _c.at >= bindparam("at"),
    or_(_c.at > bindparam("at"), and_(_c.at == bindparam("at"), _c.id > bindparam("last"))),
)


def _page(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return select(consents).where(*conditions).order_by(_c.at, _c.id).limit(bindparam("limit"))


_PAGE: Final = {
    (False, False): _page(),
    (False, True): _page(_EITHER),
    (True, False): _page(*_LATER),
    (True, True): _page(*_LATER, _EITHER),
}
_OUTCOMES: Final = {outcome.value: outcome for outcome in (*WaitTimeSmsStatus, *Withdrawal)}


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
            "how": record.how,
            "actor": record.actor,
        }
        self._db.write(_INSERT, values)

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[ConsentRecord]:
        values = {"limit": limit, **({} if number is None else self._names(number))}
        return [_record(row) for row in self._db.rows(_SEARCH[number is not None], values)]

    def given(self, number: str, purpose: str) -> ConsentRecord | None:
        row = self._db.row(_GIVEN, {**self._names(number), "purpose": purpose})
        last = None if row is None else _record(row)
        return last if last is not None and last.outcome is WaitTimeSmsStatus.ALLOWED else None

    def page(
        self, after: tuple[datetime, str] | None, limit: int, *, number: str | None = None
    ) -> list[ConsentRecord]:
        values: dict[str, Any] = {"limit": limit}
        if after is not None:
            values |= {"at": after[0], "last": after[1]}
        if number is not None:
            values |= self._names(number)
        return [_record(row) for row in self._db.rows(_PAGE[after is not None, number is not None], values)]

    def _names(self, number: str) -> dict[str, Any]:
        return {"number": number, "known_as": self._db.pseudonym(number)}


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
        outcome=_OUTCOMES[row.outcome],
        purpose=row.purpose,
        how=row.how,
        actor=row.actor,
    )
