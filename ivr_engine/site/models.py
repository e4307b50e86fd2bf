"""The admin's YAML as frozen, validated values, and what follows from them for one queue.

Globals and what a queue sets differently are merged here, so that a call only asks ``site.rules_for(queue)``.
Every method is pure. A queue that the site does not know (any more) raises ``QueueRemoved``, but for what the
end of a call needs: a call may outlive its queue's place in the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field

from ivr_engine.domain.agents import Capacity
from ivr_engine.domain.announcements import AnnouncementRules
from ivr_engine.domain.consent import OfferRules
from ivr_engine.domain.dialling import NotDialled, why_not_dialled
from ivr_engine.domain.leaving import Limits as LeaveLimits
from ivr_engine.domain.routing import Profile, QueueRules
from ivr_engine.domain.schedules import opening
from ivr_engine.domain.sms_numbers import usual_rate
from ivr_engine.errors import QueueRemoved
from ivr_engine.site.crm import CrmSettings
from ivr_engine.site.flows import Flow, Node
from ivr_engine.site.general import (
    CallbackSettings,
    LimitSettings,
    RecordingSettings,
    SmsSettings,
    SpeechSettings,
    Transfers,
)
from ivr_engine.site.in_call_sms import InCallSms
from ivr_engine.site.lines import (
    AccessPoints,
    Number,
    Vip,
    WayOut,
)
from ivr_engine.site.opt_outs import Answer, OptOutSettings, Retention
from ivr_engine.site.queues import Queue
from ivr_engine.site.schedules import ScheduleSettings
from ivr_engine.site.sending import Provider, Sending
from ivr_engine.site.sms_numbers import SmsNumber, SmsSender, receiving
from ivr_engine.site.staff import AgentSettings, Blending, Team
from ivr_engine.site.values import (
    Country,
    Dialled,
    Label,
    Language,
    Name,
    PositiveSeconds,
    Settings,
)
from ivr_engine.site.wait_time_sms import AbandonedTickets, Abuse, WaitTimeSms, offer_rules

POSITIONS: Final = 20
"""Places in line that have a sentence of their own; behind them ``position.more`` is said."""


class Site(Settings):
    """Everything in ``config/``, as one value."""

    brand: Label
    """Your name, as callers and readers of texts know it: `{brand}` in texts."""
    country: Country
    """Where the site is: numbers without a country code are read as of here."""
    default_language: Language
    """What is spoken to who has not chosen; one of `languages`."""
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    """Each has a folder in `prompts/`."""
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
    """Numbers that can be dialled, and where each leads."""
    queues: dict[Name, Queue]
    """The lines callers wait in."""
    transfers: Transfers | None = None
    recordings: RecordingSettings = RecordingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    limits: LimitSettings = LimitSettings()
    speech: SpeechSettings = SpeechSettings()
    schedules: dict[Name, ScheduleSettings] = Field(default_factory=dict)
    """Opening hours, which flows and queues name."""
    flows: dict[Name, Flow] = Field(default_factory=dict)
    """What callers are led through, which numbers name."""
    agents: dict[Name, AgentSettings] = Field(default_factory=dict)
    """Who answers. The name is that of their phone account as well."""
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
        """Whether and to whom callers in ``queue`` are offered the wait-time SMS; ``QueueRemoved`` when the
        site has no such queue.

        In-call SMS must be on too, each globally and for the queue.
        """
        if queue not in self._offer_rules:
            raise QueueRemoved(queue)
        return self._offer_rules[queue]

    @cached_property
    def _offer_rules(self) -> Mapping[str, OfferRules]:
        return {
            name: offer_rules(
                self.wait_time_sms,
                own.wait_time_sms,
                in_call=self.in_call_sms.enabled and own.in_call_sms,
                home_country=self.country,
                blocked=self.abuse.blocked,
            )
            for name, own in self.queues.items()
        }

    @cached_property
    def rules_of_any_queue(self) -> OfferRules:
        """The countries that callers of some queue may be in: for an SMS on its way, when which queue it was
        has been asked."""
        rules = self._offer_rules.values()
        abroad = frozenset[str]().union(*(one.countries for one in rules if one.non_domestic))
        return OfferRules(
            enabled=True,
            home_country=self.country,
            non_domestic=bool(abroad),
            countries=abroad,
            blocked=tuple(sorted(self.abuse.blocked)),
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
        return {name: queue.rules for name, queue in self.queues.items()}

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
