"""The wait estimates of all queues, read off the events: what a crash has taken is read again.

Every caller who enters a line is given an estimate here, whether they hear one or not, and what they heard
is noted too: held against how long it was, that tells how good the estimates are, beside app_queue's rule.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.events import (
    AgentChanged,
    AgentConnected,
    AgentOffered,
    CallbackAgreed,
    CallbackFailed,
    CallFellBack,
    CallFinished,
    Event,
    Happening,
    LineLeft,
    OfferMissed,
    QueueEntered,
    WaitAnnounced,
)
from ivr_engine.domain.wait_estimate import DAY_S, AppQueueRule, Estimate, Meter, Rates

NO_WAIT_S: Final = 1.0
"""Who is offered to an agent within so many seconds found one free: it says nothing of how lines drain."""

SERVING: Final = frozenset(
    {AgentState.AVAILABLE, AgentState.OFFERED, AgentState.ON_CONTACT, AgentState.WRAP_UP}
)
"""Agents who are at work: they take callers now or soon."""


READ: Final = frozenset[type[Happening]](
    {
        QueueEntered,
        AgentOffered,
        OfferMissed,
        AgentConnected,
        CallFellBack,
        LineLeft,
        CallFinished,
        WaitAnnounced,
        AgentChanged,
        CallbackAgreed,
        CallbackFailed,
    }
)
"""The kinds of event that tell something about waits."""


class Of(StrEnum):
    """Which estimates: what each caller would have been told on ``entry``, or what was ``announced``."""

    ENTRY = "entry"
    ANNOUNCED = "announced"


@dataclass(frozen=True, slots=True)
class Told:
    """An estimate at a moment, and app_queue's figure of the same."""

    at: float
    of: Of
    p50_s: float
    p80_s: float
    expected_s: float
    app_queue_s: float


@dataclass(slots=True)
class Accuracy:
    """How estimates came out, forgetting over a day. Sums over callers who waited and were served."""

    at: float = 0.0
    callers: float = 0.0
    within_p50: float = 0.0
    within_p80: float = 0.0
    waited: float = 0.0
    error: float = 0.0
    square: float = 0.0
    app_queue_square: float = 0.0

    def add(self, now: float, told: Told) -> None:
        """The caller who was told so was connected at ``now``."""
        self._forget(now)
        waited = now - told.at
        self.callers += 1
        self.within_p50 += waited <= told.p50_s
        self.within_p80 += waited <= told.p80_s
        self.waited += waited
        self.error += told.expected_s - waited
        self.square += (told.expected_s - waited) ** 2
        self.app_queue_square += (told.app_queue_s - waited) ** 2

    def relative(self, square: float) -> float | None:
        """The root mean square of errors over the mean wait (RRASE); ``None`` before anybody waited."""
        if self.callers <= 0 or self.waited <= 0:
            return None
        return math.sqrt(square / self.callers) / (self.waited / self.callers)

    def _forget(self, now: float) -> None:
        kept = math.exp(-max(0.0, now - self.at) / DAY_S) if self.at else 1.0
        self.at = max(self.at, now)
        for name in ("callers", "within_p50", "within_p80", "waited", "error", "square", "app_queue_square"):
            setattr(self, name, getattr(self, name) * kept)


@dataclass(slots=True)
class Caller:
    """In the line of ``queue`` since ``since``; ``offered_at``: an agent is reserved. ``called_back``: nobody
    is on the line, and until somebody is, more happens than that a phone rings."""

    queue: str
    since: float
    offered_at: float | None = None
    called_back: bool = False
    told: list[Told] = field(default_factory=list[Told])

    @property
    def had_to_wait(self) -> bool:
        return self.offered_at is not None and self.offered_at - self.since > NO_WAIT_S


@dataclass(slots=True)
class QueueWatch:
    meter: Meter
    ringing: int = 0
    app_queue: AppQueueRule = field(default_factory=AppQueueRule)
    entry: Accuracy = field(default_factory=Accuracy)
    announced: Accuracy = field(default_factory=Accuracy)

    def accuracy(self, of: Of) -> Accuracy:
        return self.entry if of is Of.ENTRY else self.announced


@dataclass(frozen=True, slots=True)
class QueueWaits:
    """One queue at one moment: ``agents`` at work who serve it, ``idle`` of them without work. ``ringing``
    callers still have a place in line, but an agent too, and ``ahead`` counts them."""

    rates: Rates
    agents: int
    idle: int
    ringing: int
    app_queue: AppQueueRule

    def newcomer(self, ahead: int) -> Estimate | None:
        """For somebody who would come now; ``None``: unknown, nobody is signed in."""
        return self.rates.estimate(max(0, ahead - self.ringing), self.agents, self.idle)

    def waiting(self, ahead: int) -> Estimate | None:
        """For somebody who waits: agents without work are none for them."""
        return self.rates.estimate(max(0, ahead - self.ringing), self.agents)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """For those who watch a queue: the wait of somebody who would come now, and how estimates came out."""

    newcomer: Estimate | None
    accuracy: Mapping[Of, Accuracy]


@dataclass(frozen=True, slots=True)
class Staffing:
    """What the site says: the queues of each agent, and how long a conversation of each queue takes."""

    queues_of: Mapping[str, Collection[str]]
    handling_s: Mapping[str, float]

    def share(self, queue: str) -> float:
        """The mean of one over the number of queues, of those who serve this one."""
        parts = [1 / len(queues) for queues in self.queues_of.values() if queue in queues]
        return sum(parts) / len(parts) if parts else 1.0


@dataclass(slots=True)
class WaitWatch:
    """Told of every event that is ``READ``, in their order. ``through`` is the last one's id, ``at`` the time
    it is brought up to. All of it can be stored."""

    through: int = 0
    at: float = 0.0
    queues: dict[str, QueueWatch] = field(default_factory=dict[str, QueueWatch])
    callers: dict[str, Caller] = field(default_factory=dict[str, Caller])
    agents: dict[str, str] = field(default_factory=dict[str, str])

    def staff(self, staffing: Staffing) -> None:
        """From here on the configuration says who serves what; queues it does not know are forgotten."""
        for name in [queue for queue in self.queues if queue not in staffing.handling_s]:
            del self.queues[name]
        for name, handling_s in staffing.handling_s.items():
            watch = self.queues.setdefault(name, QueueWatch(Meter(self.at, handling_s)))
            watch.meter.handling_s, watch.meter.share = handling_s, staffing.share(name)
            watch.meter.staffed(self.at, len(self._serving(name, staffing)))

    def pass_until(self, now: float) -> None:
        """Nothing more has happened until then."""
        self.at = max(self.at, now)
        for watch in self.queues.values():
            watch.meter.pass_until(self.at)

    def tell(self, event: Event, staffing: Staffing) -> None:
        """One event."""
        self.through = max(self.through, event.id)
        now, call = event.at.timestamp(), event.call_id or ""
        self.at = max(self.at, now)
        match event.what:
            case QueueEntered(queue=queue, position=position):
                self._enters(call, queue, position - 1, now)
            case AgentOffered():
                self._offered(call, now)
            case OfferMissed() | CallFellBack():
                self._not_taken(call, now)
            case AgentConnected():
                self._connected(call, now)
            case LineLeft() | CallFinished():
                self._leaves(call, now)
            case CallbackAgreed():
                if call in self.callers:
                    self.callers[call].called_back = True
            case CallbackFailed():
                self._leaves(call, now)  # tried again after a while, in which agents do without them
            case WaitAnnounced(p50_s=p50, p80_s=p80, expected_s=expected, app_queue_s=theirs):
                if call in self.callers:
                    self.callers[call].told.append(Told(now, Of.ANNOUNCED, p50, p80, expected, theirs))
            case AgentChanged(agent=agent, state=state):
                self._agent(agent, state, now, staffing)
            case _:
                pass

    def waits(self, queue: str, staffing: Staffing) -> QueueWaits | None:
        """``None`` for a queue the configuration does not know."""
        watch = self.queues.get(queue)
        if watch is None:
            return None
        serving = self._serving(queue, staffing)
        idle = sum(self.agents[agent] == AgentState.AVAILABLE for agent in serving)
        rule = AppQueueRule(watch.app_queue.hold_s)
        return QueueWaits(watch.meter.rates(), len(serving), idle, watch.ringing, rule)

    def _serving(self, queue: str, staffing: Staffing) -> list[str]:
        return [
            agent
            for agent, queues in staffing.queues_of.items()
            if queue in queues and self.agents.get(agent) in SERVING
        ]

    def _watched(self, call: str) -> tuple[Caller, QueueWatch] | None:
        caller = self.callers.get(call)
        watch = self.queues.get(caller.queue) if caller is not None else None
        return (caller, watch) if caller is not None and watch is not None else None

    def _enters(self, call: str, queue: str, ahead: int, now: float) -> None:
        self._leaves(call, now)
        watch = self.queues.get(queue)
        if watch is None:
            return
        watch.meter.arrived(now)
        caller = self.callers[call] = Caller(queue, now)
        estimate = watch.meter.rates().estimate(max(0, ahead - watch.ringing), watch.meter.agents)
        if estimate is not None:
            theirs = watch.app_queue.expected_s(0.0)
            caller.told.append(
                Told(now, Of.ENTRY, estimate.p50_s, estimate.p80_s, estimate.expected_s, theirs)
            )

    def _offered(self, call: str, now: float) -> None:
        if (found := self._watched(call)) and found[0].offered_at is None:
            caller, watch = found
            caller.offered_at = now
            watch.ringing += 1
            watch.meter.taken(now, waited=caller.had_to_wait)

    def _not_taken(self, call: str, now: float) -> None:
        if (found := self._watched(call)) and found[0].offered_at is not None:
            caller, watch = found
            watch.meter.returned(now, waited=caller.had_to_wait)
            caller.offered_at = None
            watch.ringing -= 1

    def _connected(self, call: str, now: float) -> None:
        if found := self._watched(call):
            caller, watch = found
            self._offered(call, now)
            watch.ringing -= 1
            if not caller.called_back:
                self._served(caller, watch, now)
        self.callers.pop(call, None)

    def _served(self, caller: Caller, watch: QueueWatch, now: float) -> None:
        watch.meter.rang(now - (caller.offered_at or now))
        watch.app_queue.served(now - caller.since)
        for told in caller.told if caller.had_to_wait else ():
            watch.accuracy(told.of).add(now, told)

    def _leaves(self, call: str, now: float) -> None:
        self._not_taken(call, now)  # an agent reserved has taken nobody
        if found := self._watched(call):
            caller, watch = found
            watch.meter.left(now, gave_up=not caller.called_back)
        self.callers.pop(call, None)

    def _agent(self, agent: str, state: str, now: float, staffing: Staffing) -> None:
        before = self.agents.get(agent)
        self.agents[agent] = state
        if (before in SERVING) == (state in SERVING):
            return
        change = 1 if state in SERVING else -1
        for queue in staffing.queues_of.get(agent, ()):
            watch = self.queues.get(queue)
            if watch is not None:
                watch.meter.staffed(now, max(0, watch.meter.agents + change))
