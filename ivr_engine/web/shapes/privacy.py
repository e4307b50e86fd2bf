"""Who wants no texts, and numbers that are to be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.opt_outs import Erasure, OptOut, Said

_Phone = Annotated[str, Field(min_length=1, max_length=40, description="A phone number, however written")]
_Agent = Annotated[
    str | None,
    Field(max_length=40, description="The agent who was told so; not given: the client itself"),
]


class SaidItem(BaseModel):
    at: datetime
    how: str = Field(description="sms, staff, api or provider")
    wording: str = Field(description="What was written or noted")
    actor: str = Field(description="caller, the agent's name, api, or the provider's name")

    @classmethod
    def of(cls, said: Said) -> SaidItem:
        return cls.model_validate(said, from_attributes=True)


class OptOutItem(BaseModel):
    """A number that gets no texts, since when and why; and since when it does again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c",
                    "number": "+4915112345678",
                    "opted_out": {
                        "at": "2026-01-31T09:15:19Z",
                        "how": "sms",
                        "wording": "Stop. Thank you",
                        "actor": "caller",
                    },
                    "language": "en",
                    "resumed": None,
                }
            ]
        }
    )
    id: str
    number: str
    opted_out: SaidItem
    language: str | None = Field(description="Of the confirmation")
    resumed: SaidItem | None = Field(description="null: the opt-out stands")

    @classmethod
    def of(cls, one: OptOut) -> OptOutItem:
        return cls(
            id=one.id,
            number=one.number,
            opted_out=SaidItem.of(one.said),
            language=one.language,
            resumed=one.resumed and SaidItem.of(one.resumed),
        )


class Instruction(BaseModel):
    """Opt a number out, or in again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"number": "+4915112345678", "agent": "anna", "note": "said so on the phone"}]
        },
    )
    number: _Phone
    agent: _Agent = None
    note: Annotated[str, Field(max_length=1000, description="What was said: kept as the wording")] = ""


class Forgetting(BaseModel):
    """Delete what is known of a number."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"number": "+4915112345678"}]})
    number: _Phone
    agent: _Agent = None


class ErasureItem(BaseModel):
    """How far the deletion of a number is, and what was deleted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "e-1",
                    "number": "erased:+4915…78:9f3c…",
                    "at": "2026-01-31T09:15:19Z",
                    "actor": "api",
                    "state": "done",
                    "deleted": {"messages": 12, "files": 3, "tickets": 1, "calls": 2},
                    "waits_for": None,
                    "done_at": "2026-01-31T09:15:21Z",
                }
            ]
        }
    )
    id: str
    number: str = Field(description="Its pseudonym once it is done")
    at: datetime
    actor: str
    state: str = Field(description="asked, waiting (for what is under way) or done")
    deleted: dict[str, int] = Field(description="How many of what, so far")
    waits_for: str | None
    done_at: datetime | None

    @classmethod
    def of(cls, one: Erasure) -> ErasureItem:
        return cls.model_validate(one, from_attributes=True)
