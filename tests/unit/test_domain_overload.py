"""The entrance closes before it hurts, and opens only when there is room again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.overload import BURST_S, Entrance, Limits, Load, NotTaken

LIMITS = Limits(calls=100, arrivals_per_s=10.0, store_lag_s=1.0)


def load(calls: int = 0, coming: int = 0, store_lag_s: float = 0.0) -> Load:
    return Load(calls=calls, coming=coming, store_lag_s=store_lag_s)


def answers(entrance: Entrance, loads: Iterable[Load], now: float = 0.0) -> list[NotTaken | None]:
    said: list[NotTaken | None] = []
    for each in loads:
        entrance, why = entrance.offered(LIMITS, each, now)
        said.append(why)
    return said


def test_a_full_engine_takes_calls_again_only_with_room_for_a_tenth() -> None:
    said = answers(Entrance(), [load(n) for n in (99, 100, 99, 91, 90, 99, 100, 99)])
    full = NotTaken.CALLS
    assert said == [None, full, full, full, None, None, full, full]


def test_calls_on_their_way_count_as_calls() -> None:
    assert answers(Entrance(), [load(95, 5)]) == [NotTaken.CALLS]


def test_a_slow_store_must_be_twice_as_fast_again() -> None:
    said = answers(Entrance(), [load(store_lag_s=s) for s in (1.0, 1.1, 0.9, 0.6, 0.5, 0.9, 1.1)])
    slow = NotTaken.STORE_LAG
    assert said == [None, slow, slow, slow, None, None, slow]


def test_a_lower_limit_counts_from_the_next_offer_on() -> None:
    entrance, why = Entrance().offered(LIMITS, load(50), 0.0)
    assert why is None
    lower = Limits(calls=20, arrivals_per_s=10.0, store_lag_s=1.0)
    assert entrance.offered(lower, load(50), 0.0)[1] is NotTaken.CALLS


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_rate_below_one_still_takes_one(rate: float) -> None:
    limits = Limits(calls=10, arrivals_per_s=rate, store_lag_s=1.0)
    entrance = Entrance()
    assert entrance.offered(limits, load(), 0.0)[1] is None
    entrance = entrance.took(limits, 0.0)
    assert entrance.offered(limits, load(), 0.5 / rate)[1] is NotTaken.ARRIVALS
    assert entrance.offered(limits, load(), 1.0 / rate)[1] is None


def test_a_burst_is_taken_once_and_the_rate_from_then_on() -> None:
    entrance, taken = Entrance(), 0
    for tenth in range(100):
        for _ in range(30):
            entrance, why = entrance.offered(LIMITS, load(), tenth / 10)
            if why is None:
                entrance, taken = entrance.took(LIMITS, tenth / 10), taken + 1
    # 30 are offered every tenth of a second: the burst at once, then ten a second.
    assert taken == pytest.approx(LIMITS.burst + 9.9 * LIMITS.arrivals_per_s, abs=1)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 120), st.floats(0, 3)), max_size=60),
)
def test_whatever_comes_no_window_takes_more_than_burst_and_rate(
    offers: list[tuple[float, int, float]],
) -> None:
    entrance, now, taken = Entrance(), 0.0, list[float]()
    for after, calls, lag in offers:
        now += after
        entrance, why = entrance.offered(LIMITS, load(calls, 0, lag), now)
        assert why is not None or (calls < LIMITS.calls and lag <= LIMITS.store_lag_s)
        if why is None:
            entrance = entrance.took(LIMITS, now)
            taken.append(now)
    for first in range(len(taken)):
        within = [at for at in taken[first:] if at <= taken[first] + BURST_S]
        assert len(within) <= 2 * LIMITS.burst + 1
