"""What the wait estimates were read off the events so far, as one row: a start need not read all again."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import bindparam, select

from ivr_engine.domain.wait_watch import WaitWatch
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import wait_watch

_KEY: Final = 1
_GET: Final = select(wait_watch.c.state).where(wait_watch.c.id == bindparam("key"))
_INSERT: Final = wait_watch.insert()
_UPDATE: Final = wait_watch.update().where(wait_watch.c.id == bindparam("key"))
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(WaitWatch).decode


class WaitTable:
    """``ports.Waits``. A row that another version of this program wrote counts as none."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def load(self) -> WaitWatch | None:
        state = self._db.scalar(_GET, {"key": _KEY})
        try:
            return None if state is None else _decode(state)
        except msgspec.DecodeError:
            return None

    def save(self, watch: WaitWatch) -> None:
        state = _encode(watch).decode()
        if not self._db.write(_UPDATE, {"key": _KEY, "state": state}):
            self._db.write(_INSERT, {"id": _KEY, "state": state})
