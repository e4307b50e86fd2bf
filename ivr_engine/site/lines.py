"""How the line of a queue goes: who helps after a while, and where to when it takes too long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ivr_engine.domain.routing import MOST_LEVEL
from ivr_engine.site.values import (
    E164,
    HeaderName,
    Language,
    Level,
    Name,
    PositiveSeconds,
    Priority,
    PromptName,
    Seconds,
    Settings,
    Trunk,
)


class Overflow(Settings):
    """One step: what holds from so many seconds in the queue on. Steps add up."""

    after: PositiveSeconds
    """Seconds in the line."""
    queues: frozenset[Name] = frozenset()
    """Agents of these queues may take the caller too, after those of the caller's own."""
    skills: dict[Name, Annotated[int, Field(ge=0, le=MOST_LEVEL)]] = Field(default_factory=dict)
    """Lower levels; 0: the skill is no longer required."""


class WayOut(Settings):
    """Where to for callers who leave the line: at most one of ``queue``, ``flow`` and ``say``."""

    queue: Name | None = None
    """Into its line. The time waited counts on."""
    flow: Name | None = None
    """Through it, like a new call: so to voicemail, a number outside, or wherever a flow leads."""
    say: PromptName | None = None
    """Said before the call is hung up."""

    @property
    def words(self) -> str | None:
        """The last words; ``None`` when the call goes on elsewhere."""
        return self.say


class MaximumWait(WayOut):
    """With nothing else given, ``too_long`` is said."""

    after: PositiveSeconds
    """Seconds in the queue."""

    @property
    def words(self) -> str | None:
        return self.say or (None if self.queue or self.flow else "too_long")


class NoAgents(WayOut):
    """When nobody who serves the queue is signed in any more. With nothing else given, ``nobody_there`` is
    said."""

    after: Seconds = 0.0
    """Seconds after the last one left: somebody may come back."""

    @property
    def words(self) -> str | None:
        return self.say or (None if self.queue or self.flow else "nobody_there")


class LastAgent(Settings):
    """Callers are offered first to the agent they spoke with last."""

    wait: Seconds = 0.0
    """Seconds to wait for that agent, if signed in and busy, before any other is offered the call."""
    within_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How long ago that may have been."""


class Vip(Settings):
    numbers: frozenset[E164] = frozenset()
    """Callers who come before others."""
    priority: Priority = 100
    """Theirs, where nothing gives them a higher one."""


class Number(Settings):
    """A number that can be dialled: it leads into a flow or, as a direct access point, into one queue."""

    queue: Name | None = None
    """Straight into this line; either this or `flow`."""
    flow: Name | None = None
    """The flow that leads the caller."""
    language: Language | None = None
    """What is spoken; in a flow: until the caller chooses."""
    priority: Priority = 0
    """Higher ones are answered first; equal ones in the order of arrival."""
    skills: dict[Name, Level] = Field(default_factory=dict)
    """Required of the agent, besides what the queue requires."""


class AccessPoints(Settings):
    """Direct access by a SIP header, in place of the number dialled. Heeded on calls through ``trunks``
    alone: from anywhere else the header is not read."""

    trunks: Annotated[frozenset[Trunk], Field(min_length=1)]
    """Endpoints in Asterisk's pjsip.conf that are trusted."""
    header: HeaderName = "X-IVR-Access"
    """Its name; the value is one of `points`."""
    points: dict[Name, Number]
    """By the header's value, written in small letters."""
