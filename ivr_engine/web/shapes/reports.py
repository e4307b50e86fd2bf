"""Reports on texts: a row a day, queue and language."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.sms_reports import STEPS, Funnel, Usage

_FUNNEL: Final[dict[str, Any]] = {
    "offered": 40,
    "rounds": 61,
    "allowed": 22,
    "denied": 9,
    "no_response": 5,
    "withheld": 0,
    "sent": 22,
    "delivered": 21,
    "failed": 1,
    "under_way": 0,
    "unknown": 0,
    "replied": 14,
    "withdrawn": 1,
    "not_offered": {"cannot_receive_sms": 6, "wait_too_short": 11},
}
_DAY: Final = {"day": "2026-01-31", "queue": "support", "language": "en"}


class FunnelCounts(BaseModel):
    """Callers, each counted once a day; only ``rounds`` are rounds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FUNNEL]})
    offered: int = Field(description="The question was begun")
    rounds: int = Field(description="How often it was")
    allowed: int
    denied: int
    no_response: int = Field(description="Asked to the end, and never pressed 1 or 2")
    withheld: int = Field(description="Allowed, and not sent: a cap on SMS was reached")
    sent: int = Field(description="The provider has it")
    delivered: int
    failed: int = Field(description="Not delivered, or never taken by the provider")
    under_way: int
    unknown: int = Field(description="Nobody can tell")
    replied: int = Field(description="Wrote back")
    withdrawn: int = Field(description="Allowed it, that day or before, and took it back")
    not_offered: dict[str, int] = Field(
        description="By reason; also those who were offered it later: " + ", ".join(NotOffered)
    )

    @classmethod
    def of(cls, funnel: Funnel) -> FunnelCounts:
        return cls.model_validate(funnel, from_attributes=True)


class FunnelItem(FunnelCounts):
    """What became of the offers of one day (UTC), queue and language."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DAY | _FUNNEL]})
    day: date
    queue: str
    language: str

    def row(self) -> list[object]:
        """As in the CSV file, whose columns are ``FUNNEL_COLUMNS``."""
        steps = [getattr(self, step) for step in STEPS]
        return [self.day, self.queue, self.language, *steps, *map(self._reason, NotOffered)]

    def _reason(self, reason: NotOffered) -> int:
        return self.not_offered.get(reason, 0)


FUNNEL_COLUMNS: Final = ("day", "queue", "language", *STEPS, *(f"not_offered_{why}" for why in NotOffered))


class FunnelReport(BaseModel):
    """Sorted by day, queue and language. In ``total`` who called on two days is counted twice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"from": "2026-01-25", "to": "2026-01-31", "total": _FUNNEL, "items": [_DAY | _FUNNEL]}
            ]
        }
    )
    since: date = Field(alias="from")
    to: date = Field(description="Included")
    total: FunnelCounts
    items: list[FunnelItem]


_USAGE: Final[dict[str, Any]] = {
    "inbound": 31,
    "outbound": 52,
    "total": 83,
    "purposes": {"wait_time_sms": 22, "reply": 31, "in_call_sms": 25, "closing_sms": 5},
}


class UsageCounts(BaseModel):
    """Texts of calls, to and fro."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USAGE]})
    inbound: int
    outbound: int
    total: int
    purposes: dict[str, int] = Field(description="wait_time_sms, in_call_sms, closing_sms, reply, …")

    @classmethod
    def of(cls, usage: Usage) -> UsageCounts:
        return cls.model_validate(usage, from_attributes=True)


class UsageItem(UsageCounts):
    """Texts of one day (UTC), queue and language: of calls, by the queue they were in last."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DAY | _USAGE]})
    day: date
    queue: str
    language: str

    def row(self) -> list[object]:
        return [self.day, self.queue, self.language, self.inbound, self.outbound, self.total]


USAGE_COLUMNS: Final = ("day", "queue", "language", "inbound", "outbound", "total")


class UsageReport(BaseModel):
    """Sorted by day, queue and language."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"from": "2026-01-25", "to": "2026-01-31", "total": _USAGE, "items": [_DAY | _USAGE]}
            ]
        }
    )
    since: date = Field(alias="from")
    to: date = Field(description="Included")
    total: UsageCounts
    items: list[UsageItem]
