"""Agents and the accounts of their phones."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.agents import Agent
from ivr_engine.ports import PhoneAccount
from ivr_engine.site.models import AgentSettings


class AgentItem(BaseModel):
    """One agent. ``until`` is the end of a wrap-up."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "anna",
                    "label": "Anna Example",
                    "queues": ["support"],
                    "state": "available",
                    "since": "2026-01-31T08:00:00Z",
                    "until": None,
                    "call_id": None,
                    "reason": None,
                }
            ]
        }
    )
    name: str
    label: str
    queues: list[str]
    state: str = Field(description="offline, available, offered, on_contact, wrap_up or rona")
    since: datetime | None = Field(description="null when never signed in")
    until: datetime | None
    call_id: str | None
    reason: str | None = Field(description="Why, for rona: no_answer, busy, declined, unreachable")

    @classmethod
    def of(cls, name: str, settings: AgentSettings, agent: Agent | None) -> AgentItem:
        return cls(
            name=name,
            label=settings.label,
            queues=sorted(settings.queues),
            state=agent.state if agent else "offline",
            since=agent.since if agent else None,
            until=agent.until if agent else None,
            call_id=agent.call_id if agent else None,
            reason=agent.reason if agent else None,
        )


class PhoneItem(BaseModel):
    """What to type into a SIP phone so that it is this agent's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user": "anna",
                    "password": "…",
                    "server": "127.0.0.1:5060",
                    "transport": "udp",
                    "uri": "sip:anna@127.0.0.1:5060",
                }
            ]
        }
    )
    user: str
    password: str
    server: str
    transport: str
    uri: str

    @classmethod
    def of(cls, account: PhoneAccount, server: str) -> PhoneItem:
        return cls(
            user=account.name,
            password=account.password,
            server=server,
            transport="udp",
            uri=f"sip:{account.name}@{server}",
        )
