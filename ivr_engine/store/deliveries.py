"""What is to be told to other systems, as rows: an outbox for each adapter, in order within a call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, exists, func, select

from ivr_engine.domain.crm import Backlog, Delivery, Kind
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import crm_cursors, crm_deliveries

_c: Final = crm_deliveries.c
_at: Final = crm_cursors.c
_earlier: Final = crm_deliveries.alias("earlier")

_CURSOR: Final = select(_at.through).where(_at.adapter == bindparam("key"))
_CURSORS: Final = select(_at.adapter).order_by(_at.adapter)
_MOVE: Final = crm_cursors.update().where(_at.adapter == bindparam("key"))
_BEGIN: Final = crm_cursors.insert()
_END: Final = crm_cursors.delete().where(_at.adapter == bindparam("key"))

_MINE: Final = _c.adapter == bindparam("key")
_WAITS: Final = _c.next_attempt_at.is_not(None)
_DEAD: Final = _c.next_attempt_at.is_(None)

_ADD: Final = crm_deliveries.insert().inline()
_FORGOTTEN: Final = crm_deliveries.delete().where(_MINE, _WAITS)
_DUE: Final = (
    select(crm_deliveries)
    .where(
        _MINE,
        _c.next_attempt_at <= bindparam("now"),
        ~exists().where(
            _earlier.c.adapter == _c.adapter,
            _earlier.c.call_id == _c.call_id,
            _earlier.c.serial < _c.serial,
            _earlier.c.next_attempt_at.is_not(None),
        ),
    )
    .order_by(_c.next_attempt_at, _c.serial)
    .limit(bindparam("limit"))
)
_THIS: Final = (_MINE, _c.id == bindparam("delivery"), _c.call_id == bindparam("call"), _WAITS)
_SAVE: Final = crm_deliveries.update().where(*_THIS)
_HURRY: Final = crm_deliveries.update().where(_MINE, _c.next_attempt_at > bindparam("now"))
_DONE: Final = crm_deliveries.delete().where(*_THIS)
_OLDEST: Final = select(_c.at).where(_MINE, _WAITS).order_by(_c.at).limit(1)
_WAITING: Final = select(func.count()).select_from(crm_deliveries).where(_MINE, _WAITS)
_HOW_MANY_DEAD: Final = select(func.count()).select_from(crm_deliveries).where(_MINE, _DEAD)
_LIST: Final = {
    False: select(crm_deliveries).where(_DEAD).order_by(_c.adapter, _c.serial).limit(bindparam("limit")),
    True: select(crm_deliveries).where(_MINE, _DEAD).order_by(_c.serial).limit(bindparam("limit")),
}
_ONE: Final = _c.id == bindparam("delivery")
_REPLAY: Final = {
    (False, False): crm_deliveries.update().where(_DEAD),
    (True, False): crm_deliveries.update().where(_DEAD, _MINE),
    (False, True): crm_deliveries.update().where(_DEAD, _ONE),
    (True, True): crm_deliveries.update().where(_DEAD, _MINE, _ONE),
}
_DROP: Final = crm_deliveries.delete().where(_DEAD, _MINE, _ONE)


class DeliveryTable:
    """``ports.Deliveries``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def cursor(self, adapter: str) -> int | None:
        return self._db.scalar(_CURSOR, {"key": adapter})

    def keep_cursor(self, adapter: str, through: int) -> None:
        if not self._db.write(_MOVE, {"key": adapter, "through": through}):
            self._db.write(_BEGIN, {"adapter": adapter, "through": through})

    def end(self, adapter: str) -> None:
        self._db.write(_END, {"key": adapter})
        self._db.write(_FORGOTTEN, {"key": adapter})

    def adapters(self) -> list[str]:
        return [row.adapter for row in self._db.rows(_CURSORS)]

    def add(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            self._db.write_all(_ADD, [_values(each) for each in deliveries])

    def due(self, adapter: str, now: datetime, limit: int) -> list[Delivery]:
        values = {"key": adapter, "now": now, "limit": limit}
        return [_delivery(row) for row in self._db.rows(_DUE, values)]

    def save(self, delivery: Delivery) -> None:
        self._db.write(
            _SAVE,
            {
                **_name(delivery),
                "attempts": delivery.attempts,
                "next_attempt_at": delivery.next_attempt_at,
                "error": delivery.error,
            },
        )

    def done(self, delivery: Delivery) -> None:
        self._db.write(_DONE, _name(delivery))

    def hurry(self, adapter: str, now: datetime) -> None:
        self._db.write(_HURRY, {"key": adapter, "now": now, "next_attempt_at": now})

    def dead(self, adapter: str | None = None, limit: int = 100) -> list[Delivery]:
        rows = self._db.rows(_LIST[adapter is not None], {"key": adapter, "limit": limit})
        return [_delivery(row) for row in rows]

    def replay(self, now: datetime, adapter: str | None = None, id: str | None = None) -> int:
        values = {"key": adapter, "delivery": id, "attempts": 0, "next_attempt_at": now}
        return self._db.write(_REPLAY[adapter is not None, id is not None], values)

    def drop(self, adapter: str, id: str) -> bool:
        return bool(self._db.write(_DROP, {"key": adapter, "delivery": id}))

    def backlog(self, adapter: str) -> Backlog:
        key = {"key": adapter}
        return Backlog(
            waiting=self._db.scalar(_WAITING, key),
            dead=self._db.scalar(_HOW_MANY_DEAD, key),
            oldest_at=self._db.scalar(_OLDEST, key),
        )


def _name(delivery: Delivery) -> dict[str, Any]:
    return {"key": delivery.adapter, "delivery": delivery.id, "call": delivery.call_id}


def _values(delivery: Delivery) -> dict[str, Any]:
    return {
        "adapter": delivery.adapter,
        "id": delivery.id,
        "call_id": delivery.call_id,
        "event_id": delivery.event_id,
        "kind": delivery.kind.value,
        "subject": delivery.subject,
        "at": delivery.at,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "error": delivery.error,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        adapter=row.adapter,
        call_id=row.call_id,
        event_id=row.event_id,
        kind=Kind(row.kind),
        subject=row.subject,
        at=row.at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        error=row.error,
    )
