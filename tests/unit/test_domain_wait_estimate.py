"""The wait estimate: exact where theory is, and near the truth in small versions of the bench's centres."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ewt import report
from bench.ewt.centre import Centre, Scenario
from bench.ewt.scenarios import scenarios
from ivr_engine.domain.wait_estimate import AppQueueRule, Estimate, Meter, Rates


def the_sum(rates: Rates, ahead: int, agents: int) -> float:
    return sum(1 / (rates.taken * agents + k * rates.abandoned) for k in range(1, ahead + 2))


def estimate(rates: Rates, ahead: int, agents: int) -> Estimate:
    found = rates.estimate(ahead, agents)
    assert found is not None
    return found


@pytest.mark.parametrize("ahead", [0, 1, 5, 50, 500])
@pytest.mark.parametrize("abandoned", [0.0, 1e-12, 1e-4, 1 / 240])
def test_the_formula_is_the_sum(ahead: int, abandoned: float) -> None:
    rates = Rates(1 / 240, abandoned, 0.0)
    assert estimate(rates, ahead, 10).mean_s == pytest.approx(the_sum(rates, ahead, 10), rel=0.01)


def test_nobody_signed_in_is_unknown_and_not_zero() -> None:
    assert Rates(1 / 240, 1 / 600).estimate(0, 0) is None


def test_with_an_agent_for_everybody_ahead_only_the_phone_rings() -> None:
    found = Rates(1 / 240, 1 / 600, ring_s=3.0).estimate(1, 5, idle=2)
    assert found is not None
    assert (found.p50_s, found.p80_s, found.expected_s) == (3.0, 3.0, 3.0)
    assert found.probability_over(2.9) == 1.0
    assert found.probability_over(3.1) == 0.0
    assert estimate(Rates(1 / 240, 1 / 600, 3.0), 2, 5).p50_s > 3.0


def test_the_quantiles_of_one_step_are_those_of_an_exponential() -> None:
    found = Estimate(100.0, 100.0**2)
    assert found.p50_s == pytest.approx(100 * math.log(2), rel=0.02)
    assert found.p80_s == pytest.approx(100 * math.log(5), rel=0.02)
    assert found.p90_s == pytest.approx(100 * math.log(10), rel=0.02)


@given(
    st.integers(0, 2000),
    st.integers(1, 1000),
    st.floats(1e-5, 1.0),
    st.floats(0.0, 0.1),
    st.floats(0.0, 60.0),
)
def test_quantiles_are_in_order_and_agree_with_the_probabilities(
    ahead: int, agents: int, taken: float, abandoned: float, ring_s: float
) -> None:
    found = estimate(Rates(taken, abandoned, ring_s), ahead, agents)
    assert ring_s <= found.p50_s <= found.p80_s <= found.p90_s
    assert found.probability_over(found.p80_s) == pytest.approx(0.2, abs=0.01)
    longer = estimate(Rates(taken, abandoned, ring_s), ahead + 1, agents)
    assert longer.expected_s > found.expected_s


def test_a_new_queue_starts_from_the_configured_handling_time() -> None:
    rates = Meter(0.0, handling_s=300.0, share=0.5).rates()
    assert rates.taken == pytest.approx(0.5 / 300)
    assert rates.abandoned == pytest.approx(2 / 1200)


def test_the_rate_is_learnt_and_idle_agents_teach_nothing() -> None:
    meter = Meter(0.0, handling_s=60.0)
    meter.staffed(0.0, 2)
    meter.taken(5000.0, waited=False)  # an agent was free: nothing was seen of a line
    assert meter.rates().taken == pytest.approx(1 / 60)
    now = 10_000.0
    meter.arrived(now)
    for _ in range(500):  # always one waiting; two agents take one each 120 s
        now += 120.0
        meter.arrived(now)
        meter.taken(now)
    assert meter.rates().taken == pytest.approx(1 / 240, rel=0.05)


def test_an_offer_not_taken_is_as_if_it_had_not_been() -> None:
    meter = Meter(0.0, handling_s=60.0, waiting=1, agents=1)
    before = meter.rates()
    meter.taken(0.0)
    meter.returned(0.0)
    assert meter.waiting == 1
    assert meter.rates() == before


def test_who_gives_up_is_learnt() -> None:
    meter = Meter(0.0, handling_s=60.0)
    for minute in range(1, 2000):
        meter.arrived(60.0 * minute)
        meter.left(60.0 * minute + 30.0)
    assert meter.rates().abandoned == pytest.approx(1 / 30, rel=0.05)


def test_time_that_goes_back_changes_nothing() -> None:
    meter = Meter(100.0, handling_s=60.0, waiting=3, agents=1)
    meter.arrived(50.0)
    assert meter.at == 100.0
    assert meter.line == 0.0


def test_app_queues_figure_grows_for_who_waits_longer_than_its_average() -> None:
    rule = AppQueueRule()
    for _ in range(50):
        rule.served(100.0)
    assert rule.hold_s in range(95, 101)  # whole seconds, rounded down
    assert rule.expected_s(0.0) == rule.hold_s
    assert rule.expected_s(1000.0) > rule.expected_s(500.0)


@pytest.mark.parametrize("scenario", scenarios(30_000), ids=lambda s: s.name)
def test_a_small_call_centre_stays_within_bounds(scenario: Scenario) -> None:
    """The whole ones, with the exact bounds, are ``python -m bench.ewt``."""
    tally = Centre(scenario).run()
    assert tally.ratio <= report.MOST_RATIO + 0.04
    assert abs(tally.bias) <= report.MOST_BIAS
    assert report.P80[0] - 0.02 <= tally.coverage[1] <= report.P80[1] + 0.02


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = (Centre(scenarios(3_000)[0]).run() for _ in range(2))
    assert first == second
