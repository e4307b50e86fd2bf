"""What is kept about phone numbers from one call to the next, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select

from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.tables import callers

_c: Final = callers.c
_INSERT: Final = callers.insert()
_UPDATE: Final = callers.update().where(_c.number == bindparam("key"))
_LANGUAGE: Final = select(_c.language).where(_c.number == bindparam("key"))
_AGENT: Final = select(_c.agent, _c.spoke_at).where(_c.number == bindparam("key"))


class CallerTable:
    """``ports.Callers``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def language(self, number: str) -> str | None:
        row = self._db.row(_LANGUAGE, {"key": number})
        return None if row is None else row.language

    def keep_language(self, number: str, language: str, at: datetime) -> None:
        self._keep(number, {"language": language, "chosen_at": at})

    def last_agent(self, number: str) -> tuple[str, datetime] | None:
        row = self._db.row(_AGENT, {"key": number})
        return None if row is None or row.agent is None else (row.agent, row.spoke_at)

    def keep_agent(self, number: str, agent: str, at: datetime) -> None:
        self._keep(number, {"agent": agent, "spoke_at": at})

    def _keep(self, number: str, values: Values) -> None:
        if not self._db.write(_UPDATE, {"key": number, **values}):
            self._db.write(_INSERT, {"number": number, **values})
