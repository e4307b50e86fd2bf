"""When a queue is over capacity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ivr_engine.domain.capacity import CapacityRules, Crowd, Limit, Stay, is_due, limit_passed
from ivr_engine.domain.wait_estimate import Estimate

NOON = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
CROWD = Crowd(others=5, longest_wait_s=120.0, agents=2, estimate=Estimate(300.0, 300.0**2))


@pytest.mark.parametrize(
    ("rules", "passed"),
    [
        (CapacityRules(), None),
        (CapacityRules(wait_s=299), Limit.WAIT),
        (CapacityRules(wait_s=300), None),
        (CapacityRules(waiting=4), Limit.WAITING),
        (CapacityRules(waiting=5), None),
        (CapacityRules(longest_wait_s=119), Limit.LONGEST_WAIT),
        (CapacityRules(longest_wait_s=120), None),
        (CapacityRules(nobody_signed_in=True), None),
    ],
)
def test_a_limit_is_passed_when_there_is_more(rules: CapacityRules, passed: Limit | None) -> None:
    assert limit_passed(rules, CROWD) is passed


def test_with_nobody_signed_in_the_wait_is_unknown_and_passes_no_limit_of_its_own() -> None:
    nobody = Crowd(others=0, longest_wait_s=0.0, agents=0, estimate=None)
    assert limit_passed(CapacityRules(wait_s=1), nobody) is None
    assert limit_passed(CapacityRules(nobody_signed_in=True), nobody) is Limit.NOBODY_SIGNED_IN


def test_it_is_looked_at_entry_and_again_only_if_so_configured() -> None:
    once, again = CapacityRules(waiting=1), CapacityRules(waiting=1, again_s=60)
    assert is_due(once, Stay(), NOON)
    looked = Stay(looked_at=NOON)
    assert not is_due(once, looked, NOON + timedelta(hours=1))
    assert not is_due(again, looked, NOON + timedelta(seconds=59))
    assert is_due(again, looked, NOON + timedelta(seconds=60))
