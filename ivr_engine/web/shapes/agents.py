"""Agents and the accounts of their phones."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.agents import Agent, Capacity
from ivr_engine.ports import PhoneAccount
from ivr_engine.site.staff import AgentSettings


class Why(BaseModel):
    """One of the reasons that the site names."""

    reason: str | None = Field(default=None, max_length=60)


class AgentItem(BaseModel):
    """One agent. ``until`` is the end of a wrap-up."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "anna",
                    "label": "Anna Example",
                    "team": "front",
                    "queues": ["support"],
                    "skills": {"billing": 7},
                    "state": "available",
                    "since": "2026-01-31T08:00:00Z",
                    "until": None,
                    "call_id": None,
                    "reason": None,
                    "next_break": None,
                    "reason_required": False,
                    "queue": None,
                    "idle_since": "2026-01-31T08:00:00Z",
                    "calls_taken": 12,
                    "sms_sessions": 1,
                    "most_sms_sessions": 4,
                }
            ]
        }
    )
    name: str
    label: str
    team: str | None
    queues: list[str]
    skills: dict[str, int] = Field(description="Levels from 1 to 10")
    state: str = Field(description="offline, available, offered, on_contact, wrap_up, on_break or rona")
    since: datetime | None = Field(description="null when never signed in")
    until: datetime | None
    call_id: str | None
    reason: str | None = Field(
        description="Of a break; for rona no_answer, busy, declined or unreachable; offline: phone_gone"
    )
    next_break: str | None = Field(description="Begins when the contact is over")
    reason_required: bool = Field(description="The wrap-up ends before its time only with a reason")
    queue: str | None = Field(description="Of the contact offered, at hand or being wrapped up")
    idle_since: datetime | None
    calls_taken: int = Field(description="In this shift")
    sms_sessions: int = Field(description="At hand")
    most_sms_sessions: int

    @classmethod
    def of(cls, name: str, settings: AgentSettings, capacity: Capacity, agent: Agent | None) -> AgentItem:
        return cls(
            name=name,
            label=settings.label,
            team=settings.team,
            queues=sorted(settings.queues),
            skills=settings.skills,
            state=agent.state if agent else "offline",
            since=agent.since if agent else None,
            until=agent.until if agent else None,
            call_id=agent.call_id if agent else None,
            reason=agent.reason if agent else None,
            next_break=agent.next_break if agent else None,
            reason_required=agent.reason_required if agent else False,
            queue=agent.queue if agent else None,
            idle_since=agent.idle_since if agent else None,
            calls_taken=agent.taken if agent else 0,
            sms_sessions=len(agent.sessions) if agent else 0,
            most_sms_sessions=capacity.sms_sessions,
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
