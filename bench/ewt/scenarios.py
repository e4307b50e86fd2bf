"""The ten call centres."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from bench.ewt.centre import Draw, Queue, Scenario, Team
from ivr_engine.domain.records import replace

HANDLING_S: Final = 240.0
PATIENCE_S: Final = 240.0
GUESS_S: Final = 180.0
"""What the site says a conversation takes: a quarter too little, as such figures are."""
HOUR: Final = 3600.0


def _exponential(mean: float) -> Draw:
    return lambda rng: rng.expovariate(1 / mean)


def _log_normal(mean: float, variation: float) -> Draw:
    """``variation``: standard deviation over mean."""
    sigma = math.sqrt(math.log(1 + variation**2))
    mu = math.log(mean) - sigma**2 / 2
    return lambda rng: rng.lognormvariate(mu, sigma)


def _hyper_exponential(*branches: tuple[float, float]) -> Draw:
    """H2: with each probability an exponential of that mean."""

    def draw(rng: random.Random) -> float:
        return rng.expovariate(1 / (branches[0][1] if rng.random() < branches[0][0] else branches[1][1]))

    return draw


def _steady(rate: float) -> Queue:
    return Queue(lambda _: rate, rate)


def _always(size: int) -> Callable[[float], int]:
    return lambda _: size


def _sine(mean: float, swing: float) -> Queue:
    return Queue(lambda t: mean * (1 + swing * math.sin(2 * math.pi * t / (24 * HOUR))), mean * (1 + swing))


def _one(name: str, agents: int, load: float, arrivals: int) -> Scenario:
    return Scenario(
        name=name,
        queues=[_steady(load * agents / HANDLING_S)],
        teams=[Team((0,), _always(agents))],
        handling=_exponential(HANDLING_S),
        patience=_exponential(PATIENCE_S),
        handling_s=GUESS_S,
        arrivals=arrivals,
    )


def _agents_step(t: float) -> int:
    return 14 if 8 * HOUR <= t < 16 * HOUR else 20


def _two_skills(counted: int, arrivals: int) -> Scenario:
    """Eight agents for sales, six for service, ten for both, who take sales first."""
    base = _one("", 24, 1.0, arrivals)
    return replace(
        base,
        name=f"two skills, {'with' if counted == 0 else 'without'} priority",
        queues=[
            Queue(lambda _: 14 / HANDLING_S, 14 / HANDLING_S, share=(8 + 10 / 2) / 18),
            Queue(lambda _: 12 / HANDLING_S, 12 / HANDLING_S, share=(6 + 10 / 2) / 16),
        ],
        teams=[Team((0,), _always(8)), Team((0, 1), _always(10)), Team((1,), _always(6))],
        counted=counted,
    )


def scenarios(arrivals: int) -> list[Scenario]:
    """All ten, with so many callers each."""
    sine_20 = replace(_one("", 20, 1.0, arrivals), queues=[_sine(20 / HANDLING_S, 0.4)])
    sine_100 = replace(_one("", 100, 1.0, arrivals), queues=[_sine(100 / HANDLING_S, 0.4)])
    rough = replace(
        _one("", 20, 1.2, arrivals),
        handling=_log_normal(HANDLING_S, 1.0),
        patience=_hyper_exponential((0.5, 80.0), (0.5, 400.0)),
    )
    return [
        _one("20 agents, load 0.95", 20, 0.95, arrivals),
        _one("20 agents, load 1.4", 20, 1.4, arrivals),
        _one("100 agents, load 0.95", 100, 0.95, arrivals),
        _one("100 agents, load 1.4", 100, 1.4, arrivals),
        replace(sine_20, name="20 agents, calls by a sine over the day, load 0.6 to 1.4"),
        replace(sine_100, name="100 agents, calls by a sine over the day, load 0.6 to 1.4"),
        replace(
            _one("agents 20 → 14 → 20, load 0.95 to 1.36", 20, 0.95, arrivals),
            teams=[Team((0,), _agents_step, (8 * HOUR, 16 * HOUR))],
        ),
        replace(rough, name="log-normal handling, H2 patience, load 1.2"),
        _two_skills(0, arrivals),
        _two_skills(1, arrivals),
    ]
