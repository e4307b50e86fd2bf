"""What is kept about phone numbers from one call to the next, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import callers

_c: Final = callers.c
_INSERT: Final = callers.insert()
_UPDATE: Final = callers.update().where(_c.number == bindparam("key"))
_LANGUAGE: Final = select(_c.language).where(_c.number == bindparam("key"))


class CallerTable:
    """``ports.Callers``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def language(self, number: str) -> str | None:
        row = self._db.row(_LANGUAGE, {"key": number})
        return None if row is None else row.language

    def keep_language(self, number: str, language: str, at: datetime) -> None:
        values = {"language": language, "chosen_at": at}
        if not self._db.write(_UPDATE, {"key": number, **values}):
            self._db.write(_INSERT, {"number": number, **values})
