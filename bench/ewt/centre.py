"""A call centre in virtual time: callers who come, wait and give up, and agents who serve queues by priority.

Nothing of the engine but its estimator runs here: what the callers' waits are must not depend on it.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ivr_engine.domain.wait_estimate import AppQueueRule, Estimate, Meter

Draw = Callable[[random.Random], float]


@dataclass(frozen=True)
class Queue:
    """``rate``: callers a second at a time of day, never more than ``most``. ``share``: of the agents'
    queues, on average, one in so many is this one."""

    rate: Callable[[float], float]
    most: float
    share: float = 1.0


@dataclass(frozen=True)
class Team:
    """``serves``: queues by number, the first one first. ``size``: agents signed in at a time."""

    serves: tuple[int, ...]
    size: Callable[[float], int]
    changes: tuple[float, ...] = ()
    """When ``size`` changes, in seconds of the day."""


@dataclass(frozen=True)
class Scenario:
    """``counted``: the queues whose estimates are looked at."""

    name: str
    queues: Sequence[Queue]
    teams: Sequence[Team]
    handling: Draw
    patience: Draw
    handling_s: float
    arrivals: int
    counted: int = 0
    seed: int = 1


@dataclass(slots=True)
class Tally:
    """Of callers who were delayed and then served. ``covered``: how many waited no longer than P50, P80,
    P90."""

    callers: int = 0
    waited: float = 0.0
    error: float = 0.0
    square: float = 0.0
    theirs: float = 0.0
    covered: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, told: Estimate, theirs_s: float, waited: float) -> None:
        self.callers += 1
        self.waited += waited
        self.error += told.expected_s - waited
        self.square += (told.expected_s - waited) ** 2
        self.theirs += (theirs_s - waited) ** 2
        for i, bound in enumerate((told.p50_s, told.p80_s, told.p90_s)):
            self.covered[i] += waited <= bound

    @property
    def ours(self) -> float:
        """Root mean square error over the mean wait (RRASE)."""
        return (self.square / self.callers) ** 0.5 / (self.waited / self.callers)

    @property
    def app_queue(self) -> float:
        return (self.theirs / self.callers) ** 0.5 / (self.waited / self.callers)

    @property
    def ratio(self) -> float:
        return self.ours / self.app_queue

    @property
    def bias(self) -> float:
        return self.error / self.waited

    @property
    def coverage(self) -> tuple[float, float, float]:
        p50, p80, p90 = (count / self.callers for count in self.covered)
        return p50, p80, p90


@dataclass(slots=True)
class _Caller:
    queue: int
    arrived: float
    told: Estimate | None
    theirs_s: float
    waiting: bool = True


_ARRIVAL, _PATIENCE, _DONE, _SHIFT = range(4)
_DAY = 86_400.0


class Centre:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.tally = Tally()
        self._random = random.Random(scenario.seed)
        queues = scenario.queues
        self._meters = [Meter(0.0, scenario.handling_s, queue.share) for queue in queues]
        self._theirs = [AppQueueRule() for _ in queues]
        self._lines: list[deque[_Caller]] = [deque() for _ in queues]
        self._busy = [0] * len(scenario.teams)
        self._size = [0] * len(scenario.teams)
        self._teams_of = [
            [t for t, team in enumerate(scenario.teams) if q in team.serves] for q in range(len(queues))
        ]
        self._heap: list[tuple[float, int, int, int, _Caller | None]] = []
        self._count = 0
        self._left = scenario.arrivals

    def run(self) -> Tally:
        for q in range(len(self.scenario.queues)):
            self._next_arrival(0.0, q)
        for t, team in enumerate(self.scenario.teams):
            self._shift(0.0, t)
            for change in team.changes:
                self._at(change, _SHIFT, t)
        while self._left > 0:
            now, _, kind, which, caller = heapq.heappop(self._heap)
            if kind == _ARRIVAL:
                self._arrive(now, which)
            elif kind == _PATIENCE:
                if caller is not None and caller.waiting:
                    caller.waiting = False
                    self._meters[which].left(now)
            elif kind == _DONE:
                self._busy[which] -= 1
                self._next_caller(now, which)
            else:
                self._shift(now, which)
                self._at(now + _DAY, _SHIFT, which)
        return self.tally

    def _at(self, when: float, kind: int, which: int, caller: _Caller | None = None) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, kind, which, caller))

    def _next_arrival(self, now: float, q: int) -> None:
        """A Poisson process whose rate changes: candidates at the highest rate, thinned."""
        queue = self.scenario.queues[q]
        while True:
            now += self._random.expovariate(queue.most)
            if self._random.random() * queue.most <= queue.rate(now % _DAY):
                return self._at(now, _ARRIVAL, q)

    def _arrive(self, now: float, q: int) -> None:
        self._left -= 1
        self._next_arrival(now, q)
        meter = self._meters[q]
        for t in self._teams_of[q]:
            if self._busy[t] < self._size[t]:
                self._theirs[q].served(0.0)
                return self._serve(now, t)
        ahead = meter.waiting
        meter.arrived(now)
        told = meter.rates().estimate(ahead, meter.agents) if q == self.scenario.counted else None
        caller = _Caller(q, now, told, self._theirs[q].expected_s(0.0))
        self._lines[q].append(caller)
        self._at(now + self.scenario.patience(self._random), _PATIENCE, q, caller)
        return None

    def _serve(self, now: float, t: int) -> None:
        self._busy[t] += 1
        self._at(now + self.scenario.handling(self._random), _DONE, t)

    def _next_caller(self, now: float, t: int) -> None:
        while self._busy[t] < self._size[t]:
            caller = self._first(t)
            if caller is None:
                return
            caller.waiting = False
            waited = now - caller.arrived
            self._meters[caller.queue].taken(now)
            self._meters[caller.queue].rang(0.0)
            self._theirs[caller.queue].served(waited)
            if caller.told is not None:
                self.tally.add(caller.told, caller.theirs_s, waited)
            self._serve(now, t)

    def _first(self, t: int) -> _Caller | None:
        for q in self.scenario.teams[t].serves:
            line = self._lines[q]
            while line:
                caller = line.popleft()
                if caller.waiting:
                    return caller
        return None

    def _shift(self, now: float, t: int) -> None:
        """Who has a caller finishes first; the others come and go at once."""
        self._size[t] = self.scenario.teams[t].size(now % _DAY)
        for q in self.scenario.teams[t].serves:
            self._meters[q].staffed(now, sum(self._size[other] for other in self._teams_of[q]))
        self._next_caller(now, t)
