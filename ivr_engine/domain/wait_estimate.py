"""How long a caller will wait, as a range, from what the queue is seen to do.

The line drains by two streams: agents who take the next caller, and callers who give up. Both are measured
while the queue is at work, so that the time of a conversation, agents who also serve other queues, and other
queues' priorities are all in the measured rate, and who has ``n`` callers ahead waits for ``n + 1`` such
steps. This is the queue-length estimator QL_m (Ibrahim and Whitt, "Real-time delay estimation based on delay
history in many-server service systems with customer abandonment", 2009), with its rates learnt online.
Times are seconds; ``now`` is seconds on any clock that only goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400.0
HALF_HOUR_S: Final = 1_800.0
"""What happened this long ago counts 1/e of what happens now."""

PRIOR_STARTS: Final = 5.0
"""The handling time as configured weighs like so many conversations seen begin."""

FAST_STARTS: Final = 20.0
"""The day's rate weighs like so many conversations against those of the last half hour."""

PRIOR_ABANDONS: Final = 2.0
PRIOR_PATIENCE: Final = 4.0
"""Until callers have been seen to give up: two did, in four handling times of waiting."""

PRIOR_RINGS: Final = 4.0
PRIOR_RING_S: Final = 4.0

Z50: Final = 0.0
Z80: Final = 0.8416212335729143
Z90: Final = 1.2815515655446004
"""Quantiles of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A gamma distribution of the time until an agent is free, and the ring time after it.

    ``mean_s`` and ``variance`` are of the first alone; every other figure is of both together.
    """

    mean_s: float
    variance: float
    ring_s: float = 0.0

    @property
    def expected_s(self) -> float:
        return self.mean_s + self.ring_s

    @property
    def p50_s(self) -> float:
        """Half of all callers wait no longer."""
        return self._quantile(Z50)

    @property
    def p80_s(self) -> float:
        """Four of five callers wait no longer."""
        return self._quantile(Z80)

    @property
    def p90_s(self) -> float:
        return self._quantile(Z90)

    def probability_over(self, seconds: float) -> float:
        """How probable a wait of more than ``seconds`` is."""
        beyond = seconds - self.ring_s
        if beyond <= 0:
            return 1.0
        if self.mean_s <= 0:
            return 0.0
        middle, spread = self._cube_root()
        z = ((beyond / self.mean_s) ** (1 / 3) - middle) / spread
        return 0.5 * math.erfc(z / math.sqrt(2))

    def _quantile(self, z: float) -> float:
        if self.mean_s <= 0:
            return self.ring_s
        middle, spread = self._cube_root()
        return self.mean_s * max(0.0, middle + z * spread) ** 3 + self.ring_s

    def _cube_root(self) -> tuple[float, float]:
        """Middle and spread of the cube root of the wait over its mean, which is nearly normal (Wilson and
        Hilferty 1931: within 2 % from P50 to P90 of an exponential, better of anything narrower)."""
        ninth = self.variance / (9 * self.mean_s**2)
        return 1 - ninth, math.sqrt(ninth)


@dataclass(frozen=True, slots=True)
class Rates:
    """What one queue is seen to do. ``taken`` is callers an agent takes per second while somebody waits,
    ``abandoned`` how many of those waiting give up per second, ``ring_s`` how long a phone rings."""

    taken: float
    abandoned: float
    ring_s: float = PRIOR_RING_S

    def estimate(self, ahead: int, agents: int, idle: int = 0) -> Estimate | None:
        """For a caller with ``ahead`` callers before them. ``agents`` serve this queue and are signed in,
        ``idle`` of them without work. ``None``, unknown, when there are none: never 0."""
        if agents <= 0:
            return None
        if idle > ahead:
            return Estimate(0.0, 0.0, self.ring_s)
        drain, theta, steps = self.taken * agents, self.abandoned, ahead + 1
        first, last = drain + theta / 2, drain + (steps + 0.5) * theta
        mean = math.log(last / first) / theta if theta * steps > 1e-6 * drain else steps / drain
        return Estimate(mean, steps / (first * last), self.ring_s)


@dataclass(slots=True)
class Meter:
    """Measures the rates of one queue. Told of every change when it happens, in the order of time.

    ``waiting`` callers in line and ``agents`` who serve the queue, as of ``at``. The counters forget: those
    called ``slow`` over a day, ``fast`` over half an hour. ``exposure`` is agent-seconds in which somebody
    waited, ``line`` caller-seconds waited.
    """

    at: float
    handling_s: float
    share: float = 1.0
    waiting: int = 0
    agents: int = 0
    starts_slow: float = 0.0
    starts_fast: float = 0.0
    exposure_slow: float = 0.0
    exposure_fast: float = 0.0
    abandons: float = 0.0
    line: float = 0.0
    rings: float = 0.0
    ring_time: float = 0.0

    def arrived(self, now: float) -> None:
        self.pass_until(now)
        self.waiting += 1

    def taken(self, now: float, *, waited: bool = True) -> None:
        """An agent is reserved for a caller. ``waited``: not one for whom an agent was free anyway, who says
        nothing of how a line drains."""
        self.pass_until(now)
        self.waiting = max(0, self.waiting - 1)
        if waited:
            self.starts_slow += 1
            self.starts_fast += 1

    def returned(self, now: float, *, waited: bool = True) -> None:
        """The agent reserved did not answer: the caller is in line as before."""
        self.pass_until(now)
        self.waiting += 1
        if waited:
            self.starts_slow = max(0.0, self.starts_slow - 1)
            self.starts_fast = max(0.0, self.starts_fast - 1)

    def left(self, now: float, *, gave_up: bool = True) -> None:
        """A caller gave up, or went elsewhere: those behind move up all the same. ``gave_up`` false: one who
        says nothing of how patient callers are."""
        self.pass_until(now)
        self.waiting = max(0, self.waiting - 1)
        if gave_up:
            self.abandons += 1

    def rang(self, seconds: float) -> None:
        """A phone rang so long until it was answered."""
        self.rings += 1
        self.ring_time += seconds

    def staffed(self, now: float, agents: int) -> None:
        """So many agents serve the queue from now on."""
        self.pass_until(now)
        self.agents = agents

    def rates(self) -> Rates:
        """As of the last change."""
        prior = self.share / self.handling_s
        slow = (self.starts_slow + PRIOR_STARTS) / (self.exposure_slow + PRIOR_STARTS / prior)
        fast = (self.starts_fast + FAST_STARTS) / (self.exposure_fast + FAST_STARTS / slow)
        theta = (self.abandons + PRIOR_ABANDONS) / (self.line + PRIOR_PATIENCE * self.handling_s)
        ring = (self.ring_time + PRIOR_RINGS * PRIOR_RING_S) / (self.rings + PRIOR_RINGS)
        return Rates(fast, theta, ring)

    def pass_until(self, now: float) -> None:
        """Forget, and add up what went by since the last change."""
        passed = now - self.at
        if passed <= 0:
            return
        self.at = now
        slow, fast = math.exp(-passed / DAY_S), math.exp(-passed / HALF_HOUR_S)
        busy = self.agents if self.waiting else 0
        self.starts_slow *= slow
        self.starts_fast *= fast
        self.exposure_slow = self.exposure_slow * slow + busy * DAY_S * (1 - slow)
        self.exposure_fast = self.exposure_fast * fast + busy * HALF_HOUR_S * (1 - fast)
        self.abandons *= slow
        self.line = self.line * slow + self.waiting * DAY_S * (1 - slow)
        self.rings *= slow
        self.ring_time *= slow


@dataclass(slots=True)
class AppQueueRule:
    """What Asterisk's app_queue would say, beside ours: a moving average of past waits, a quarter new, in
    whole seconds rounded down (``recalc_holdtime`` in ``app_queue.c``).

    It announces the distance of that average from what the caller has waited already, so that its figure
    grows for those who wait longer than the average.
    """

    hold_s: int = 0

    def served(self, waited_s: float) -> None:
        self.hold_s = (3 * self.hold_s + int(waited_s)) // 4

    def expected_s(self, waited_s: float) -> float:
        """Not yet rounded to minutes: at its best."""
        return abs(self.hold_s - waited_s)
