"""The admin's YAML as frozen, validated values, and what follows from them for one queue.

Globals and what a queue sets differently are merged here, so that a call only asks ``site.rules_for(queue)``.
Every method is pure. A queue that the site does not know (any more) raises ``QueueRemoved``, but for what the
end of a call needs: a call may outlive its queue's place in the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from ivr_engine.domain.agents import Capacity
from ivr_engine.domain.announcements import AnnouncementRules
from ivr_engine.domain.consent import OfferRules
from ivr_engine.domain.dialling import NotDialled, why_not_dialled
from ivr_engine.domain.leaving import Limits as LeaveLimits
from ivr_engine.domain.overload import Limits
from ivr_engine.domain.routing import OverflowStep, Profile, QueueRules, Strategy
from ivr_engine.domain.schedules import opening
from ivr_engine.domain.sms_numbers import usual_rate
from ivr_engine.errors import QueueRemoved
from ivr_engine.site.crm import CrmSettings
from ivr_engine.site.flows import Flow, Node
from ivr_engine.site.in_call_sms import InCallSms
from ivr_engine.site.lines import (
    AccessPoints,
    LastAgent,
    MaximumWait,
    NoAgents,
    Number,
    Overflow,
    Vip,
    WayOut,
)
from ivr_engine.site.opt_outs import Answer, OptOutSettings, Retention
from ivr_engine.site.over_capacity import OverCapacity
from ivr_engine.site.schedules import ScheduleSettings
from ivr_engine.site.sending import Provider, Sending
from ivr_engine.site.sms_numbers import SmsNumber, SmsSender, receiving
from ivr_engine.site.staff import AgentSettings, Blending, Team
from ivr_engine.site.values import (
    E164,
    Country,
    Dialled,
    Label,
    Language,
    Level,
    Name,
    PositiveSeconds,
    Prefix,
    PromptName,
    Seconds,
    Settings,
    Trunk,
)
from ivr_engine.site.wait_time_sms import AbandonedTickets, Abuse, QueueWaitTimeSms, WaitTimeSms, offer_rules

POSITIONS: Final = 20
"""Places in line that have a sentence of their own; behind them ``position.more`` is said."""


class QueueRecording(Settings):
    """Whether talks are recorded, both sides, and what callers are told before."""

    when: Literal["never", "always", "on_demand"] = "never"
    """``on_demand``: when somebody of the staff says so, in a talk."""
    ask: Literal["announcement", "consent"] = "announcement"
    """Before the first recording of a call. ``announcement``: the caller is told; ``consent``: presses 1 to
    agree or 2 to refuse, and whoever says nothing is not recorded."""


class Queue(Settings):
    label: Label
    music: Name = "default"
    announcement_interval: PositiveSeconds | None = None
    """Overrides the universal interval."""
    first_announcement: Seconds | None = None
    """Seconds from entry to the first round; the interval where not given."""
    announce_position: bool = True
    announce_position_up_to: Annotated[int, Field(ge=1)] | None = None
    """Nothing is said to callers with a place behind it."""
    announce_wait: bool = False
    """Say how long it will take: a range, "between three and five minutes". Nothing while that is unknown."""
    announce_wait_up_to: PositiveSeconds | None = None
    """Nothing is said of the wait to callers who may wait longer (P80)."""
    messages: tuple[PromptName, ...] = ()
    """Prompts of which one is said in each round of announcements, in turn."""
    ring_time: PositiveSeconds = 20.0
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


class RecordingSettings(Settings):
    """How long recordings of talks are kept. Whichever limit is reached first counts; the oldest go first."""

    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    keep_gigabytes: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """Of all recordings together; an hour takes 58 MB."""
    longest: Annotated[int, Field(ge=10, le=3600)] = 3600
    """Seconds of one recording."""


class CallbackSettings(Settings):
    """How callers are called back, through the trunk of ``transfers``. Times are seconds."""

    ring_time: PositiveSeconds = 30.0
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often the number is dialled again when nobody presses 1."""
    retry_after: PositiveSeconds = 300.0
    expires: PositiveSeconds = 14_400.0
    """After so long nobody is called back any more."""


class Transfers(Settings):
    """Dialling outside. Emergency and premium numbers are never dialled, whatever is allowed here."""

    trunk: Trunk
    """The endpoint in Asterisk's pjsip.conf that numbers are dialled through."""
    allow: Annotated[tuple[Prefix, ...], Field(min_length=1)]
    """Beginnings of numbers: ``+49`` for a country, a whole number for that one alone."""
    caller_id: E164 | None = None
    """What the other side is shown; not given: the caller's number."""


class LimitSettings(Settings):
    """What one engine takes on before it leaves new callers to other engines and the fallback."""

    calls: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """At once."""
    arrivals: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    """New calls a second, on average over ``overload.BURST_S``."""
    store_lag: PositiveSeconds = 1.0
    """Seconds that the database may take for a transaction."""

    @property
    def limits(self) -> Limits:
        return Limits(calls=self.calls, arrivals_per_s=self.arrivals, store_lag_s=self.store_lag)


class SpeechSettings(Settings):
    """What speaks the texts when they are loaded."""

    engine: Literal["espeak-ng", "piper"] = "espeak-ng"
    program: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Path of the program; not given: found by its name. A change takes a restart."""
    voices: dict[Language, Annotated[str, Field(min_length=1, max_length=500)]] = Field(default_factory=dict)
    """For piper: the voice file (``.onnx``) of each language."""


class SmsSettings(Settings):
    provider: Provider = "simulator"
    """A change takes a restart: texts under way are the provider's who took them."""
    sender: E164


class Site(Settings):
    """Everything in ``config/``, as one value."""

    brand: Label
    country: Country
    """Where the site is: numbers without a country code are read as of here."""
    default_language: Language
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    announcement_interval: PositiveSeconds = 30.0
    """Seconds from the end of one round of announcements to the next: the universal interval."""
    in_call_sms: InCallSms = InCallSms()
    wait_time_sms: WaitTimeSms
    abuse: Abuse = Abuse()
    abandoned_tickets: AbandonedTickets = "only_with_sms"
    """Of calls that end in a queue without an agent: a ticket ``always``, ``never``, or ``only_with_sms``,
    when the caller wrote or sent pictures."""
    sms: SmsSettings
    sms_numbers: dict[SmsSender, SmsNumber] = Field(default_factory=dict)
    """What texts are sent from and come to, beside `sms.sender`."""
    sending: Sending = Sending()
    opt_out: OptOutSettings = OptOutSettings()
    retention: Retention = Retention()
    numbers: dict[Dialled, Number]
    queues: dict[Name, Queue]
    transfers: Transfers | None = None
    recordings: RecordingSettings = RecordingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    limits: LimitSettings = LimitSettings()
    speech: SpeechSettings = SpeechSettings()
    schedules: dict[Name, ScheduleSettings] = Field(default_factory=dict)
    flows: dict[Name, Flow] = Field(default_factory=dict)
    agents: dict[Name, AgentSettings] = Field(default_factory=dict)
    teams: dict[Name, Team] = Field(default_factory=dict)
    skills: dict[Name, Label] = Field(default_factory=dict)
    """What agents can be good at."""
    break_reasons: dict[Name, Label] = Field(default_factory=dict)
    """Why agents may take a break; without any, breaks have no reason."""
    wrap_up_reasons: dict[Name, Label] = Field(default_factory=dict)
    """What agents can say a contact was about."""
    vip: Vip = Vip()
    access_points: AccessPoints | None = None
    crm: CrmSettings = CrmSettings()

    def queue(self, name: str) -> Queue:
        """The queue of that name; ``QueueRemoved`` when the site has none."""
        try:
            return self.queues[name]
        except KeyError:
            raise QueueRemoved(name) from None

    def node(self, flow: str, name: str) -> Node | None:
        """``None`` when the configuration has no such node (any more)."""
        found = self.flows.get(flow)
        return found and found.nodes.get(name)

    def why_not_dialled(self, number: str) -> NotDialled | None:
        """Whether calls may be transferred to that number, and if not, why."""
        allowed = self.transfers.allow if self.transfers is not None else ()
        return why_not_dialled(number, self.country, allowed)

    def is_open(self, queue: str, now: datetime) -> bool:
        """Whether callers are let into the queue at ``now``."""
        schedule = self.queue(queue).schedule
        return schedule is None or opening(self.schedules[schedule].schedule, now).open

    def rules_for(self, queue: str) -> OfferRules:
        """Whether and to whom callers in ``queue`` are offered the wait-time SMS.

        In-call SMS must be on too, each globally and for the queue.
        """
        own = self.queue(queue)
        return offer_rules(
            self.wait_time_sms,
            own.wait_time_sms,
            in_call=self.in_call_sms.enabled and own.in_call_sms,
            home_country=self.country,
            blocked=self.abuse.blocked,
        )

    def abandoned_tickets_of(self, queue: str) -> AbandonedTickets:
        """Also for a queue not known any more."""
        own = self.queues[queue].abandoned_tickets if queue in self.queues else None
        return own or self.abandoned_tickets

    def announcements(self, queue: str) -> AnnouncementRules:
        """What is said to those who wait in ``queue``."""
        own = self.queue(queue)
        return AnnouncementRules(
            position=own.announce_position,
            position_up_to=own.announce_position_up_to,
            wait=own.announce_wait,
            wait_up_to_s=own.announce_wait_up_to,
            messages=own.messages,
        )

    def needs_estimate(self, queue: str) -> bool:
        """Whether anything that callers in ``queue`` hear depends on how long they will wait."""
        return self.queue(queue).announce_wait or self.rules_for(queue).has_window

    def interval(self, queue: str) -> float:
        """Seconds from the end of one round of announcements to the next; the universal interval also for
        a queue not known any more."""
        own = self.queues[queue].announcement_interval if queue in self.queues else None
        return self.announcement_interval if own is None else own

    def wrap_up(self, queue: str) -> float:
        """Seconds an agent has to themselves after a contact; none for a queue not known any more."""
        return self.queues[queue].wrap_up if queue in self.queues else 0.0

    def may_decline(self, queue: str) -> bool:
        """Whether declining a call leaves the agent available; not for a queue not known any more."""
        return queue in self.queues and self.queues[queue].may_decline

    def wrap_up_reason_required(self, queue: str) -> bool:
        return queue in self.queues and self.queues[queue].wrap_up_reason == "required"

    def queue_rules(self) -> dict[str, QueueRules]:
        """Whom callers may be offered to, by queue."""
        return {name: _rules(queue) for name, queue in self.queues.items()}

    def profiles(self) -> dict[str, Profile]:
        """What each agent can take, by name."""
        return {
            name: Profile(queues=agent.queues, skills=agent.skills, order=order)
            for order, (name, agent) in enumerate(self.agents.items())
        }

    def capacity(self, agent: str) -> Capacity:
        """The agent's own settings before the team's; the least for one not known any more."""
        own = self.agents.get(agent)
        team = self.teams.get(own.team) if own and own.team else None
        blending = (own and own.blending) or (team.blending if team else Blending())
        sessions = (own and own.sms_sessions) or (team.sms_sessions if team else 1)
        return Capacity(
            sms_sessions=sessions,
            calls_during_sms=blending.calls_during_sms,
            sms_during_calls=blending.sms_during_calls,
        )

    def ways_out(self) -> Iterator[tuple[str, tuple[str, ...], WayOut]]:
        """Where callers go who leave a line: by queue, and by the path of the setting in it."""
        for name, queue in self.queues.items():
            for setting, way in (("maximum_wait", queue.maximum_wait), ("no_agents", queue.no_agents)):
                if way is not None:
                    yield name, (setting,), way
            for path, option in queue.over_capacity.options.items() if queue.over_capacity else ():
                if not option.wait:
                    yield name, ("over_capacity", *path), option

    def serving(self, queue: str) -> list[str]:
        """The agents whose own queue it is."""
        return [name for name, agent in self.agents.items() if queue in agent.queues]

    def able_to_serve(self, queue: str) -> list[str]:
        """The agents whose own queue it is, and those who help after a while."""
        own = self.queues.get(queue)
        queues = {queue}.union(*(step.queues for step in own.overflow)) if own else {queue}
        return [name for name, agent in self.agents.items() if agent.queues & queues]

    def leave_limits(self, queue: str) -> LeaveLimits:
        """When callers leave the line without an agent."""
        own = self.queue(queue)
        return LeaveLimits(
            maximum_wait_s=own.maximum_wait.after if own.maximum_wait else None,
            no_agents_s=own.no_agents.after if own.no_agents else None,
        )

    def entrance(self, number: str, access: str | None = None) -> Number | None:
        """Where a call leads: by its access point, else by the number dialled."""
        points = self.access_points.points if self.access_points else {}
        return points.get(access or "") or self.numbers.get(number)

    def first_announcement(self, queue: str) -> float:
        """Seconds from entering the line to the first round; 0 means at once."""
        own = self.queue(queue).first_announcement
        return self.interval(queue) if own is None else own

    def sms_text(self, queue: str, language: str) -> str:
        """The wait-time SMS as it is sent, the queue's own before the global one."""
        return self.worded(self.wait_time_sms.text | self.queue(queue).wait_time_sms.text, language)

    def worded(self, texts: Mapping[str, str], language: str) -> str:
        """Of an SMS ``texts`` per language the one to send; the default language's where one is missing."""
        return (texts.get(language) or texts[self.default_language]).replace("{brand}", self.brand)

    def answer(self, answer: Answer, language: str, number: str) -> str:
        """What is written back to who opts out, asks for help or opts in, and wrote to ``number``."""
        text = self.opt_out.text(answer, language, self.default_language)
        return self.filled_in(text, self.opt_out.contact or number)

    def filled_in(self, text: str, contact: str) -> str:
        return text.replace("{brand}", self.brand).replace("{contact}", contact)

    def prompt_name(self, queue: str, name: str) -> str:
        """The prompt that ``queue`` plays where others play ``name``."""
        return self.queue(queue).prompts.get(name, name)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Those that carry texts, the first one first."""
        second = self.sending.second_provider
        return (self.sms.provider, second.provider) if second else (self.sms.provider,)

    def rate_of(self, sender: str) -> float:
        """Parts a second that may be sent from ``sender``; also of one the site does not list (any more)."""
        own = self.sms_numbers.get(sender)
        return (own and own.rate) or usual_rate(sender)

    def receiving_numbers(self) -> tuple[str, ...]:
        """Ours that a text can come to."""
        second = self.sending.second_provider
        others = (second.sender,) if second and second.sender else ()
        return tuple(dict.fromkeys((self.sms.sender, *receiving(self.sms_numbers), *others)))

    def queues_of(self) -> dict[str, frozenset[str]]:
        """The queues each agent serves, by agent name."""
        return {name: agent.queues for name, agent in self.agents.items()}


def _rules(queue: Queue) -> QueueRules:
    steps = (
        OverflowStep(after_s=step.after, queues=step.queues, skills=step.skills) for step in queue.overflow
    )
    return QueueRules(strategy=queue.strategy, skills=queue.skills, overflow=tuple(steps))
