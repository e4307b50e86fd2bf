"""What somebody should look at."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class AlarmItem(BaseModel):
    """Something that somebody should look at, as long as it lasts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "sms_cap_reached",
                    "what": "100 SMS were asked for by numbers that begin with +491511234",
                    "cap": "prefix",
                    "whose": "+491511234",
                    "limit": 100,
                    "since": "2026-01-31T09:30:00Z",
                    "until": "2026-02-01T00:00:00Z",
                    "remedy": "look at these calls; block their numbers ('abuse.blocked'), or raise "
                    "'abuse.per_prefix' if they were real callers",
                }
            ]
        }
    )
    kind: str = Field(
        description="sms_cap_reached: callers asked for as many SMS as may be sent in a day; "
        "trunk_down: no calls can pass over a line to the world"
    )
    what: str
    cap: str | None = Field(description="Of SMS: number, prefix or day")
    whose: str = Field(
        description="The trunk; of SMS the number, or what the numbers begin with, empty for all together"
    )
    limit: int | None = Field(description="Of SMS")
    since: datetime
    until: datetime | None = Field(description="When the day (UTC) is over; null: nobody knows")
    remedy: str
