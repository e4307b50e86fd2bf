"""Who is offered to whom: callers in the order of their places, each to the agent whose turn it is.

``matches`` says what is right, by looking at everybody. ``domain.board`` finds the same by looking only at
what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ivr_engine.domain.routing import Need, Profile, Strategy, fits

Place = tuple[int, datetime, str]
"""Sorts callers: the higher priority, then the earlier arrival, then the id."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller who may be offered."""

    id: str
    place: Place
    need: Need


@dataclass(frozen=True, slots=True)
class Free:
    """An agent who may be offered a call. ``taken``: calls answered in this shift."""

    name: str
    profile: Profile
    idle_since: datetime
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A caller, and the agent they are to be offered to."""

    call_id: str
    agent: str


def matches(waiting: Iterable[Waiting], free: Iterable[Free], turns: Mapping[str, int]) -> list[Pair]:
    """Every pair there is. ``turns``: by queue, the place in the site's list of the agent who was offered its
    last call."""
    left, turns, found = {agent.name: agent for agent in free}, dict(turns), list[Pair]()
    for caller in sorted(waiting, key=lambda one: one.place):
        fitting = [a for a in left.values() if fits(a.profile, caller.need, a.name)]
        agent = chosen(fitting, caller.need, turns.get(caller.need.queue, -1))
        if agent is not None:
            del left[agent.name]
            turns[caller.need.queue] = agent.profile.order
            found.append(Pair(caller.id, agent.name))
    return found


def chosen(fitting: Iterable[Free], need: Need, turn: int) -> Free | None:
    """Whose turn it is. The favourite before all, agents of the caller's own queue before those who help."""
    return min(fitting, key=lambda agent: _rank(agent, need, turn), default=None)


def _rank(agent: Free, need: Need, turn: int) -> tuple[bool, bool, int, datetime, str]:
    helps = need.queue not in agent.profile.queues
    return (agent.name != need.favourite, helps, _turn(agent, need, turn), agent.idle_since, agent.name)


def _turn(agent: Free, need: Need, turn: int) -> int:
    """The smaller, the sooner; equals by how long they have been idle."""
    match need.strategy:
        case Strategy.LONGEST_IDLE:
            return 0
        case Strategy.LINEAR:
            return agent.profile.order
        case Strategy.FEWEST_CALLS:
            return agent.taken
        case Strategy.BEST_SKILL:
            return -sum(agent.profile.skills.get(skill, 0) for skill, _ in need.skills)
        case Strategy.ROUND_ROBIN:
            after = agent.profile.order - turn
            return after if after > 0 else after + _FULL_ROUND


_FULL_ROUND = 1_000_000
"""More than a site has agents."""
