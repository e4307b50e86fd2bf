"""Talks that are recorded, and messages that callers leave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordingAnswered:
    """What the caller was told, or said, about being recorded: as in ``domain.talk.RecordingAnswer``."""

    answer: str
    key: str | None


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """By the staff, in the talk."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """The telephone system did not record; the talk went on."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingKept:
    """It is a file of the ticket now."""

    recording_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordingDropped:
    """There was nothing in it, or it never was."""

    recording_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordingDeleted:
    """``reason``: ``age`` or ``space``."""

    recording_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class VoicemailStarted:
    """The caller's message is recorded from here on."""

    voicemail_id: str


@dataclass(frozen=True, slots=True)
class VoicemailKept:
    """It is a file of the ticket now; ``seconds`` its length."""

    voicemail_id: str
    ticket_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class VoicemailDropped:
    """Nothing was said."""

    voicemail_id: str
    seconds: float


Happening = (
    RecordingAnswered
    | RecordingStarted
    | RecordingStopped
    | RecordingFailed
    | RecordingKept
    | RecordingDropped
    | RecordingDeleted
    | VoicemailStarted
    | VoicemailKept
    | VoicemailDropped
)
