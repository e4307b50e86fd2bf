"""Lines to the world now."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.trunks import TrunkState


class TrunkItem(BaseModel):
    """A line to the world now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "sipgate",
                    "state": "down",
                    "why": "the registration is 'Rejected'",
                    "since": "2026-01-31T09:30:00Z",
                }
            ]
        }
    )
    name: str = Field(description="The endpoint in pjsip.conf")
    state: TrunkState = Field(description="unknown: Asterisk does not tell")
    why: str = Field(description="Empty when it is up")
    since: datetime
