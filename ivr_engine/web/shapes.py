"""What the API answers with: the names that testers' scripts and integrators rely on.

A shape is made from a domain value in one place, here; times are UTC (ISO 8601), numbers E.164 (a
caller's that is no valid number: the digits as signalled).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord
from ivr_engine.domain.events import Event
from ivr_engine.domain.messages import Media, MediaStatus, Message
from ivr_engine.domain.tickets import Comment, Ticket, TicketFile
from ivr_engine.ports import PhoneAccount
from ivr_engine.site.models import AgentSettings

API: Final = "/api/v1"

T = TypeVar("T", bound=BaseModel)


class Items(BaseModel, Generic[T]):
    """A list, in an object, so that more can be said beside it later."""

    items: list[T]


class CallItem(BaseModel):
    """One call. ``position`` is 1 for the first in line and null outside the line."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "c-7f3a",
                    "caller": "+4915112345678",
                    "number": "700",
                    "queue": "support",
                    "state": "waiting",
                    "node": None,
                    "position": 2,
                    "language": "en",
                    "priority": 0,
                    "wait_time_sms_status": "allowed",
                    "wait_time_sms_rounds": 1,
                    "started_at": "2026-01-31T09:15:00Z",
                    "entered_at": "2026-01-31T09:15:01Z",
                    "next_announcement_at": "2026-01-31T09:15:20Z",
                    "agent": None,
                    "ticket_id": None,
                    "answered_at": None,
                    "ended_at": None,
                    "end_reason": None,
                }
            ]
        }
    )
    id: str
    caller: str | None = Field(
        description="E.164; the digits as signalled where they are no valid number, like an extension; "
        "null when hidden"
    )
    number: str = Field(description="The number dialled")
    queue: str | None = Field(description="null until the caller is led to one")
    state: str = Field(description="arriving, menu (in a flow), waiting, ringing, talking or ended")
    node: str | None = Field(description="Where in the flow of the number, or where last; null without one")
    position: int | None = Field(description="Place in the queue, 1 is next")
    language: str
    priority: int
    wait_time_sms_status: str | None = Field(description="null, allowed, denied or no_response")
    wait_time_sms_rounds: int = Field(description="How often the question was asked to its end")
    started_at: datetime
    entered_at: datetime | None = Field(description="Since when the caller is in line")
    next_announcement_at: datetime | None
    agent: str | None
    ticket_id: str | None
    answered_at: datetime | None = Field(description="When an agent was connected")
    ended_at: datetime | None
    end_reason: str | None = Field(
        description="caller_hung_up, agent_hung_up, ended_by_staff, gone_during_outage, queue_removed or "
        "said_goodbye"
    )

    @classmethod
    def of(cls, call: Call, position: int | None) -> CallItem:
        return cls(
            id=call.id,
            caller=call.caller,
            number=call.number,
            queue=call.queue or None,
            state=call.state,
            node=call.visit and call.visit.node,
            position=position,
            language=call.language,
            priority=call.priority,
            wait_time_sms_status=call.consent.status,
            wait_time_sms_rounds=call.consent.rounds,
            started_at=call.started_at,
            entered_at=call.entered_at,
            next_announcement_at=call.next_announcement_at,
            agent=call.agent,
            ticket_id=call.ticket_id,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            end_reason=call.end_reason,
        )


ENDED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/json": {
                "example": CallItem.model_json_schema()["examples"][0]
                | {
                    "state": "ended",
                    "position": None,
                    "next_announcement_at": None,
                    "ended_at": "2026-01-31T09:20:00Z",
                    "end_reason": "ended_by_staff",
                }
            }
        }
    }
}
"""For the OpenAPI description of what ends a call."""


class TimelineItem(BaseModel):
    """Something that happened. ``detail`` depends on ``kind``."""

    id: int
    at: datetime
    kind: str = Field(examples=["consent_given"])
    detail: dict[str, Any] = Field(examples=[{"outcome": "allowed", "key": "1"}])

    @classmethod
    def of(cls, event: Event) -> TimelineItem:
        return cls(id=event.id, at=event.at, kind=event.kind, detail=asdict(event.what))


class CallWithTimeline(CallItem):
    """A call and everything that happened in it, oldest first."""

    timeline: list[TimelineItem]


class MediaItem(BaseModel):
    """A picture or video. ``url`` is under this API and needs the token; null until it is stored."""

    id: str
    content_type: str
    status: str = Field(description="pending, stored or refused")
    size: int | None = Field(description="Bytes")
    url: str | None
    problem: str | None = Field(description="Why it was refused")

    @classmethod
    def of(cls, message_id: str, media: Media) -> MediaItem:
        stored = media.status is MediaStatus.STORED and media.file is not None
        return cls(
            id=media.id,
            content_type=media.content_type,
            status=media.status,
            size=media.size,
            url=f"{API}/messages/{message_id}/media/{media.id}" if stored else None,
            problem=media.problem,
        )


class MessageItem(BaseModel):
    """One SMS or MMS."""

    model_config = ConfigDict(
        serialize_by_alias=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "m-19c2",
                    "direction": "inbound",
                    "from": "+4915112345678",
                    "to": "+4930901820",
                    "text": "The lamp stays red",
                    "media": [
                        {
                            "id": "d-5",
                            "content_type": "image/jpeg",
                            "status": "stored",
                            "size": 48213,
                            "url": "/api/v1/messages/m-19c2/media/d-5",
                            "problem": None,
                        }
                    ],
                    "status": "received",
                    "purpose": "reply",
                    "call_id": "c-7f3a",
                    "ticket_id": None,
                    "attempts": 0,
                    "error_code": None,
                    "retry_of": None,
                    "created_at": "2026-01-31T09:16:02Z",
                    "updated_at": "2026-01-31T09:16:02Z",
                }
            ]
        },
    )
    id: str
    direction: str = Field(description="inbound (from the customer) or outbound")
    sender: str = Field(alias="from")
    recipient: str = Field(alias="to")
    text: str
    media: list[MediaItem]
    status: str = Field(
        description="queued, sending, unsettled, accepted, sent, delivered, undelivered, failed, "
        "unknown (nobody can tell; resend or drop it), received"
    )
    purpose: str = Field(description="Why it exists: wait_time_sms, reply, …")
    call_id: str | None
    ticket_id: str | None
    attempts: int = Field(description="Requests made to the provider")
    error_code: str | None = Field(description="The provider's own")
    retry_of: str | None = Field(
        description="The message that could not be delivered and is sent again as this"
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, message: Message) -> MessageItem:
        return cls.model_validate(
            {
                "id": message.id,
                "direction": message.direction,
                "from": message.sender,
                "to": message.recipient,
                "text": message.text,
                "media": [MediaItem.of(message.id, media) for media in message.media],
                "status": message.status,
                "purpose": message.purpose,
                "call_id": message.call_id,
                "ticket_id": message.ticket_id,
                "attempts": message.attempts,
                "error_code": message.error_code,
                "retry_of": message.retry_of,
                "created_at": message.created_at,
                "updated_at": message.updated_at,
            }
        )


class CommentItem(BaseModel):
    id: str
    at: datetime
    author: str
    text: str
    source_id: str | None = Field(description="The message it came from")

    @classmethod
    def of(cls, comment: Comment) -> CommentItem:
        return cls.model_validate(comment, from_attributes=True)


class FileItem(BaseModel):
    """A file of a ticket; ``url`` needs the token."""

    id: str
    at: datetime
    content_type: str
    size: int = Field(description="Bytes")
    url: str
    source_id: str | None = Field(description="The picture or video it came from")

    @classmethod
    def of(cls, ticket_id: str, file: TicketFile) -> FileItem:
        return cls(
            id=file.id,
            at=file.at,
            content_type=file.content_type,
            size=file.size,
            url=f"{API}/tickets/{ticket_id}/files/{file.id}",
            source_id=file.source_id,
        )


class TicketItem(BaseModel):
    """What remains of a contact, with the customer's messages and files."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "t-31",
                    "call_id": "c-7f3a",
                    "caller": "+4915112345678",
                    "queue": "support",
                    "agent": "anna",
                    "language": "en",
                    "opened_at": "2026-01-31T09:17:40Z",
                    "comments": [
                        {
                            "id": "c-m-19c2",
                            "at": "2026-01-31T09:16:02Z",
                            "author": "customer",
                            "text": "The lamp stays red",
                            "source_id": "m-19c2",
                        }
                    ],
                    "files": [
                        {
                            "id": "f-d-5",
                            "at": "2026-01-31T09:16:02Z",
                            "content_type": "image/jpeg",
                            "size": 48213,
                            "url": "/api/v1/tickets/t-31/files/f-d-5",
                            "source_id": "d-5",
                        }
                    ],
                }
            ]
        }
    )
    id: str
    call_id: str
    caller: str | None
    queue: str
    agent: str | None
    language: str
    opened_at: datetime
    comments: list[CommentItem]
    files: list[FileItem]

    @classmethod
    def of(cls, ticket: Ticket) -> TicketItem:
        return cls(
            id=ticket.id,
            call_id=ticket.call_id,
            caller=ticket.caller,
            queue=ticket.queue,
            agent=ticket.agent,
            language=ticket.language,
            opened_at=ticket.opened_at,
            comments=[CommentItem.of(comment) for comment in ticket.comments],
            files=[FileItem.of(ticket.id, file) for file in ticket.files],
        )


class ConsentItem(BaseModel):
    """A line of the consent ledger: what was heard, when, and what was pressed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "s-8",
                    "at": "2026-01-31T09:15:19Z",
                    "call_id": "c-7f3a",
                    "number": "+4915112345678",
                    "queue": "support",
                    "language": "en",
                    "wording": "Press 1 to allow …",
                    "wording_version": "9f2c",
                    "audio_hash": "41aa",
                    "key": "1",
                    "outcome": "allowed",
                }
            ]
        }
    )
    id: str
    at: datetime
    call_id: str
    number: str
    queue: str
    language: str
    wording: str = Field(description="The exact text spoken")
    wording_version: str = Field(description="A hash of the wording")
    audio_hash: str = Field(description="A hash of the sound played")
    key: str | None = Field(description="What was pressed; null for silence")
    outcome: str = Field(description="allowed, denied or no_response")

    @classmethod
    def of(cls, record: ConsentRecord) -> ConsentItem:
        return cls.model_validate(record, from_attributes=True)


class AgentItem(BaseModel):
    """One agent. ``until`` is the end of a wrap-up."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "anna",
                    "label": "Anna Example",
                    "queues": ["support"],
                    "state": "available",
                    "since": "2026-01-31T08:00:00Z",
                    "until": None,
                    "call_id": None,
                    "reason": None,
                }
            ]
        }
    )
    name: str
    label: str
    queues: list[str]
    state: str = Field(description="offline, available, offered, on_contact, wrap_up or rona")
    since: datetime | None = Field(description="null when never signed in")
    until: datetime | None
    call_id: str | None
    reason: str | None = Field(description="Why, for rona: no_answer, busy, declined, unreachable")

    @classmethod
    def of(cls, name: str, settings: AgentSettings, agent: Agent | None) -> AgentItem:
        return cls(
            name=name,
            label=settings.label,
            queues=sorted(settings.queues),
            state=agent.state if agent else "offline",
            since=agent.since if agent else None,
            until=agent.until if agent else None,
            call_id=agent.call_id if agent else None,
            reason=agent.reason if agent else None,
        )


class PhoneItem(BaseModel):
    """What to type into a SIP phone so that it is this agent's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user": "anna",
                    "password": "…",
                    "server": "127.0.0.1:5060",
                    "transport": "udp",
                    "uri": "sip:anna@127.0.0.1:5060",
                }
            ]
        }
    )
    user: str
    password: str
    server: str
    transport: str
    uri: str

    @classmethod
    def of(cls, account: PhoneAccount, server: str) -> PhoneItem:
        return cls(
            user=account.name,
            password=account.password,
            server=server,
            transport="udp",
            uri=f"sip:{account.name}@{server}",
        )


class QueueItem(BaseModel):
    """A queue now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "support",
                    "label": "Support",
                    "waiting": 3,
                    "longest_wait_seconds": 84.2,
                    "talking": 1,
                    "agents": {"available": 0, "on_contact": 1, "offline": 2},
                }
            ]
        }
    )
    name: str
    label: str
    waiting: int = Field(description="Callers in line; one whose agent's phone rings still is")
    longest_wait_seconds: float | None = Field(description="null when nobody waits")
    talking: int
    agents: dict[str, int] = Field(description="Agents who serve this queue, by state")
