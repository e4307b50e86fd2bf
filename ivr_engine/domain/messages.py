"""A text message and the only ways its status may move.

Providers report status more than once and in any order, sometimes before they answered the request
itself; so a status only ever moves forward, and a final one stays.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from ivr_engine.domain.records import replace


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageStatus(StrEnum):
    """``queued`` waits for its turn · ``sending`` a request is under way, or was when the engine died ·
    ``unsettled`` the request's outcome is being found out · ``accepted`` the provider has it ·
    ``sent`` handed to the network · ``delivered`` / ``undelivered`` / ``failed`` final ·
    ``unknown`` nobody can tell: shown to an admin · ``received`` inbound.
    """

    QUEUED = "queued"
    SENDING = "sending"
    UNSETTLED = "unsettled"
    ACCEPTED = "accepted"
    SENT = "sent"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    RECEIVED = "received"


FINAL: Final = frozenset(
    {MessageStatus.DELIVERED, MessageStatus.UNDELIVERED, MessageStatus.FAILED, MessageStatus.RECEIVED}
)

_RANK: Final = {status: rank for rank, status in enumerate(MessageStatus)}


class Urgency(IntEnum):
    """Who goes first from one sender: somebody on the line who waits for it, then people who write to each
    other, then the many that nobody waits for."""

    CALLER = 0
    CONVERSATION = 1
    CAMPAIGN = 2


class MediaStatus(StrEnum):
    """``pending`` not fetched yet · ``stored`` in the media folder · ``refused`` not what we keep."""

    PENDING = "pending"
    STORED = "stored"
    REFUSED = "refused"


class Purpose(StrEnum):
    """Why a message of a call exists; others are free to name their own.

    ``wait_time_sms`` allowed by the caller · ``deflection`` chosen by them in place of waiting ·
    ``app_link`` asked for by them in a menu ·
    ``in_call_sms`` sent by the agent who talks to them ·
    ``closing_sms`` at the end of the call · ``automatic_answer`` to a text after it · from the caller:
    ``reply`` before the end, or after it when they hung up while waiting · ``late_reply`` after a talk ·
    ``unsolicited`` of no call · to what people say about messages and callbacks: ``opt_out_confirmation``,
    which alone goes to somebody who is opted out, ``help_answer``, ``start_answer``, ``no_callback_answer``.
    """

    WAIT_TIME_SMS = "wait_time_sms"
    DEFLECTION = "deflection"
    APP_LINK = "app_link"
    IN_CALL_SMS = "in_call_sms"
    CLOSING_SMS = "closing_sms"
    AUTOMATIC_ANSWER = "automatic_answer"
    REPLY = "reply"
    LATE_REPLY = "late_reply"
    UNSOLICITED = "unsolicited"
    OPT_OUT_CONFIRMATION = "opt_out_confirmation"
    HELP_ANSWER = "help_answer"
    START_ANSWER = "start_answer"
    NO_CALLBACK_ANSWER = "no_callback_answer"


ASKED_FOR: Final = (Purpose.WAIT_TIME_SMS, Purpose.DEFLECTION, Purpose.APP_LINK)
"""What callers have sent by a key, and consent to by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture or video that came with a message.

    ``url`` is where the provider keeps it; ``file`` the name in the media folder once stored;
    ``size`` in bytes; ``problem`` says why it was refused.
    """

    id: str
    url: str
    content_type: str
    status: MediaStatus = MediaStatus.PENDING
    file: str | None = None
    size: int | None = None
    problem: str | None = None


class Message(Struct, frozen=True, kw_only=True):
    """One SMS or MMS, in or out. Numbers are E.164; times UTC.

    ``purpose`` says why it exists, as in ``Purpose``. ``attempts`` counts requests to the
    provider; ``next_attempt_at`` is when a worker looks at it again (``None``: nothing to do).
    ``error_code`` is the provider's own. ``retry_of``: the message that could not be delivered and is sent
    once more as this one.

    What waits at one sender goes by ``turn``, then ``urgency``, then age. ``stream`` names the conversation
    or campaign it is of, among which turns are dealt out (``domain.turns``); callers have turn 0.
    ``valid_until``: not sent after that (``None``: as the outbox says). ``engine``: whose request it is, or
    was.
    """

    id: str
    direction: Direction
    sender: str
    recipient: str
    text: str
    status: MessageStatus
    provider: str
    purpose: str
    created_at: datetime
    updated_at: datetime
    media: tuple[Media, ...] = ()
    provider_id: str | None = None
    call_id: str | None = None
    ticket_id: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error_code: str | None = None
    retry_of: str | None = None
    urgency: Urgency = Urgency.CALLER
    stream: str | None = None
    turn: float = 0.0
    valid_until: datetime | None = None
    engine: str | None = None

    @property
    def ready(self) -> bool:
        """To be sent as soon as its sender may; not one that waits for a later moment."""
        return (
            self.status is MessageStatus.QUEUED
            and self.direction is Direction.OUTBOUND
            and self.next_attempt_at is not None
            and self.next_attempt_at <= self.updated_at
        )

    @property
    def waits_until(self) -> datetime | None:
        """The later moment that one which is queued waits for."""
        return self.next_attempt_at if self.status is MessageStatus.QUEUED and not self.ready else None

    def moved(self, status: MessageStatus, now: datetime, *, error_code: str | None = None) -> Message:
        """The message after a report of ``status``; unchanged when that report is old news."""
        if self.status in FINAL or status is MessageStatus.RECEIVED or _RANK[status] <= _RANK[self.status]:
            return self
        return replace(
            self,
            status=status,
            updated_at=now,
            error_code=error_code or self.error_code,
            next_attempt_at=None,
        )


def printable(text: str) -> str:
    """Without control characters and lone surrogates (line breaks and tabs stay): fit for a database,
    a terminal and a provider."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unified if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def once_more(message: Message, after_s: float, *, id: str, now: datetime) -> Message | None:
    """The message to send in place of one that could not be delivered, ``after_s`` seconds from now.

    ``None`` for one that is such a second try itself: a third one is spam.
    """
    if (
        message.status not in (MessageStatus.UNDELIVERED, MessageStatus.FAILED)
        or message.retry_of is not None
    ):
        return None
    return replace(
        message,
        id=id,
        status=MessageStatus.QUEUED,
        created_at=now,
        updated_at=now,
        provider_id=None,
        attempts=0,
        next_attempt_at=now + timedelta(seconds=after_s),
        error_code=None,
        retry_of=message.id,
        valid_until=None,
    )


def outbound(
    *,
    id: str,
    sender: str,
    recipient: str,
    text: str,
    provider: str,
    purpose: str,
    call_id: str | None,
    now: datetime,
    ticket_id: str | None = None,
    urgency: Urgency = Urgency.CALLER,
    stream: str | None = None,
    media: tuple[Media, ...] = (),
) -> Message:
    """A message for the outbox: to be sent as soon as a worker sees it. What belongs to a conversation or a
    campaign is put there by ``messaging.queueing``, which gives it its turn."""
    return Message(
        id=id,
        direction=Direction.OUTBOUND,
        sender=sender,
        recipient=recipient,
        text=text,
        status=MessageStatus.QUEUED,
        provider=provider,
        purpose=purpose,
        created_at=now,
        updated_at=now,
        call_id=call_id,
        ticket_id=ticket_id,
        next_attempt_at=now,
        urgency=urgency,
        stream=stream,
        media=media,
    )
