"""What a webhook is sent, and what a contact look-up answers: JSON, described by its own schema."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.crm import Kind, Posting, Said

_EXAMPLE: Final[dict[str, Any]] = {
    "version": 1,
    "id": "message-1f0c9a3e5b7d4c219f6a0d8e3b2c4a55",
    "kind": "message",
    "at": "2026-01-31T09:16:02Z",
    "conversation": {
        "id": "7f3a5c0e9b1d4e2f8a6c3d5e7f901234",
        "ticket_id": "31d2c4b6a8f04e1c9d7b5a3f2e1c0b9a",
        "channel": "voice",
        "direction": "inbound",
        "customer_number": "+4915112345678",
        "our_number": "700",
        "queue": "support",
        "language": "en",
        "agent": "anna",
        "started_at": "2026-01-31T09:15:00Z",
        "ended_at": None,
    },
    "contact": {
        "id": "c0ffee5b7d4c219f6a0d8e3b2c4a5501",
        "name": "Ada",
        "numbers": ["+4915112345678"],
        "language": "en",
        "external": {"crm": "4711"},
    },
    "candidates": [],
    "details": {},
    "messages": [
        {
            "at": "2026-01-31T09:16:02Z",
            "author": "customer",
            "by": None,
            "text": "The lamp stays red",
            "message_id": "1f0c9a3e5b7d4c219f6a0d8e3b2c4a55",
        }
    ],
    "file": None,
}


class ConversationBody(BaseModel):
    id: str = Field(description="The same in everything about this conversation")
    ticket_id: str
    channel: str = Field(description="voice")
    direction: Literal["inbound", "outbound"] = Field(description="outbound: the customer was called back")
    customer_number: str | None = Field(
        description="E.164; the digits as signalled where they are no valid number; null when hidden"
    )
    our_number: str = Field(description="What the customer called")
    queue: str
    language: str
    agent: str | None = Field(description="Who talks to the customer, or did last")
    started_at: datetime
    ended_at: datetime | None


class ContactBody(BaseModel):
    id: str
    name: str = Field(description="Empty as long as nobody wrote one")
    numbers: list[str]
    language: str = Field(description="Of the last conversation")
    external: dict[str, str] = Field(description="What other systems call this contact, by system")

    @classmethod
    def of(cls, contact: Contact) -> ContactBody:
        return cls(
            id=contact.id,
            name=contact.name,
            numbers=list(contact.numbers),
            language=contact.language,
            external=dict(contact.external),
        )


class MessageBody(BaseModel):
    at: datetime
    author: Literal["customer", "agent", "system"]
    by: str | None = Field(description="Which agent")
    text: str = Field(description="As it was written: treat it as hostile")
    message_id: str | None = Field(description="null for a line about what happened beside the messages")

    @classmethod
    def of(cls, said: Said) -> MessageBody:
        return cls.model_validate(said, from_attributes=True)


class FileBody(BaseModel):
    """A picture, a video, or a spoken message. The engine has looked at it: what it is, it really is."""

    id: str
    content_type: str = Field(
        description="image/jpeg, image/png, image/gif, video/mp4, video/3gpp, audio/wav"
    )
    size: int = Field(description="Bytes")
    url: str = Field(description="GET gives the content, without any token, until expires_at")
    expires_at: datetime


class DetailsBody(BaseModel):
    """Of an event; what does not apply is absent."""

    by: str | None = Field(None, description="The agent who transferred")
    to_kind: str | None = Field(None, description="queue, agent or number")
    to: str | None = None
    way: str | None = Field(None, description="blind, or attended: they were asked first")
    reason: str | None = Field(None, description="Why a transfer failed, or a conversation ended")
    agent: str | None = Field(None, description="Who was connected")


class Body(BaseModel):
    """One event. ``id`` is the same at every try: keep it, and take an event once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]}, title="Event of a conversation")
    version: Literal[1] = 1
    id: str
    kind: Kind
    at: datetime = Field(description="When it happened, UTC")
    conversation: ConversationBody
    contact: ContactBody | None = Field(description="null as long as it is not known whose this is")
    candidates: list[ContactBody] = Field(
        description="Of contact.unclear: who it may be. An agent is asked; contact.chosen follows"
    )
    details: DetailsBody
    messages: list[MessageBody] = Field(description="Of message: that one; of transcript: all; else none")
    file: FileBody | None = Field(description="Of file")


def body_of(posting: Posting, link: tuple[str, datetime] | None) -> bytes:
    """``link``: where the posting's file is to be had, and until when."""
    conversation, file = posting.conversation, posting.file
    body = Body(
        id=posting.id,
        kind=posting.kind,
        at=posting.at,
        conversation=ConversationBody(
            id=conversation.id,
            ticket_id=conversation.ticket_id,
            channel=conversation.channel,
            direction="outbound" if conversation.direction == "outbound" else "inbound",
            customer_number=conversation.number,
            our_number=conversation.ours,
            queue=conversation.queue,
            language=conversation.language,
            agent=conversation.agent,
            started_at=conversation.started_at,
            ended_at=conversation.ended_at,
        ),
        contact=ContactBody.of(posting.contact) if posting.contact is not None else None,
        candidates=[ContactBody.of(each) for each in posting.candidates],
        details=DetailsBody.model_validate(dict(posting.facts)),
        messages=[MessageBody.of(each) for each in posting.said],
        file=None
        if file is None or link is None
        else FileBody(
            id=file.id, content_type=file.content_type, size=file.size, url=link[0], expires_at=link[1]
        ),
    )
    document = body.model_dump(mode="json", exclude={"details"})
    document["details"] = body.details.model_dump(exclude_none=True)
    return msgspec.json.encode(document)


Known = Annotated[str, Field(min_length=1, max_length=200)]


class KnownContact(BaseModel):
    """One contact that the other system has with the number."""

    id: Known = Field(description="What the other system calls it")
    name: Annotated[str, Field(max_length=200)] = ""
    language: Annotated[str, Field(max_length=10)] = ""


class KnownContacts(BaseModel):
    """The answer of a contact look-up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contacts": [{"id": "4711", "name": "Ada", "language": "en"}]}]},
        title="Answer of a contact look-up",
    )
    contacts: Annotated[list[KnownContact], Field(max_length=20)]


class NumberAsked(BaseModel):
    """The question of a contact look-up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 1, "number": "+4915112345678"}]},
        title="Question of a contact look-up",
    )
    version: Literal[1] = 1
    number: str
