"""The waiting line and who is offered to whom. Nobody overtakes without a rule that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call


def line(calls: Iterable[Call], queue: str) -> list[Call]:
    """The callers who hold a place in ``queue``, first in line first."""
    return sorted((c for c in calls if c.queue == queue and c.in_line), key=_place)


def _place(call: Call) -> tuple[int, datetime, str]:
    return (-call.priority, call.entered_at or call.started_at, call.id)


@dataclass(frozen=True, slots=True)
class Match:
    call: Call
    agent: Agent


def matches(
    calls: Sequence[Call], agents: Sequence[Agent], queues_of: Mapping[str, frozenset[str]], now: datetime
) -> list[Match]:
    """Pair waiting callers with free agents: callers in order of place, agents longest idle first.

    ``queues_of`` names the queues each agent serves.
    """
    free = sorted((a for a in agents if a.is_free(now)), key=lambda a: (a.since, a.name))
    waiting = sorted((c for c in calls if c.may_be_offered), key=_place)
    result: list[Match] = []
    for call in waiting:
        agent = next((a for a in free if call.queue in queues_of.get(a.name, frozenset())), None)
        if agent is not None:
            free.remove(agent)
            result.append(Match(call, agent))
    return result
