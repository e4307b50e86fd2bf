"""Recordings of talks: made by the telephone system, fetched, kept for a time, and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ivr_engine.errors import Refused


class RecordingStatus(StrEnum):
    """``making`` in the telephone system, going on or over · ``fetched``: the file is ours, to be deleted
    there · ``kept`` · ``expiring``: its file is to be deleted · ``deleted`` · ``empty``: nothing came of
    it."""

    MAKING = "making"
    FETCHED = "fetched"
    KEPT = "kept"
    EXPIRING = "expiring"
    DELETED = "deleted"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkRecording:
    """Both sides of a talk of ``agent``, under the name ``id`` in the telephone system of ``engine``.

    ``size`` in bytes and ``seconds`` are 0 until it is fetched. ``next_attempt_at``: not looked at before.
    """

    id: str
    engine: str
    call_id: str
    agent: str
    started_at: datetime
    status: RecordingStatus = RecordingStatus.MAKING
    size: int = 0
    seconds: float = 0.0
    attempts: int = 0
    next_attempt_at: datetime | None = None

    @property
    def file(self) -> str:
        """Its name in the media folder; ``Refused(missing)`` when it is not there (yet, or any more)."""
        if self.status not in (RecordingStatus.FETCHED, RecordingStatus.KEPT):
            raise Refused(f"recording {self.id} is {self.status}", missing=True)
        return file_name(self.id)


def file_name(recording_id: str) -> str:
    return f"{recording_id}.wav"


def too_many(newest_first: Sequence[TalkRecording], most_bytes: int) -> list[TalkRecording]:
    """Those for which there is no room, the oldest, when all together may have ``most_bytes``."""
    taken, over = 0, list[TalkRecording]()
    for each in newest_first:
        taken += each.size
        if taken > most_bytes:
            over.append(each)
    return over
