"""Agents: the legal moves and no others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.errors import Refused

NOW = datetime(2025, 1, 6, 8, tzinfo=UTC)
S = AgentState

MOVES: dict[str, Callable[[Agent, datetime], Agent]] = {
    "sign in": lambda a, now: a.signed_in(now),
    "sign out": lambda a, now: a.signed_out(now),
    "offer": lambda a, now: a.offered("call-2", now),
    "connect": lambda a, now: a.connected(now),
    "miss": lambda a, now: a.missed("busy", now),
    "release": lambda a, now: a.released(now),
    "release to wrap-up": lambda a, now: a.released(now, 30),
}
# fmt: off
LEGAL: dict[tuple[AgentState, str], AgentState] = {
    (S.OFFLINE, "sign in"): S.AVAILABLE, (S.OFFLINE, "sign out"): S.OFFLINE,
    (S.AVAILABLE, "sign in"): S.AVAILABLE, (S.AVAILABLE, "sign out"): S.OFFLINE,
    (S.AVAILABLE, "offer"): S.OFFERED,
    (S.OFFERED, "connect"): S.ON_CONTACT, (S.OFFERED, "miss"): S.RONA,
    (S.OFFERED, "release"): S.AVAILABLE, (S.OFFERED, "release to wrap-up"): S.WRAP_UP,
    (S.ON_CONTACT, "miss"): S.RONA,
    (S.ON_CONTACT, "release"): S.AVAILABLE, (S.ON_CONTACT, "release to wrap-up"): S.WRAP_UP,
    (S.WRAP_UP, "sign in"): S.AVAILABLE, (S.WRAP_UP, "sign out"): S.OFFLINE,
    (S.RONA, "sign in"): S.AVAILABLE, (S.RONA, "sign out"): S.OFFLINE,
}
# fmt: on
HARMLESS = ("release", "release to wrap-up")
"""Where there is nothing to do they do nothing."""
BUSY = (S.OFFERED, S.ON_CONTACT)


def agent(state: AgentState) -> Agent:
    until = NOW + timedelta(seconds=30) if state is S.WRAP_UP else None
    return Agent(
        name="anna", state=state, since=NOW, until=until, call_id="call-1" if state in BUSY else None
    )


@pytest.mark.parametrize("state", list(AgentState))
@pytest.mark.parametrize("move", MOVES)
def test_every_move_from_every_state(state: AgentState, move: str) -> None:
    before, later = agent(state), NOW + timedelta(seconds=5)
    expected = LEGAL.get((state, move))
    if expected is None and move not in HARMLESS:
        with pytest.raises(Refused, match="anna"):
            MOVES[move](before, later)
        return
    after = MOVES[move](before, later)
    if expected is None:
        assert after == before
    else:
        assert after.state is expected
        assert after is before or after.since == later
        assert (after.call_id is not None) == (after.state in BUSY)


def test_release_when_there_is_nothing_to_release_changes_nothing() -> None:
    for state in (S.OFFLINE, S.AVAILABLE, S.WRAP_UP, S.RONA):
        assert agent(state).released(NOW) == agent(state)


def test_wrap_up_ends_by_itself() -> None:
    wrapping = agent(S.ON_CONTACT).released(NOW, 30)
    assert not wrapping.is_free(NOW + timedelta(seconds=29))
    assert wrapping.is_free(NOW + timedelta(seconds=30))
    assert wrapping.offered("call-2", NOW + timedelta(seconds=30)).state is S.OFFERED


def test_rona_names_the_reason_and_is_left_by_hand_only() -> None:
    missed = agent(S.OFFERED).missed("no_answer", NOW)
    assert (missed.state, missed.reason, missed.call_id) == (S.RONA, "no_answer", None)
    assert not missed.is_free(NOW + timedelta(days=365))
    assert missed.signed_in(NOW).reason is None


def test_an_offer_keeps_its_call_when_connected() -> None:
    assert agent(S.AVAILABLE).offered("call-9", NOW).connected(NOW).call_id == "call-9"


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=40))
def test_whatever_happens_busy_means_a_call_and_free_means_none(moves: list[str]) -> None:
    state, now = agent(S.OFFLINE), NOW
    for move in moves:
        now += timedelta(seconds=7)
        try:
            state = MOVES[move](state, now)
        except Refused:
            continue
        assert (state.call_id is not None) == (state.state in BUSY)
        assert not (state.is_free(now) and state.state in (*BUSY, S.RONA, S.OFFLINE))
        assert (state.until is not None) == (state.state is S.WRAP_UP)
