"""A day to simulate: how many call, how patient they are, who answers and for how long. ``docs/simulate.md``
tells the rest."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from ivr_engine.site.schedules import ZONE_PATTERN, Hours
from ivr_engine.site.values import Dialled, Key, Label, Name, PositiveSeconds, PromptName, Seconds, Settings

HOUR_S: Final = 3600.0

Share = Annotated[float, Field(ge=0, le=1)]
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Spread(Settings):
    """Seconds that differ from one to the next."""

    mean: PositiveSeconds
    distribution: Literal["exponential", "lognormal", "uniform", "constant"] = "exponential"
    spread: Annotated[float, Field(gt=0, le=5)] | None = None
    """Standard deviation over the mean: of ``lognormal`` (0.8), or half the width of ``uniform`` (0.5)."""
    shortest: Seconds = 0.0
    longest: PositiveSeconds = 86_400.0

    def draw(self, chance: random.Random) -> float:
        return min(max(self._draw(chance), self.shortest), self.longest)

    def _draw(self, chance: random.Random) -> float:
        match self.distribution:
            case "exponential":
                return chance.expovariate(1 / self.mean)
            case "lognormal":
                sigma = math.sqrt(math.log(1 + (self.spread or 0.8) ** 2))
                return chance.lognormvariate(math.log(self.mean) - sigma**2 / 2, sigma)
            case "uniform":
                half = self.mean * min(self.spread or 0.5, 1.0)
                return chance.uniform(self.mean - half, self.mean + half)
            case "constant":
                return self.mean


def _mean_alone(value: object) -> object:
    return {"mean": value} if isinstance(value, str | int | float) else value


Varying = Annotated[Spread, BeforeValidator(_mean_alone)]
"""A mean alone, or a spread in full."""


class Answering(Settings):
    """What callers say to the offer of a text: shares of all; the rest does not answer."""

    allow: Share = 0.5
    refuse: Share = 0.2
    wrong_key: Share = 0.02
    """Press another key first."""
    reply: Share = 0.6
    """Of those who got the text: write back, ..."""
    reply_after: Varying = Spread(mean=45)
    picture: Share = 0.2
    """... with a picture."""


class Callers(Settings):
    """Those who dial one number."""

    number: Dialled
    per_hour: dict[ClockTime, Annotated[float, Field(ge=0, le=100_000)]]
    """From that time of the day on: ``08:00: 120``; until then, nobody."""
    patience: Varying = Spread(mean=300)
    """Until they hang up when nobody has answered, from the first music on."""
    keys: dict[PromptName, dict[Key, Annotated[float, Field(gt=0)]]] = Field(default_factory=dict)
    """What is pressed after which prompt, with weights: ``main_menu: {1: 70, 2: 30}``. Who hears a prompt
    that is not named presses nothing."""
    mobile: Share = 0.85
    """Call from a mobile phone; the others can get no text."""
    sms: Answering = Answering()


class Agents(Settings):
    """People who work alike."""

    like: Name
    """An agent of the site, whose queues and skills they have."""
    count: Annotated[int, Field(ge=1, le=10_000)]
    shift: Hours
    """``08:00-16:30``; whoever is on a call finishes it."""
    breaks: tuple[Hours, ...] = ()
    handling: Varying = Spread(mean=240, distribution="lognormal")
    """How long they talk."""
    answers_after: Varying = Spread(mean=3, distribution="uniform")
    """Seconds of ringing."""
    misses: Share = 0.0
    """Of the offers: rings to its end, and the agent is back after ``away``."""
    away: Varying = Spread(mean=120)


class Day(Settings):
    """One day, from midnight to midnight."""

    what: Label
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] = "2026-03-02"
    time_zone: Annotated[str, Field(pattern=ZONE_PATTERN)] = "Europe/Berlin"
    seed: Annotated[int, Field(ge=0)] = 1
    callers: Annotated[tuple[Callers, ...], Field(min_length=1)]
    agents: tuple[Agents, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    """What is different in the site on that day, as in its files: ``queues: {support: {ring_time: 10}}``."""
    answered_within: PositiveSeconds = 20.0
    """The service level: the share of callers who were answered within so many seconds."""
    short_abandon: Seconds = 5.0
    """Who hangs up before does not count as lost."""

    @property
    def midnight(self) -> datetime:
        return datetime.fromisoformat(self.date).replace(tzinfo=ZoneInfo(self.time_zone))

    def arrivals(self, callers: Callers, chance: random.Random) -> Iterator[float]:
        """Seconds since midnight: by chance, as many an hour as given (a Poisson process)."""
        starts = sorted((seconds_of(at), rate) for at, rate in callers.per_hour.items())
        ends = [start for start, _ in starts[1:]] + [24 * HOUR_S]
        for (start, rate), end in zip(starts, ends, strict=True):
            if rate <= 0:
                continue
            at = start + chance.expovariate(rate / HOUR_S)
            while at < end:
                yield at
                at += chance.expovariate(rate / HOUR_S)

    def at(self, seconds: float) -> datetime:
        return self.midnight + timedelta(seconds=seconds)


def seconds_of(clock_time: str) -> float:
    """Since midnight, of ``08:30``."""
    hours, _, minutes = clock_time.partition(":")
    return int(hours) * HOUR_S + int(minutes) * 60


def span_of(hours: str) -> tuple[float, float]:
    """Seconds since midnight, of ``08:00-16:30``; past midnight is beyond 24 hours."""
    begin, _, end = hours.partition("-")
    begins, ends = seconds_of(begin), seconds_of(end)
    return begins, ends if ends > begins else ends + 24 * HOUR_S
