"""Queues now."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.switches import Switch


class EstimatedWait(BaseModel):
    """Of somebody who would come now."""

    p50_seconds: float = Field(description="Half of all callers wait no longer")
    p80_seconds: float = Field(description="Four of five callers wait no longer")
    expected_seconds: float


class WaitAccuracy(BaseModel):
    """How estimates came out, for callers who waited and were served; what is long ago counts less."""

    callers: float = Field(description="How many, of about a day")
    within_p50: float = Field(description="Share who waited no longer than P50: 0.5 is right")
    within_p80: float = Field(description="Share who waited no longer than P80: 0.8 is right")
    error: float = Field(description="Root mean square error over the mean wait")
    app_queue_error: float = Field(description="The same of the rule of Asterisk's app_queue")


class Closing(BaseModel):
    """What callers hear; not given: the prompt ``emergency``."""

    prompt: str | None = Field(default=None, max_length=60, description="The name of a prompt of the site")


class ClosedItem(BaseModel):
    """A queue that is closed by the emergency switch."""

    queue: str | None = Field(description="null: all of them")
    prompt: str = Field(description="What callers hear")
    since: datetime

    @classmethod
    def of(cls, switch: Switch) -> ClosedItem:
        return cls(queue=switch.queue or None, prompt=switch.prompt, since=switch.since)


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
                    "strategy": "longest_idle",
                    "closed": None,
                    "estimated_wait": {"p50_seconds": 164.0, "p80_seconds": 251.0, "expected_seconds": 180.5},
                    "accuracy": {
                        "callers": 212.4,
                        "within_p50": 0.51,
                        "within_p80": 0.79,
                        "error": 0.38,
                        "app_queue_error": 0.59,
                    },
                    "announced_accuracy": None,
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
    strategy: str = Field(description="Whose turn it is among the agents who are free")
    closed: ClosedItem | None = Field(description="By the emergency switch")
    estimated_wait: EstimatedWait | None = Field(description="null when unknown: nobody is signed in")
    accuracy: WaitAccuracy | None = Field(
        description="Of what each caller would have been told on entry; null before anybody waited"
    )
    announced_accuracy: WaitAccuracy | None = Field(description="Of what was announced")
