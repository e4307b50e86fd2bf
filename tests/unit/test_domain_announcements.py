"""What waiting callers are told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.announcements import (
    AnnouncementRules,
    WaitRange,
    every_range,
    message_of_round,
    said_of_wait,
    says_position,
    wait_range,
)
from ivr_engine.domain.wait_estimate import Estimate, Rates
from ivr_engine.site.values import PROMPT_PATTERN


def of(p50_min: float, p80_min: float) -> Estimate:
    """One with about these quantiles: the spread is a normal one's."""
    deviation = (p80_min - p50_min) * 60 / 0.8416
    return Estimate(p50_min * 60 + deviation**2 / (p50_min * 60) / 3, deviation**2)


@pytest.mark.parametrize(
    ("p50_s", "p80_s", "said"),
    [
        (10, 20, WaitRange(0, 1)),
        (40, 61, WaitRange(0, 2)),
        (59, 140, WaitRange(0, 3)),
        (61, 119, WaitRange(1, 2)),
        (200, 290, WaitRange(3, 5)),
        (299, 301, WaitRange(3, 7)),
        (300, 301, WaitRange(5, 7)),
        (420, 420, WaitRange(5, 7)),
        (1500, 3500, WaitRange(20, 60)),
        (1500, 3601, WaitRange(60, None)),
    ],
)
def test_ranges_are_rounded_outwards(p50_s: float, p80_s: float, said: WaitRange) -> None:
    class Fixed(Estimate):
        @property
        def p50_s(self) -> float:
            return p50_s

        @property
        def p80_s(self) -> float:
            return p80_s

    assert wait_range(Fixed(1.0, 1.0)) == said


@given(
    st.integers(0, 500),
    st.integers(1, 300),
    st.floats(1e-4, 0.1),
    st.floats(0.0, 0.05),
    st.floats(0.0, 30.0),
)
def test_whatever_is_estimated_is_a_sentence_that_was_made_and_holds(
    ahead: int, agents: int, taken: float, abandoned: float, ring_s: float
) -> None:
    estimate = Rates(taken, abandoned, ring_s).estimate(ahead, agents)
    assert estimate is not None
    said = wait_range(estimate)
    assert said in every_range()
    if said.high is not None:
        assert said.low * 60 <= estimate.p50_s
        assert estimate.p80_s <= said.high * 60


def test_there_are_few_sentences_each_with_a_name_of_its_own() -> None:
    names = [one.prompt for one in every_range()]
    assert len(names) == len(set(names)) == 38
    assert all(re.fullmatch(PROMPT_PATTERN, name) for name in names)
    assert {"wait.under1", "wait.3to5", "wait.45to60", "wait.more"} <= set(names)


@given(st.floats(1, 5000), st.integers(0, 300), st.integers(1, 300), st.floats(1e-4, 0.1))
def test_below_a_limit_fewer_sentences_suffice(limit_s: float, ahead: int, agents: int, taken: float) -> None:
    estimate = Rates(taken, 0.001, 3.0).estimate(ahead, agents)
    said = said_of_wait(AnnouncementRules(wait=True, wait_up_to_s=limit_s), estimate)
    assert said is None or said in every_range(limit_s)


def test_up_to_five_minutes_there_are_nine_sentences() -> None:
    assert len(every_range(300)) == 9
    assert len(every_range(60)) == 1


def test_nothing_is_said_above_the_limits() -> None:
    rules = AnnouncementRules(position_up_to=5, wait=True, wait_up_to_s=600)
    assert says_position(rules, 5)
    assert not says_position(rules, 6)
    assert not says_position(AnnouncementRules(position=False), 1)
    assert said_of_wait(rules, of(3, 4.5)) == WaitRange(3, 5)
    assert said_of_wait(rules, of(8, 12)) is None
    assert said_of_wait(rules, None) is None
    assert said_of_wait(AnnouncementRules(), of(3, 4.5)) is None


def test_messages_take_turns() -> None:
    rules = AnnouncementRules(messages=("web", "hours"))
    assert [message_of_round(rules, rounds) for rounds in range(4)] == ["web", "hours", "web", "hours"]
    assert message_of_round(AnnouncementRules(), 3) is None
