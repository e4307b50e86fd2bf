"""The lines that callers wait in: what each queue sets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ivr_engine.domain.routing import OverflowStep, QueueRules, Strategy
from ivr_engine.site.lines import (
    LastAgent,
    MaximumWait,
    NoAgents,
    Overflow,
)
from ivr_engine.site.over_capacity import OverCapacity
from ivr_engine.site.sms_numbers import SmsSender
from ivr_engine.site.values import (
    Label,
    Level,
    Name,
    PositiveSeconds,
    PromptName,
    Seconds,
    Settings,
)
from ivr_engine.site.wait_time_sms import AbandonedTickets, QueueWaitTimeSms


class QueueRecording(Settings):
    """Whether talks are recorded, both sides, and what callers are told before."""

    when: Literal["never", "always", "on_demand"] = "never"
    """``on_demand``: when somebody of the staff says so, in a talk."""
    ask: Literal["announcement", "consent"] = "announcement"
    """Before the first recording of a call. ``announcement``: the caller is told; ``consent``: presses 1 to
    agree or 2 to refuse, and whoever says nothing is not recorded."""


class Queue(Settings):
    label: Label
    """Its name for agents."""
    music: Name = "default"
    """A music class of Asterisk's musiconhold.conf."""
    announcement_interval: PositiveSeconds | None = None
    """Overrides the universal interval."""
    first_announcement: Seconds | None = None
    """Seconds from entry to the first round; the interval where not given."""
    announce_position: bool = True
    """Whether callers hear their place in the line."""
    announce_position_up_to: Annotated[int, Field(ge=1)] | None = None
    """Nothing is said to callers with a place behind it."""
    announce_wait: bool = False
    """Say how long it will take: a range, "between three and five minutes". Nothing while that is unknown."""
    announce_wait_up_to: PositiveSeconds | None = None
    """Nothing is said of the wait to callers who may wait longer (P80)."""
    messages: tuple[PromptName, ...] = ()
    """Prompts of which one is said in each round of announcements, in turn."""
    ring_time: PositiveSeconds = 20.0
    """Seconds an agent has to answer; then the agent is in RONA, the caller at the old place."""
    handling_time: PositiveSeconds = 240.0
    """Seconds a contact takes, wrap-up included: the wait estimate begins with it until it has seen some."""
    may_decline: bool = False
    """Whether agents may decline a call without having to say, each time, that they are back."""
    declined_pause: PositiveSeconds = 30.0
    """Seconds in which a call that an agent was allowed to decline is not offered to them again."""
    strategy: Strategy = Strategy.LONGEST_IDLE
    """Whose turn it is among the agents who are free."""
    skills: dict[Name, Level] = Field(default_factory=dict)
    """Required of every agent who takes a call of this queue."""
    overflow: tuple[Overflow, ...] = ()
    last_agent: LastAgent | None = None
    maximum_wait: MaximumWait | None = None
    no_agents: NoAgents | None = None
    over_capacity: OverCapacity | None = None
    wrap_up: Seconds = 0.0
    """Seconds an agent has to themselves after a call, at most."""
    wrap_up_reason: Literal["optional", "required"] = "optional"
    """``required``: the wrap-up ends before its time only with a reason."""
    in_call_sms: bool = True
    """Texts in its calls, also while callers wait."""
    sms_numbers: tuple[SmsSender, ...] = ()
    """Its own of `sms_numbers`, the preferred first; none, or none verified: `sms.sender`."""
    wait_time_sms: QueueWaitTimeSms = QueueWaitTimeSms()
    abandoned_tickets: AbandonedTickets | None = None
    """Not given: as for all."""
    schedule: Name | None = None
    """When callers are let in; not given: always."""
    closed_prompt: PromptName = "closed"
    """The last words to callers outside the queue's hours, where a flow has no other way for them."""
    prompts: dict[PromptName, PromptName] = Field(default_factory=dict)
    """Spoken messages of its own: usual name → the name that is played in its place."""
    recording: QueueRecording = QueueRecording()

    @property
    def rules(self) -> QueueRules:
        """Whom callers may be offered to."""
        steps = (
            OverflowStep(after_s=step.after, queues=step.queues, skills=step.skills) for step in self.overflow
        )
        return QueueRules(strategy=self.strategy, skills=self.skills, overflow=tuple(steps))
