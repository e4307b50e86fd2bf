"""The consent ledger."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.consent import ConsentRecord


class ConsentItem(BaseModel):
    """A line of the consent ledger: what was heard, when, and what was pressed; or how it was withdrawn."""

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
                    "purpose": "wait_time_sms",
                    "how": "call",
                    "actor": None,
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
    wording: str = Field(description="The exact text spoken; of a withdrawal, what was written or noted")
    wording_version: str = Field(description="A hash of the wording")
    audio_hash: str = Field(description="A hash of the sound played")
    key: str | None = Field(description="What was pressed; null for silence")
    outcome: str = Field(description="allowed, denied, no_response or withdrawn")
    purpose: str = Field(description="What was asked: wait_time_sms, deflection, app_link or recording")

    how: str = Field(description="call; of a withdrawal sms, staff, api or provider")
    actor: str | None = Field(description="Who withdrew it: caller, an agent, api or a provider")

    @classmethod
    def of(cls, record: ConsentRecord) -> ConsentItem:
        return cls.model_validate(record, from_attributes=True)
