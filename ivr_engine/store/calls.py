"""Calls as rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, and_, bindparam, func, select, tuple_

from ivr_engine.domain.callbacks import Callback
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.capacity import Stay
from ivr_engine.domain.consent import Consent, WaitTimeSmsStatus
from ivr_engine.domain.records import differing
from ivr_engine.domain.routing import Routing
from ivr_engine.domain.talk import RecordingAnswer, Talk
from ivr_engine.domain.visit import Visit
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.noted import Noted
from ivr_engine.store.tables import IS_OPEN, calls

_c: Final = calls.c
_encode: Final = msgspec.json.Encoder().encode
_visit: Final = msgspec.json.Decoder(Visit).decode
_callback: Final = msgspec.json.Decoder(Callback).decode
_talk: Final = msgspec.json.Decoder(Talk).decode
_SILENT: Final = Talk()
_routing: Final = msgspec.json.Decoder(Routing).decode
_PLAIN: Final = Routing()
_stay: Final = msgspec.json.Decoder(Stay).decode
_NEW: Final = Stay()
_DERIVED: Final = frozenset({"is_open", "line", "place_at", "calls_back", "flow", "node"})
_ALL: Final = select(*(column for column in _c if column.name not in _DERIVED))

_INSERT: Final = calls.insert()
_UPDATE: Final = calls.update().where(_c.id == bindparam("key"))
_GET: Final = _ALL.where(_c.id == bindparam("key"))
_KNEW: Final = select(_c.id).where(_c.channel_id == bindparam("channel")).limit(1)
_CALLBACKS: Final = _ALL.where(_c.calls_back == bindparam("number")).order_by(_c.started_at, _c.id)
_ON_CHANNEL: Final = _ALL.where(_c.channel_id == bindparam("channel"), IS_OPEN)


def _open(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return _ALL.where(IS_OPEN, *conditions).order_by(_c.started_at, _c.id)


_OPEN: Final = {False: _open(), True: _open(_c.queue == bindparam("queue"))}


def _found(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return _ALL.where(*conditions).order_by(_c.started_at.desc(), _c.id.desc()).limit(bindparam("limit"))


_OF_CALLER: Final = _c.caller == bindparam("caller")
_SEARCH: Final = {
    (False, False): _found(),
    (True, False): _found(_OF_CALLER),
    (False, True): _found(IS_OPEN),
    (True, True): _found(_OF_CALLER, IS_OPEN),
}


def _ahead() -> Select[Any]:
    """Two ranges of one index: whoever has a higher priority, and whoever of the same came first."""
    line = _c.line == bindparam("line")
    priority = bindparam("priority", type_=_c.priority.type)
    place = tuple_(bindparam("place_at", type_=_c.place_at.type), bindparam("key", type_=_c.id.type))
    preferred = select(func.count()).where(and_(line, _c.priority > priority))
    earlier = select(func.count()).where(
        and_(line, _c.priority == priority, tuple_(_c.place_at, _c.id) < place)
    )
    return select(preferred.scalar_subquery() + earlier.scalar_subquery())


_AHEAD: Final = _ahead()
_IN_LINE: Final = select(func.count().label("callers"), func.min(_c.place_at).label("first")).where(
    _c.line == bindparam("line")
)


class CallTable:
    """``ports.Calls``. Of a call that this transaction read (and so locked) only what changed is
    written back."""

    __slots__ = ("_db", "_locked", "_noted")

    def __init__(self, db: Statements, noted: Noted) -> None:
        self._db = db
        self._noted = noted
        self._locked: dict[str, Call] = {}

    def get(self, call_id: str) -> Call:
        row = self._db.row(_GET, {"key": call_id}, lock=True)
        if row is None:
            raise Refused(f"no call {call_id}", missing=True)
        return self._remembered(_call(row))

    def look(self, call_id: str) -> Call | None:
        row = self._db.row(_GET, {"key": call_id})
        return None if row is None else _call(row)

    def open_on(self, channel_id: str) -> Call | None:
        row = self._db.row(_ON_CHANNEL, {"channel": channel_id}, lock=True)
        return None if row is None else self._remembered(_call(row))

    def knew(self, channel_id: str) -> bool:
        return self._db.row(_KNEW, {"channel": channel_id}) is not None

    def add(self, call: Call) -> None:
        self._db.write(_INSERT, _values(call))
        self._noted.call(None, call)
        self._remembered(call)

    def save(self, call: Call) -> None:
        before = self._locked.get(call.id)
        values = _values(call, before)
        if values and not self._db.write(_UPDATE, {"key": call.id, **values}):
            raise Refused(f"no call {call.id}", missing=True)
        self._noted.call(before, call)
        self._remembered(call)

    def open(self, *, queue: str | None = None) -> list[Call]:
        return [_call(row) for row in self._db.rows(_OPEN[queue is not None], {"queue": queue})]

    def ahead(self, call: Call) -> int:
        place = {
            "line": call.queue,
            "priority": call.priority,
            "place_at": call.entered_at or call.started_at,
            "key": call.id,
        }
        return self._db.scalar(_AHEAD, place)

    def callbacks(self, number: str) -> list[Call]:
        values = {"number": number}
        return [self._remembered(_call(row)) for row in self._db.rows(_CALLBACKS, values, lock=True)]

    def in_line(self, queue: str) -> tuple[int, datetime | None]:
        row = self._db.row(_IN_LINE, {"line": queue})
        return (0, None) if row is None else (row.callers, row.first)

    def search(self, *, caller: str | None = None, open_only: bool = False, limit: int = 100) -> list[Call]:
        statement = _SEARCH[caller is not None, open_only]
        return [_call(row) for row in self._db.rows(statement, {"caller": caller, "limit": limit})]

    def _remembered(self, call: Call) -> Call:
        self._locked[call.id] = call
        return call


def _json(value: object) -> str:
    return _encode(value).decode()


def _line(call: Call) -> str | None:
    return call.queue if call.in_line else None


def _calls_back(call: Call) -> str | None:
    return call.callback.number if call.callback and call.is_callback else None


_COLUMNS: Final[dict[str, Callable[[Call], Values]]] = {
    "queue": lambda call: {"queue": call.queue, "line": _line(call)},
    "chapter": lambda call: {
        "chapter": call.chapter.value,
        "is_open": call.chapter is not Chapter.ENDED,
        "line": _line(call),
        "calls_back": _calls_back(call),
    },
    "consent": lambda call: {
        "consent_status": call.consent.status and call.consent.status.value,
        "consent_rounds": call.consent.rounds,
        "consent_wrong_keys": call.consent.wrong_keys,
    },
    "entered_at": lambda call: {
        "entered_at": call.entered_at,
        "place_at": call.entered_at or call.started_at,
    },
    "end_reason": lambda call: {"end_reason": call.end_reason and call.end_reason.value},
    "recording_answer": lambda call: {
        "recording_answer": call.recording_answer and call.recording_answer.value
    },
    "visit": lambda call: {
        "flow": call.visit and call.visit.flow,
        "node": call.visit and call.visit.node,
        "visit": call.visit and _json(call.visit),
    },
    "callback": lambda call: {
        "callback": call.callback and _json(call.callback),
        "calls_back": _calls_back(call),
    },
    "talk": lambda call: {"talk": None if call.talk == _SILENT else _json(call.talk)},
    "routing": lambda call: {"routing": None if call.routing == _PLAIN else _json(call.routing)},
    "stay": lambda call: {"stay": None if call.stay == _NEW else _json(call.stay)},
}
"""What of a call is more than one column, or no column as it stands."""


def _values(call: Call, before: Call | None = None) -> dict[str, Any]:
    """The columns; with ``before``, those of what differs: writing one that an index has costs, and so does
    making thirty that nobody writes."""
    values: dict[str, Any] = {}
    for name, value in differing(call, before):
        columns = _COLUMNS.get(name)
        if columns is None:
            values[name] = value
        else:
            values.update(columns(call))
    return values


def _call(row: Row[Any]) -> Call:
    status = row.consent_status
    return Call(
        id=row.id,
        engine=row.engine,
        channel_id=row.channel_id,
        caller=row.caller,
        number=row.number,
        queue=row.queue,
        language=row.language,
        started_at=row.started_at,
        chapter=Chapter(row.chapter),
        consent=Consent(
            status=None if status is None else WaitTimeSmsStatus(status),
            rounds=row.consent_rounds,
            wrong_keys=row.consent_wrong_keys,
        ),
        priority=row.priority,
        recording_answer=None if row.recording_answer is None else RecordingAnswer(row.recording_answer),
        over_capacity=row.over_capacity,
        entered_at=row.entered_at,
        next_announcement_at=row.next_announcement_at,
        agent=row.agent,
        offer_id=row.offer_id,
        offer_ends_at=row.offer_ends_at,
        ticket_id=row.ticket_id,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        end_reason=None if row.end_reason is None else EndReason(row.end_reason),
        routing=_PLAIN if row.routing is None else _routing(row.routing),
        last_words=row.last_words,
        visit=None if row.visit is None else _visit(row.visit),
        callback=None if row.callback is None else _callback(row.callback),
        talk=_SILENT if row.talk is None else _talk(row.talk),
        stay=_NEW if row.stay is None else _stay(row.stay),
    )
