"""What a key, or silence, means in a menu."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.menu import (
    Again,
    Back,
    Chosen,
    GivenUp,
    Limit,
    MenuRules,
    MenuState,
    Step,
    answered,
)
from ivr_engine.domain.records import replace

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULES = MenuRules(
    keys={"1": "support", "2": "sales"}, wrong_keys=3, silences=2, longest_s=60, back="*", repeat="#"
)
FRESH = MenuState(NOW)


@pytest.mark.parametrize(
    ("key", "step"),
    [("1", Chosen("support")), ("2", Chosen("sales")), ("*", Back()), ("#", Again()), (None, Again())],
)
def test_keys(key: str | None, step: Step) -> None:
    assert answered(FRESH, RULES, key, NOW)[1] == step


def _keep_pressing(key: str | None, times: int) -> list[Step]:
    state, steps = FRESH, list[Step]()
    for _ in range(times):
        state, step = answered(state, RULES, key, NOW)
        steps.append(step)
    return steps


def test_wrong_keys_and_silences_have_limits_of_their_own() -> None:
    assert _keep_pressing("5", 4) == [Again(wrong_key=True)] * 3 + [GivenUp(Limit.WRONG_KEYS)]
    assert _keep_pressing(None, 3) == [Again()] * 2 + [GivenUp(Limit.SILENCES)]
    state, _ = answered(FRESH, RULES, "5", NOW)
    assert (state.wrong_keys, state.silences) == (1, 0)


def test_nobody_is_asked_for_ever_but_a_late_choice_counts() -> None:
    late = NOW + timedelta(seconds=60)
    for key in (None, "5", "#"):
        assert answered(FRESH, RULES, key, late)[1] == GivenUp(Limit.TIME)
    assert answered(FRESH, RULES, "1", late)[1] == Chosen("support")
    assert answered(FRESH, RULES, "*", late)[1] == Back()


def test_without_a_menu_before_back_is_a_wrong_key() -> None:
    assert answered(FRESH, replace(RULES, back=None), "*", NOW)[1] == Again(wrong_key=True)


@given(st.lists(st.sampled_from([None, *"3456789#0"]), min_size=60, max_size=60))
def test_whoever_chooses_nothing_is_led_on(keys: list[str | None]) -> None:
    state, moment = FRESH, NOW
    for key in keys:
        state, step = answered(state, RULES, key, moment)
        if isinstance(step, GivenUp):
            return
        moment += timedelta(seconds=2)
    pytest.fail("asked for ever")
