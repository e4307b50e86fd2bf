"""The people who answer: agents and their teams."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ivr_engine.domain.agents import MOST_SESSIONS
from ivr_engine.site.values import Label, Level, Name, Settings

Sessions = Annotated[int, Field(ge=1, le=MOST_SESSIONS)]


class Blending(Settings):
    """How calls and SMS sessions mix."""

    calls_during_sms: bool = True
    """Whether a call may come to an agent who has SMS sessions open."""
    sms_during_calls: bool = False
    """Whether an SMS session may come to an agent on a call."""


class Team(Settings):
    label: Label
    """Its name for people."""
    sms_sessions: Sessions = 1
    """At once, for each agent of the team who has no number of their own."""
    blending: Blending = Blending()


class AgentSettings(Settings):
    """``linear`` and ``round_robin`` go by the order in which agents are listed."""

    label: Label
    """The name, for colleagues."""
    queues: frozenset[Name]
    """Whose callers the agent is offered."""
    skills: dict[Name, Level] = Field(default_factory=dict)
    """Levels, 10 is the highest."""
    team: Name | None = None
    """By its name below `teams`."""
    sms_sessions: Sessions | None = None
    """At once; not given: the team's number."""
    blending: Blending | None = None
    """Not given: the team's."""
