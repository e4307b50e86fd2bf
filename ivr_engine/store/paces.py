"""How fast each sender goes, as rows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from ivr_engine.domain.pace import SenderPace
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import sender_paces

_c: Final = sender_paces.c
_GET: Final = select(sender_paces).where(_c.sender == bindparam("key"))
_TURN: Final = select(_c.turn).where(_c.sender == bindparam("key"))
_INSERT: Final = sender_paces.insert()
_UPDATE: Final = sender_paces.update().where(_c.sender == bindparam("key"))


class PaceTable:
    """``ports.SenderPaces``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def get(self, sender: str) -> SenderPace | None:
        row = self._db.row(_GET, {"key": sender}, lock=True)
        return None if row is None else SenderPace(row.sender, row.free_at, row.turn)

    def turn(self, sender: str) -> float:
        return self._db.scalar(_TURN, {"key": sender}) or 0.0

    def save(self, pace: SenderPace) -> None:
        values = {"free_at": pace.free_at, "turn": pace.turn}
        if not self._db.write(_UPDATE, {"key": pace.sender, **values}):
            self._db.write(_INSERT, {"sender": pace.sender, **values})
