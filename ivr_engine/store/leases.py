"""Leases as rows: a conditional update decides who has one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, or_, select

from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import leases

_c: Final = leases.c
_INSERT: Final = leases.insert()
_TAKE: Final = leases.update().where(
    _c.name == bindparam("key"), or_(_c.holder == bindparam("taker"), _c.until < bindparam("now"))
)
_THERE: Final = select(_c.name).where(_c.name == bindparam("key"))
_GIVE_BACK: Final = leases.delete().where(_c.name == bindparam("key"), _c.holder == bindparam("taker"))


class LeaseTable:
    """``ports.Leases``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def take(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        values = {"key": name, "taker": holder, "now": now, "holder": holder, "until": until}
        if self._db.write(_TAKE, values):
            return True
        if self._db.row(_THERE, {"key": name}) is not None:
            return False
        self._db.write(_INSERT, {"name": name, "holder": holder, "until": until})
        return True

    def give_back(self, name: str, holder: str) -> None:
        self._db.write(_GIVE_BACK, {"key": name, "taker": holder})
