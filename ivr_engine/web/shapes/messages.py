"""Text messages and their media."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.messages import Media, MediaStatus, Message
from ivr_engine.web.shapes.common import API


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
                    "provider": "twilio",
                    "call_id": "c-7f3a",
                    "ticket_id": None,
                    "attempts": 0,
                    "error_code": None,
                    "retry_of": None,
                    "waits_until": None,
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
    purpose: str = Field(
        description="Why it exists. Out: wait_time_sms, in_call_sms (by the agent), closing_sms, "
        "automatic_answer, …; in: reply, late_reply (after a talk, not on the ticket), unsolicited"
    )
    provider: str = Field(description="Who carries it; of one that is queued: who carried or would carry it")
    call_id: str | None
    ticket_id: str | None
    attempts: int = Field(description="Requests made to the provider")
    error_code: str | None = Field(description="The provider's own")
    retry_of: str | None = Field(
        description="The message that could not be delivered and is sent again as this"
    )
    waits_until: datetime | None = Field(
        description="Of one that is queued and may not be sent before: quiet hours, a retry"
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
                "provider": message.provider,
                "call_id": message.call_id,
                "ticket_id": message.ticket_id,
                "attempts": message.attempts,
                "error_code": message.error_code,
                "retry_of": message.retry_of,
                "waits_until": message.waits_until,
                "created_at": message.created_at,
                "updated_at": message.updated_at,
            }
        )
