"""Queues now."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
