"""What callers were asked and said about texts, and what became of the texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsentAsked:
    """A round of the question, by its number."""

    round: int
    queue: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class ConsentNotOffered:
    """``reason`` as in ``NotOffered``."""

    reason: str
    queue: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class WrongKeyPressed:
    key: str


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """``outcome`` as in ``WaitTimeSmsStatus``."""

    outcome: str
    key: str | None


@dataclass(frozen=True, slots=True)
class MessageQueued:
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageStatusChanged:
    message_id: str
    status: str
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    message_id: str
    media: int


@dataclass(frozen=True, slots=True)
class MediaKept:
    """A picture or video that came with a text is stored here."""

    message_id: str
    media_id: str


Happening = (
    ConsentAsked
    | ConsentNotOffered
    | WrongKeyPressed
    | ConsentGiven
    | MessageQueued
    | MessageStatusChanged
    | MessageReceived
    | MediaKept
)
