"""Recordings of talks as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, or_, select

from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.tables import recordings

_r: Final = recordings.c
_INSERT: Final = recordings.insert()
_UPDATE: Final = recordings.update().where(_r.id == bindparam("key"))
_GET: Final = select(recordings).where(_r.id == bindparam("key"))
_OF_CALL: Final = select(recordings).where(_r.call_id == bindparam("call")).order_by(_r.started_at, _r.id)
_DUE: Final = (
    select(recordings)
    .where(
        _r.engine == bindparam("engine"),
        _r.status == bindparam("status"),
        or_(_r.next_attempt_at.is_(None), _r.next_attempt_at <= bindparam("now")),
    )
    .order_by(_r.started_at, _r.id)
    .limit(bindparam("limit"))
)
_WITH_STATUS: Final = (
    select(recordings).where(_r.status == bindparam("status")).order_by(_r.started_at.desc(), _r.id.desc())
)


class RecordingTable:
    """``ports.TalkRecordings``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def add(self, recording: TalkRecording) -> None:
        self._db.write(_INSERT, {"id": recording.id, **_values(recording)})

    def save(self, recording: TalkRecording) -> None:
        self._db.write(_UPDATE, {"key": recording.id, **_values(recording)})

    def get(self, recording_id: str) -> TalkRecording:
        row = self._db.row(_GET, {"key": recording_id}, lock=True)
        if row is None:
            raise Refused(f"no recording {recording_id}", missing=True)
        return _recording(row)

    def of_call(self, call_id: str) -> list[TalkRecording]:
        return [_recording(row) for row in self._db.rows(_OF_CALL, {"call": call_id})]

    def due(self, engine: str, status: RecordingStatus, now: datetime, limit: int) -> list[TalkRecording]:
        wanted = {"engine": engine, "status": status.value, "now": now, "limit": limit}
        return [_recording(row) for row in self._db.rows(_DUE, wanted)]

    def with_status(self, status: RecordingStatus) -> list[TalkRecording]:
        return [_recording(row) for row in self._db.rows(_WITH_STATUS, {"status": status.value})]


def _values(recording: TalkRecording) -> Values:
    return {
        "engine": recording.engine,
        "call_id": recording.call_id,
        "agent": recording.agent,
        "started_at": recording.started_at,
        "status": recording.status.value,
        "size": recording.size,
        "seconds": recording.seconds,
        "attempts": recording.attempts,
        "next_attempt_at": recording.next_attempt_at,
    }


def _recording(row: Row[Any]) -> TalkRecording:
    return TalkRecording(
        id=row.id,
        engine=row.engine,
        call_id=row.call_id,
        agent=row.agent,
        started_at=row.started_at,
        status=RecordingStatus(row.status),
        size=row.size,
        seconds=row.seconds,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
    )
