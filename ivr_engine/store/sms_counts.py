"""How many SMS callers had sent in a day, as rows: a counter each.

Counting is one statement for all counters of an SMS: it adds, and says where that led. On PostgreSQL the rows
stay locked until the commit, and everybody locks them in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import bindparam, select

# SQLite knows the same clause, and is given it as it is: its own class is not understood by PostgreSQL.
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import UpdateBase

from ivr_engine.domain.abuse import Counter, Taken, day_of, taken
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import sms_counts

_c: Final = sms_counts.c
_TODAY: Final = _c.day == bindparam("today")
_OF_COUNTER: Final = select(_c.used).where(_TODAY, _c.counter == bindparam("key"))
_GIVE_BACK: Final = sms_counts.update().where(_TODAY, _c.counter == bindparam("key")).values(used=_c.used - 1)
_HIGH: Final = (
    select(_c.counter, _c.used, _c.at).where(_TODAY, _c.used >= bindparam("least")).order_by(_c.counter)
)
_FORGET: Final = sms_counts.delete().where(_c.day < bindparam("before"))


@cache
def _take(counters: int) -> UpdateBase:
    now = bindparam("now", type_=_c.at.type)  # in a multi-row insert it does not follow from the column
    rows: list[Mapping[str, Any]] = [
        {"day": bindparam("today"), "counter": bindparam(f"key_{n}"), "used": 1, "at": now}
        for n in range(counters)
    ]
    first = insert(sms_counts).values(rows)
    again = first.on_conflict_do_update(
        index_elements=[_c.day, _c.counter], set_={"used": _c.used + 1, "at": first.excluded.at}
    )
    return again.returning(_c.counter, _c.used)


class SmsCountTable:
    """``ports.SmsCounts``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def take(self, counters: tuple[Counter, ...], now: datetime) -> Taken:
        if not counters:
            return Taken(None, ())
        keys = {f"key_{n}": counter.key for n, counter in enumerate(counters)}
        rows = self._db.written(_take(len(counters)), {"today": day_of(now), "now": now, **keys})
        result = taken(counters, {row.counter: row.used for row in rows})
        if result.over is not None:
            for counter in counters:
                self._db.write(_GIVE_BACK, {"today": day_of(now), "key": counter.key})
        return result

    def used(self, counters: tuple[Counter, ...], now: datetime) -> dict[str, int]:
        found = {
            counter.key: self._db.row(_OF_COUNTER, {"today": day_of(now), "key": counter.key})
            for counter in counters
        }
        return {key: 0 if row is None else row.used for key, row in found.items()}

    def high(self, at_least: int, now: datetime) -> dict[str, tuple[int, datetime]]:
        rows = self._db.rows(_HIGH, {"today": day_of(now), "least": at_least})
        return {row.counter: (row.used, row.at) for row in rows}

    def forget(self, before: datetime) -> None:
        self._db.write(_FORGET, {"before": day_of(before)})
