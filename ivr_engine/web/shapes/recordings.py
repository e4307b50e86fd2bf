"""Recordings of talks."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.recordings import TalkRecording


class RecordingItem(BaseModel):
    """Both sides of a talk with one agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "talk-7f3a",
                    "call_id": "c-7f3a",
                    "agent": "anna",
                    "started_at": "2026-01-31T09:15:00Z",
                    "status": "kept",
                    "size": 960044,
                    "seconds": 60.0,
                }
            ]
        }
    )
    id: str
    call_id: str
    agent: str
    started_at: datetime
    status: str = Field(description="making, fetched, kept, expiring, deleted or empty")
    size: int = Field(description="Bytes; 0 until it is fetched")
    seconds: float

    @classmethod
    def of(cls, recording: TalkRecording) -> RecordingItem:
        return cls.model_validate(recording, from_attributes=True)
