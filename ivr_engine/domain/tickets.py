"""Tickets: what remains of a contact for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ivr_engine.domain.calls import Call
from ivr_engine.domain.messages import Direction, Media, MediaStatus, Message, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """``source_id`` is the message it came from: one comment a message, however often it is told."""

    id: str
    at: datetime
    author: str
    text: str
    source_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFile:
    """A file in the media folder; ``size`` in bytes."""

    id: str
    at: datetime
    file: str
    content_type: str
    size: int
    source_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """``contact_id``: whose it is. ``candidates``: the contacts of whom somebody is to choose one; empty once
    that is done."""

    id: str
    call_id: str
    caller: str | None
    queue: str
    agent: str | None
    language: str
    opened_at: datetime
    comments: tuple[Comment, ...] = ()
    files: tuple[TicketFile, ...] = ()
    contact_id: str | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """A recording that the telephone system makes, or made, of a caller's message, under the name ``id``.

    ``engine``: the ARI application, and so the telephone system. ``kept``: the ticket has it (or it was
    none), so that it can be deleted there. ``next_attempt_at``: not looked at before.
    """

    id: str
    engine: str
    call_id: str
    started_at: datetime
    kept: bool = False
    attempts: int = 0
    next_attempt_at: datetime | None = None


def is_abandoned(call: Call) -> bool:
    """Of a call that has ended: it came into a queue, or was to go on by SMS, and nobody answered it; nor has
    it a ticket."""
    meant_for_a_queue = call.entered_at is not None or call.goes_on_by_sms
    return meant_for_a_queue and call.answered_at is None and call.ticket_id is None


def ticket_for(call: Call, messages: Sequence[Message], *, id: str, now: datetime) -> Ticket:
    """The ticket of a call that an agent takes, or that nobody took, with what was written so far."""
    return Ticket(
        id=id,
        call_id=call.id,
        caller=call.caller,
        queue=call.queue,
        agent=call.agent,
        language=call.language,
        opened_at=now,
        comments=tuple(comment_from(m) for m in messages),
        files=tuple(f for m in messages for media in m.media if (f := file_from(media, m.created_at))),
    )


def comment_id(message_id: str) -> str:
    """Of the comment that a message is."""
    return f"c-{message_id}"


def file_id(media_id: str) -> str:
    """Of the file that a picture, a video or a recording is."""
    return f"f-{media_id}"


def comment_from(message: Message) -> Comment:
    """A message as the ticket shows it."""
    return Comment(
        id=comment_id(message.id),
        at=message.created_at,
        author=author_of(message),
        text=words_of(message),
        source_id=message.id,
    )


def author_of(message: Message) -> str:
    """``customer``, ``agent`` or ``system``: whoever's words they are."""
    if message.direction is Direction.INBOUND:
        return "customer"
    return "agent" if message.purpose == Purpose.IN_CALL_SMS else "system"


def words_of(message: Message) -> str:
    """Its text; of one without, how many pictures there are."""
    return message.text or f"[{len(message.media)} file(s)]"


def file_from(media: Media, at: datetime) -> TicketFile | None:
    """The picture or video as the ticket shows it; ``None`` until it is stored."""
    if media.status is not MediaStatus.STORED or media.file is None:
        return None
    return TicketFile(
        id=file_id(media.id),
        at=at,
        file=media.file,
        content_type=media.content_type,
        size=media.size or 0,
        source_id=media.id,
    )
