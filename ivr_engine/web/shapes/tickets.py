"""Tickets with their comments and files."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.tickets import Comment, Ticket, TicketFile
from ivr_engine.web.shapes.common import API


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
                    "contact_id": "c0ffee5b7d4c219f6a0d8e3b2c4a5501",
                    "contact_choice": None,
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
    contact_id: str | None = Field(description="Whose it is; null while that is not known")
    contact_choice: list[str] | None = Field(
        description="The contacts of whom one is to be chosen (…/contact); null where nothing is to be"
    )
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
            contact_id=ticket.contact_id,
            contact_choice=list(ticket.candidates) or None,
            comments=[CommentItem.of(comment) for comment in ticket.comments],
            files=[FileItem.of(ticket.id, file) for file in ticket.files],
        )
