"""Signs of life of the engines, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import engines

_c: Final = engines.c
_INSERT: Final = engines.insert()
_UPDATE: Final = engines.update().where(_c.name == bindparam("key"))
_ALL: Final = select(engines)


class EngineTable:
    """``ports.Engines``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def lives(self, name: str, at: datetime) -> None:
        if not self._db.write(_UPDATE, {"key": name, "seen_at": at}):
            self._db.write(_INSERT, {"name": name, "seen_at": at})

    def last_signs(self) -> dict[str, datetime]:
        return {row.name: row.seen_at for row in self._db.rows(_ALL)}
