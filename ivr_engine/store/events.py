"""Events as rows: the kind by name, the rest as JSON, so that a new kind needs no migration."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any, Final, get_args

import msgspec
from sqlalchemy import Row, Select, String, bindparam, func, literal_column, select

from ivr_engine.domain.events import Event, Happening, Unrecognised
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import calls, events

_c: Final = events.c
_INSERT: Final = events.insert().inline()
_OF_CALL: Final = select(events).where(_c.call_id == bindparam("call")).order_by(_c.id)
_UNTIL: Final = _c.id <= bindparam("until")
_AFTER: Final = (
    select(events).where(_c.id > bindparam("last"), _UNTIL).order_by(_c.id).limit(bindparam("limit"))
)


_HAS_TICKET: Final = (
    select(calls.c.id).where(calls.c.id == _c.call_id, calls.c.ticket_id.is_not(None)).exists()
)


@cache
def _after(kinds: frozenset[type[Happening]], *, ticketed: bool) -> Select[Any]:
    """Only those kinds; none given: all."""
    found = _AFTER.where(_HAS_TICKET) if ticketed else _AFTER
    if not kinds:
        return found
    written = sorted(_KINDS[kind] for kind in kinds)
    names = [literal_column(f"'{name}'", String) for name in written]
    return found.where(_c.kind.in_(names))


_NEWEST: Final = select(func.max(_c.id)).where(_UNTIL)


def kind_of(happening: type[Happening]) -> str:
    """``ConsentGiven`` is stored as ``consent_given``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", happening.__name__).lower()


_KINDS: Final[dict[type[Happening], str]] = {cls: kind_of(cls) for cls in get_args(Happening)}
_encode: Final = msgspec.json.Encoder().encode
_DECODERS: Final = {kind: msgspec.json.Decoder(cls) for cls, kind in _KINDS.items()}


class EventTable:
    """``ports.Events``. Whoever reads on from the newest event they saw misses none: also where ids
    become visible out of order."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, at: datetime, call_id: str | None, *happenings: Happening) -> None:
        rows = [
            {"at": at, "call_id": call_id, "kind": _KINDS[type(one)], "data": self._db.json(_encode, one)}
            for one in happenings
        ]
        if rows:
            self._db.insert_later(_INSERT, rows)

    def of_call(self, call_id: str) -> list[Event]:
        self._db.write_later()
        return [_event(row) for row in self._db.rows(_OF_CALL, {"call": call_id})]

    def after(
        self,
        event_id: int,
        limit: int = 1000,
        *,
        kinds: frozenset[type[Happening]] = frozenset(),
        ticketed: bool = False,
    ) -> list[Event]:
        self._db.write_later()
        values = {"last": event_id, "until": self._db.events_until(), "limit": limit}
        return [_event(row) for row in self._db.rows(_after(kinds, ticketed=ticketed), values)]

    def newest_id(self) -> int:
        self._db.write_later()
        return self._db.scalar(_NEWEST, {"until": self._db.events_until()}) or 0


def _event(row: Row[Any]) -> Event:
    return Event(id=row.id, at=row.at, call_id=row.call_id, kind=row.kind, what=_what(row.kind, row.data))


def _what(kind: str, data: str) -> Happening | Unrecognised:
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return Unrecognised(data)
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:  # also raised for fields that do not fit
        return Unrecognised(data)
