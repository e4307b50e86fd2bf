"""Which agents a waiting caller may be offered to: the queue's rules, what the caller's way here set, and the
time waited. All of it is a pure function of these, so that it can be computed anew at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ivr_engine.domain.records import replace

Skills = Mapping[str, int]
"""Levels by skill."""

MOST_LEVEL: Final = 10
"""The highest level of a skill."""


class Strategy(StrEnum):
    """Whose turn it is among the free agents: ``longest_idle`` · ``round_robin`` the next, in the order of
    the site, after the one offered the queue's last call · ``fewest_calls`` in this shift · ``best_skill``
    the highest levels in the skills required · ``linear`` the first in the order of the site."""

    LONGEST_IDLE = "longest_idle"
    ROUND_ROBIN = "round_robin"
    FEWEST_CALLS = "fewest_calls"
    BEST_SKILL = "best_skill"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowStep:
    """After so many seconds in the queue: also agents of ``queues``, and lower levels of ``skills`` (0: it is
    no longer required)."""

    after_s: float
    queues: frozenset[str] = frozenset()
    skills: Skills = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """One queue's. ``skills`` are required of every agent."""

    strategy: Strategy = Strategy.LONGEST_IDLE
    skills: Skills = field(default_factory=dict[str, int])
    overflow: tuple[OverflowStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What a call carries to its match. ``joined_at``: since when it is in its queue. ``favourite``: the
    agent to be preferred (last spoken to), alone until ``favourite_until``. ``declined``: agents who may
    decline and did, each until when they are not offered this call again."""

    skills: dict[str, int] = field(default_factory=dict[str, int])
    joined_at: datetime | None = None
    favourite: str | None = None
    favourite_until: datetime | None = None
    declined: dict[str, datetime] = field(default_factory=dict[str, datetime])
    access: str | None = None
    """The access point that the call came by, if it was not the number dialled."""
    attested: bool | None = None
    """Whether the carrier vouches for the caller's number; ``None``: it was not asked."""

    def requiring(self, skills: Skills) -> Routing:
        """With further skills required; level 0 takes one away."""
        merged = {**self.skills, **skills}
        return replace(self, skills={name: level for name, level in merged.items() if level > 0})

    def joining(self, now: datetime) -> Routing:
        """Into a queue: what the queue before it had set is over."""
        return replace(self, joined_at=now, favourite=None, favourite_until=None, declined={})

    def preferring(self, agent: str, until: datetime) -> Routing:
        return replace(self, favourite=agent, favourite_until=until)

    def declined_by(self, agent: str, until: datetime) -> Routing:
        return replace(self, declined={**self.declined, agent: until})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a waiting caller needs now. Callers with equal needs stand in one line; ``queue`` is their own,
    ``queues`` all whose agents may help. ``only``: nobody but this agent."""

    queue: str
    queues: frozenset[str]
    strategy: Strategy = Strategy.LONGEST_IDLE
    skills: tuple[tuple[str, int], ...] = ()
    only: str | None = None
    favourite: str | None = None
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the site says of an agent. ``order``: the place in the site's list of agents."""

    queues: frozenset[str]
    skills: Skills = field(default_factory=dict[str, int])
    order: int = 0


def fits(profile: Profile, need: Need, agent: str) -> bool:
    """Whether the agent of that name may take a caller with this need."""
    if need.only is not None and need.only != agent:
        return False
    if agent in need.barred or not (profile.queues & need.queues):
        return False
    return all(profile.skills.get(skill, 0) >= level for skill, level in need.skills)


def need_of(
    queue: str, rules: QueueRules, routing: Routing, now: datetime, there: Callable[[str], bool]
) -> tuple[Need, datetime | None]:
    """What a caller in ``queue`` needs at ``now``, and when that changes next by the mere passing of time.

    ``there``: whether an agent is signed in; nobody waits for one who is not.
    """
    joined = routing.joined_at or now
    queues, skills, changes = {queue}, _merged(rules.skills, routing.skills), list[datetime]()
    for step in rules.overflow:
        at = joined + timedelta(seconds=step.after_s)
        if at > now:
            changes.append(at)
            continue
        queues |= step.queues
        skills = {name: min(level, step.skills.get(name, level)) for name, level in skills.items()}
    favourite = routing.favourite if routing.favourite and there(routing.favourite) else None
    alone = favourite is not None and routing.favourite_until is not None and routing.favourite_until > now
    if alone and routing.favourite_until is not None:
        changes.append(routing.favourite_until)
    barred = {agent: until for agent, until in routing.declined.items() if until > now}
    need = Need(
        queue=queue,
        queues=frozenset(queues),
        strategy=rules.strategy,
        skills=tuple(sorted((name, level) for name, level in skills.items() if level > 0)),
        only=favourite if alone else None,
        favourite=favourite,
        barred=frozenset(barred),
    )
    return need, min([*changes, *barred.values()], default=None)


def _merged(one: Skills, other: Skills) -> dict[str, int]:
    """Both are required: the higher level of each."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {*one, *other}}
