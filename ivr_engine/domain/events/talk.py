"""What agents and supervisors did in a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallHeld:
    """The caller hears music; the agent is there."""

    agent: str


@dataclass(frozen=True, slots=True)
class CallResumed:
    agent: str


@dataclass(frozen=True, slots=True)
class AgentMuted:
    agent: str


@dataclass(frozen=True, slots=True)
class AgentUnmuted:
    agent: str


@dataclass(frozen=True, slots=True)
class CallHandedOn:
    """Without a word: ``to`` names a ``kind``, which is ``queue``, ``agent`` or ``number``."""

    agent: str
    kind: str
    to: str


@dataclass(frozen=True, slots=True)
class ConsultStarted:
    """The agent calls ``whom`` (an agent, or a number) while the caller hears music."""

    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class ConsultAnswered:
    whom: str


@dataclass(frozen=True, slots=True)
class ConsultEnded:
    """The caller is the agent's again. ``reason``: ``taken_back``, ``hung_up``, or as in
    ``ports.DialResult``."""

    whom: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConferenceStarted:
    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class CallHandedOver:
    """``whom`` the agent had called has the caller now."""

    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class ListeningStarted:
    """``mode`` as in ``domain.talk.Listening``."""

    listener: str
    mode: str


@dataclass(frozen=True, slots=True)
class ListeningEnded:
    """``reason``: ``stopped``, ``hung_up``, or as in ``ports.DialResult``."""

    listener: str
    reason: str


Happening = (
    CallHeld
    | CallResumed
    | AgentMuted
    | AgentUnmuted
    | CallHandedOn
    | ConsultStarted
    | ConsultAnswered
    | ConsultEnded
    | ConferenceStarted
    | CallHandedOver
    | ListeningStarted
    | ListeningEnded
)
