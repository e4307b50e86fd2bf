"""What a simulated day comes to, read off the events: waits, losses, service level, occupancy, texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import (
    AgentChanged,
    AgentConnected,
    CallFinished,
    ConsentAsked,
    ConsentGiven,
    Event,
    LineLeft,
    MessageQueued,
    MessageReceived,
    MessageStatusChanged,
    OfferMissed,
    QueueEntered,
)
from ivr_engine.domain.messages import MessageStatus
from ivr_engine.domain.wait_watch import Accuracy, Of, QueueReport
from ivr_engine.rehearsal.day import HOUR_S, Day
from ivr_engine.rehearsal.simulation import Simulated

INTERVAL_S: Final = HOUR_S / 2

_WORKING: Final = frozenset({AgentState.OFFERED, AgentState.ON_CONTACT, AgentState.WRAP_UP})
_SERVING: Final = _WORKING | {AgentState.AVAILABLE}

Json = dict[str, Any]


@dataclass(slots=True)
class Stay:
    """One caller in one line. Seconds since midnight."""

    queue: str
    since: float
    answered: float | None = None
    hung_up: float | None = None
    led_on: float | None = None
    over: float | None = None
    """The end of the talk."""


@dataclass(slots=True)
class Work:
    """What agents did in one interval, in seconds of all together."""

    serving: float = 0.0
    working: float = 0.0


@dataclass(slots=True)
class _Folded:
    stays: list[Stay] = field(default_factory=list[Stay])
    work: dict[int, Work] = field(default_factory=dict[int, Work])
    missed: int = 0
    offered: set[str] = field(default_factory=set[str])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    queued: set[str] = field(default_factory=set[str])
    sent: set[str] = field(default_factory=set[str])
    delivered: set[str] = field(default_factory=set[str])
    replied: set[str] = field(default_factory=set[str])
    replies: int = 0


def report(day: Day, simulated: Simulated) -> Json:
    """Everything as JSON, rounded so that it reads well; the same day always gives the same bytes."""
    folded = _fold(day, simulated.events)
    queues = sorted({stay.queue for stay in folded.stays})
    return {
        "what": day.what,
        "date": day.date,
        "seed": day.seed,
        "calls": len({event.call_id for event in simulated.events if event.call_id is not None}),
        "answered_within_s": day.answered_within,
        "total": _figures(folded.stays, day),
        "queues": {name: _figures([s for s in folded.stays if s.queue == name], day) for name in queues},
        "agents": _agents(folded.work.values()) | {"offers_missed": folded.missed},
        "intervals": list(_intervals(day, folded)),
        "sms": _funnel(folded),
        "wait_estimates": {name: _accuracy(each) for name, each in sorted(simulated.estimates.items())},
    }


def _fold(day: Day, events: Iterable[Event]) -> _Folded:
    folded, midnight = _Folded(), day.midnight.timestamp()
    in_line: dict[str, Stay] = {}
    talking: dict[str, Stay] = {}
    agents: dict[str, tuple[str, float]] = {}
    now = 0.0
    for event in events:
        now, call = event.at.timestamp() - midnight, event.call_id or ""
        match event.what:
            case QueueEntered(queue=queue):
                folded.stays.append(in_line.setdefault(call, Stay(queue, now)))
            case AgentConnected() if call in in_line:
                talking[call] = in_line.pop(call)
                talking[call].answered = now
            case LineLeft() if call in in_line:
                in_line.pop(call).led_on = now
            case CallFinished(reason=reason):
                _finished(in_line.pop(call, None), talking.pop(call, None), reason, now)
            case OfferMissed():
                folded.missed += 1
            case AgentChanged(agent=agent, state=state):
                before, since = agents.get(agent, (AgentState.OFFLINE, now))
                _worked(folded.work, before, since, now)
                agents[agent] = state, now
            case _:
                _sms(folded, event, call)
    for state, since in agents.values():
        _worked(folded.work, state, since, now)
    return folded


def _finished(waiting: Stay | None, talking: Stay | None, reason: str, now: float) -> None:
    if talking is not None:
        talking.over = now
    elif waiting is not None and reason == EndReason.CALLER_HUNG_UP:
        waiting.hung_up = now
    elif waiting is not None:
        waiting.led_on = now


def _worked(work: dict[int, Work], state: str, since: float, until: float) -> None:
    """Share the time out among the intervals."""
    if state not in _SERVING:
        return
    while since < until:
        interval = int(since // INTERVAL_S)
        end = min(until, (interval + 1) * INTERVAL_S)
        part = work.setdefault(interval, Work())
        part.serving += end - since
        part.working += (end - since) if state in _WORKING else 0.0
        since = end


def _sms(folded: _Folded, event: Event, call: str) -> None:
    match event.what:
        case ConsentAsked():
            folded.offered.add(call)
        case ConsentGiven(outcome=outcome):
            folded.outcomes[call] = outcome
        case MessageQueued(message_id=message):
            folded.queued.add(message)
        case MessageStatusChanged(message_id=message, status=MessageStatus.SENT):
            folded.sent.add(message)
        case MessageStatusChanged(message_id=message, status=MessageStatus.DELIVERED):
            folded.delivered.add(message)
        case MessageReceived():
            folded.replied.add(call)
            folded.replies += 1
        case _:
            pass


# ── what it comes to ─────────────────────────────────────────────────────────────────────────────


def _figures(stays: Sequence[Stay], day: Day) -> Json:
    """Of one queue or all; times in seconds."""
    waits = sorted(s.answered - s.since for s in stays if s.answered is not None)
    left = sorted(s.hung_up - s.since for s in stays if s.hung_up is not None)
    talks = [s.over - s.answered for s in stays if s.answered is not None and s.over is not None]
    short = sum(wait < day.short_abandon for wait in left)
    counted = len(stays) - short
    in_time = sum(wait <= day.answered_within for wait in waits)
    return {
        "offered": len(stays),
        "answered": len(waits),
        "abandoned": len(left),
        "abandoned_at_once": short,
        "led_on": sum(s.led_on is not None for s in stays),
        "service_level": _share(in_time, counted),
        "abandonment": _share(len(left) - short, counted),
        "wait_s": _times(waits),
        "patience_of_abandoned_s": _times(left),
        "talk_s": _times(sorted(talks)),
    }


def _times(sorted_s: Sequence[float]) -> Json | None:
    if not sorted_s:
        return None
    return {
        "mean": round(math.fsum(sorted_s) / len(sorted_s), 1),
        **{f"p{share}": round(_quantile(sorted_s, share / 100), 1) for share in (50, 80, 95)},
        "longest": round(sorted_s[-1], 1),
    }


def _quantile(sorted_s: Sequence[float], share: float) -> float:
    return sorted_s[min(len(sorted_s) - 1, math.ceil(share * len(sorted_s)) - 1)]


def _share(part: int, of: int) -> float | None:
    return round(part / of, 4) if of else None


def _agents(work: Iterable[Work]) -> Json:
    parts = list(work)
    serving, working = math.fsum(w.serving for w in parts), math.fsum(w.working for w in parts)
    return {
        "hours": round(serving / HOUR_S, 2),
        "working_hours": round(working / HOUR_S, 2),
        "occupancy": round(working / serving, 4) if serving else None,
    }


def _intervals(day: Day, folded: _Folded) -> Iterator[Json]:
    by_interval: dict[int, list[Stay]] = {}
    for stay in folded.stays:
        by_interval.setdefault(int(stay.since // INTERVAL_S), []).append(stay)
    there = sorted(by_interval.keys() | folded.work.keys())
    for interval in range(there[0], there[-1] + 1) if there else ():
        work = folded.work.get(interval, Work())
        figures = _figures(by_interval.get(interval, []), day)
        hour, minutes = divmod(int(interval * INTERVAL_S // 60), 60)
        yield {
            "from": f"{hour:02}:{minutes:02}",
            "agents": round(work.serving / INTERVAL_S, 2),
            "occupancy": round(work.working / work.serving, 4) if work.serving else None,
            **{
                name: figures[name]
                for name in ("offered", "answered", "abandoned", "service_level", "wait_s")
            },
        }


def _funnel(folded: _Folded) -> Json:
    outcomes = Counter(folded.outcomes.values())
    return {
        "offered": len(folded.offered),
        "allowed": outcomes[WaitTimeSmsStatus.ALLOWED],
        "denied": outcomes[WaitTimeSmsStatus.DENIED],
        "no_response": outcomes[WaitTimeSmsStatus.NO_RESPONSE],
        "sent": len(folded.queued & folded.sent),
        "delivered": len(folded.queued & folded.delivered),
        "callers_who_replied": len(folded.replied),
        "replies": folded.replies,
    }


def _accuracy(queue: QueueReport) -> Json:
    """As ``domain.wait_watch`` measures it; shares of the last day."""
    return {of.value: _of(queue.accuracy[of]) for of in Of}


def _of(accuracy: Accuracy) -> Json | None:
    callers = accuracy.callers
    if callers < 1:
        return None
    return {
        "callers": round(callers),
        "within_p50": round(accuracy.within_p50 / callers, 4),
        "within_p80": round(accuracy.within_p80 / callers, 4),
        "bias": round(accuracy.error / accuracy.waited, 4) if accuracy.waited else None,
        "rrase": _rounded(accuracy.relative(accuracy.square)),
        "rrase_of_app_queue": _rounded(accuracy.relative(accuracy.app_queue_square)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
