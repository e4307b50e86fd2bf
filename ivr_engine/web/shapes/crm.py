"""The systems that are told about conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.crm import Backlog, Delivery

CrmName = Annotated[str, Field(min_length=1, max_length=100)]


class CrmItem(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "sales", "waiting": 3, "oldest_at": "2026-01-31T09:16:02Z", "dead": 0}]
        }
    )
    name: str
    waiting: int = Field(description="Postings it does not have yet")
    oldest_at: datetime | None = Field(description="When the oldest of them happened")
    dead: int = Field(description="Given up: see /api/v1/crm/dead")

    @classmethod
    def of(cls, name: str, backlog: Backlog) -> CrmItem:
        return cls(name=name, waiting=backlog.waiting, oldest_at=backlog.oldest_at, dead=backlog.dead)


class DeadLetterItem(BaseModel):
    """A posting that was given up. What it says is read from the store when it is tried again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "message-1f0c9a3e5b7d4c219f6a0d8e3b2c4a55",
                    "crm": "sales",
                    "kind": "message",
                    "call_id": "7f3a5c0e9b1d4e2f8a6c3d5e7f901234",
                    "at": "2026-01-31T09:16:02Z",
                    "attempts": 1,
                    "error": "it answered with status 422",
                }
            ]
        }
    )
    id: str
    crm: str
    kind: str
    call_id: str
    at: datetime
    attempts: int
    error: str | None

    @classmethod
    def of(cls, letter: Delivery) -> DeadLetterItem:
        return cls(
            id=letter.id,
            crm=letter.adapter,
            kind=letter.kind,
            call_id=letter.call_id,
            at=letter.at,
            attempts=letter.attempts,
            error=letter.error,
        )


class Which(BaseModel):
    """Dead letters: all, a CRM's, or one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"crm": "sales"}]})
    crm: CrmName | None = None
    id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class OneLetter(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"crm": "sales", "id": "message-1f0c9a3e"}]}
    )
    crm: CrmName
    id: Annotated[str, Field(min_length=1, max_length=200)]


class HowMany(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"letters": 3}]})
    letters: int
