"""What became of the SMS that callers asked for, beside the message's own status."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmsWithheld:
    """The caller asked for it, and it is not sent: ``reason`` as in ``NotOffered``, ``purpose`` as the
    message's would be."""

    reason: str
    queue: str = ""
    language: str = ""
    purpose: str = "wait_time_sms"


@dataclass(frozen=True, slots=True)
class SmsCapReached:
    """An alarm, once a day: as many SMS as may be were asked for. ``cap`` and ``whose`` as in
    ``domain.abuse.Counter``."""

    cap: str
    whose: str
    limit: int


@dataclass(frozen=True, slots=True)
class WaitTimeSmsReceived:
    """The caller answered the wait-time SMS: for the banner of the agent who has the call, or gets it."""

    message_id: str
    media: int


@dataclass(frozen=True, slots=True)
class TextsRead:
    """Somebody opened the texts of the call. ``agent``: who, where that is known."""

    agent: str | None


Happening = SmsWithheld | SmsCapReached | WaitTimeSmsReceived | TextsRead
