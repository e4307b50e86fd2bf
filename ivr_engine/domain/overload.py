"""When an engine takes no further call, so that those it has are not harmed.

A call not taken is kept by the fallback, which offers it again every 2 s; so letting go early costs a caller
seconds, and letting go late costs everybody. What closed the entrance opens it again only well below the
limit: at the limit itself it would open and close with every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ivr_engine.domain.records import replace

BURST_S: Final = 2.0
"""Seconds of the arrival rate that may come at one moment: the fallback offers its callers this far apart."""

OPEN_AGAIN: Final = 0.9
"""The part of the most calls at which a full engine takes calls again."""

FAST_AGAIN: Final = 0.5
"""The part of the longest store lag at which a slow engine takes calls again."""


class NotTaken(StrEnum):
    """Why a call on offer is left to other engines or the fallback."""

    CALLS = "calls"
    ARRIVALS = "arrivals"
    STORE_LAG = "store_lag"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one engine: calls at once, new calls a second (on average), seconds that the store takes."""

    calls: int
    arrivals_per_s: float
    store_lag_s: float

    @property
    def burst(self) -> float:
        """Calls that may come at one moment, at least one."""
        return max(1.0, self.arrivals_per_s * BURST_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """At the moment a call is offered: calls held, calls claimed and not here yet, the store's lag."""

    calls: int
    coming: int
    store_lag_s: float


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is remembered between two offers. ``used`` of the burst at ``at`` (seconds of any steady clock)
    is given back as time passes."""

    full: bool = False
    slow: bool = False
    used: float = 0.0
    at: float = 0.0

    def offered(self, limits: Limits, load: Load, now: float) -> tuple[Entrance, NotTaken | None]:
        """Whether a call on offer is wanted, and if not, why. Say ``took`` when it is here."""
        calls = load.calls + load.coming
        full = calls >= limits.calls or (self.full and calls > limits.calls * OPEN_AGAIN)
        most_lag = limits.store_lag_s * (FAST_AGAIN if self.slow else 1.0)
        after = replace(self, full=full, slow=load.store_lag_s > most_lag)
        if full:
            return after, NotTaken.CALLS
        if after.slow:
            return after, NotTaken.STORE_LAG
        if self._used(limits, now) + load.coming + 1 > limits.burst:
            return after, NotTaken.ARRIVALS
        return after, None

    def took(self, limits: Limits, now: float) -> Entrance:
        """A call has come in."""
        return replace(self, used=self._used(limits, now) + 1, at=now)

    def _used(self, limits: Limits, now: float) -> float:
        return max(0.0, self.used - (now - self.at) * limits.arrivals_per_s)
