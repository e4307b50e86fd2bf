"""Requests to forget a number: see ``ports.Erasures``."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, select

from ivr_engine.domain.opt_outs import Erasure, ErasureState
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import erasures

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, int]).decode

_ERASURE: Final = select(erasures).where(erasures.c.id == bindparam("key"))
_OPEN: Final = select(erasures).where(erasures.c.done_at.is_(None)).order_by(erasures.c.at, erasures.c.id)
_NEWEST: Final = (
    select(erasures).order_by(erasures.c.at.desc(), erasures.c.id.desc()).limit(bindparam("limit"))
)
_ADD: Final = erasures.insert()
_SAVE: Final = erasures.update().where(erasures.c.id == bindparam("key"))


class ErasureTable:
    """``ports.Erasures``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, erasure: Erasure) -> None:
        self._db.write(_ADD, {"id": erasure.id, **self._values(erasure)})

    def save(self, erasure: Erasure) -> None:
        if not self._db.write(_SAVE, {"key": erasure.id, **self._values(erasure)}):
            raise _missing(erasure.id)

    def get(self, erasure_id: str) -> Erasure:
        row = self._db.row(_ERASURE, {"key": erasure_id}, lock=True)
        if row is None:
            raise _missing(erasure_id)
        return _erasure(row)

    def open(self) -> list[Erasure]:
        return [_erasure(row) for row in self._db.rows(_OPEN)]

    def newest(self, limit: int) -> list[Erasure]:
        return [_erasure(row) for row in self._db.rows(_NEWEST, {"limit": limit})]

    def _values(self, erasure: Erasure) -> dict[str, Any]:
        return {
            "number": erasure.number,
            "at": erasure.at,
            "actor": erasure.actor,
            "state": erasure.state.value,
            "deleted": self._db.json(_encode, erasure.deleted),
            "waits_for": erasure.waits_for,
            "done_at": erasure.done_at,
        }


def _missing(erasure_id: str) -> Refused:
    return Refused(f"no erasure {erasure_id}", missing=True)


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        id=row.id,
        number=row.number,
        at=row.at,
        actor=row.actor,
        state=ErasureState(row.state),
        deleted=_decode(row.deleted),
        waits_for=row.waits_for,
        done_at=row.done_at,
    )
