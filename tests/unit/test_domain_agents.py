"""Agents: the legal moves and no others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.agents import NEW_SHIFT, PHONE_GONE, Agent, AgentState, Capacity, Session
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
    "take a break": lambda a, now: a.on_break("lunch", now),
    "come back": lambda a, now: a.back(now),
    "wrap up": lambda a, now: a.wrapped_up("sold", now),
    "vanish": lambda a, now: a.vanished(now),
}
# fmt: off
LEGAL: dict[tuple[AgentState, str], AgentState] = {
    (S.OFFLINE, "sign in"): S.AVAILABLE, (S.OFFLINE, "sign out"): S.OFFLINE,
    (S.AVAILABLE, "sign in"): S.AVAILABLE, (S.AVAILABLE, "sign out"): S.OFFLINE,
    (S.AVAILABLE, "offer"): S.OFFERED,
    (S.OFFERED, "connect"): S.ON_CONTACT, (S.OFFERED, "miss"): S.RONA,
    (S.OFFERED, "release"): S.AVAILABLE, (S.OFFERED, "release to wrap-up"): S.AVAILABLE,
    (S.ON_CONTACT, "miss"): S.RONA,
    (S.ON_CONTACT, "release"): S.AVAILABLE, (S.ON_CONTACT, "release to wrap-up"): S.WRAP_UP,
    (S.WRAP_UP, "sign in"): S.AVAILABLE, (S.WRAP_UP, "sign out"): S.OFFLINE,
    (S.RONA, "sign in"): S.AVAILABLE, (S.RONA, "sign out"): S.OFFLINE,
    (S.ON_BREAK, "sign in"): S.AVAILABLE, (S.ON_BREAK, "sign out"): S.OFFLINE,
    (S.AVAILABLE, "take a break"): S.ON_BREAK, (S.WRAP_UP, "take a break"): S.ON_BREAK,
    (S.ON_BREAK, "take a break"): S.ON_BREAK, (S.RONA, "take a break"): S.ON_BREAK,
    (S.OFFERED, "take a break"): S.OFFERED, (S.ON_CONTACT, "take a break"): S.ON_CONTACT,
    (S.ON_BREAK, "come back"): S.AVAILABLE, (S.RONA, "come back"): S.AVAILABLE,
    (S.WRAP_UP, "wrap up"): S.AVAILABLE,
    (S.AVAILABLE, "vanish"): S.OFFLINE, (S.WRAP_UP, "vanish"): S.OFFLINE,
    (S.ON_BREAK, "vanish"): S.OFFLINE, (S.RONA, "vanish"): S.OFFLINE,
}
# fmt: on
HARMLESS = ("release", "release to wrap-up", "vanish")
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
        assert after.state is before.state or after.since == later
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


def test_a_required_reason_keeps_the_wrap_up_until_it_is_given_or_time_is_up() -> None:
    wrapping = agent(S.ON_CONTACT).released(NOW, 30, reason_required=True)
    with pytest.raises(Refused, match="wrap-up reason"):
        wrapping.signed_in(NOW)
    with pytest.raises(Refused, match="wrap-up reason"):
        wrapping.wrapped_up(None, NOW)
    assert wrapping.on_break("lunch", NOW).state is S.WRAP_UP
    assert wrapping.wrapped_up("sold", NOW).state is S.AVAILABLE
    assert wrapping.settled(NOW + timedelta(seconds=30)).state is S.AVAILABLE


def test_a_break_asked_for_during_a_contact_begins_after_it() -> None:
    talking = agent(S.ON_CONTACT).on_break("lunch", NOW)
    assert talking.released(NOW).reason == "lunch"
    wrapping = talking.released(NOW, 30)
    assert not wrapping.is_free(NOW + timedelta(seconds=60))
    later = wrapping.settled(NOW + timedelta(seconds=60))
    assert (later.state, later.reason, later.next_break) == (S.ON_BREAK, "lunch", None)
    assert talking.back(NOW).released(NOW).state is S.AVAILABLE, "taken back"


def test_idle_since_is_not_reset_by_an_offer_that_led_to_nothing() -> None:
    idle = agent(S.OFFLINE).signed_in(NOW)
    later = NOW + timedelta(seconds=60)
    assert idle.offered("c", later).released(later).idle_since == NOW
    assert idle.offered("c", later).connected(later).released(later).idle_since == later


def test_calls_are_counted_by_shift() -> None:
    worked = agent(S.AVAILABLE).offered("c", NOW).connected(NOW).released(NOW)
    assert worked.taken == 1
    assert worked.signed_out(NOW).signed_in(NOW + NEW_SHIFT / 2).taken == 1
    assert worked.signed_out(NOW).signed_in(NOW + NEW_SHIFT).taken == 0


def test_a_vanished_phone_says_why() -> None:
    assert agent(S.AVAILABLE).vanished(NOW).reason == PHONE_GONE
    assert agent(S.ON_CONTACT).vanished(NOW).state is S.ON_CONTACT


def test_a_session_missed_during_a_call_is_rona_afterwards() -> None:
    both = Capacity(sms_sessions=2, sms_during_calls=True)
    talking = agent(S.AVAILABLE).offered("c", NOW).connected(NOW)
    missed = talking.session_offered("s", both, NOW).session_missed("s", "no_answer", NOW)
    assert missed.state is S.ON_CONTACT
    assert (missed.released(NOW, 30).settled(NOW + timedelta(seconds=30))).state is S.RONA


def test_blending() -> None:
    apart = Capacity(sms_sessions=3, calls_during_sms=False)
    writing = agent(S.AVAILABLE).session_offered("s", apart, NOW).session_accepted("s")
    assert not writing.may_take_call(apart, NOW)
    assert writing.may_take_call(Capacity(sms_sessions=3), NOW)
    talking = agent(S.AVAILABLE).offered("c", NOW).connected(NOW)
    assert not talking.may_take_session(apart, NOW)
    assert talking.may_take_session(Capacity(sms_during_calls=True), NOW)
    ended = writing.session_ended("s", NOW + timedelta(seconds=9))
    assert ended.may_take_call(apart, NOW)
    assert ended.idle_since == NOW + timedelta(seconds=9)
    with pytest.raises(Refused, match="open SMS sessions"):
        writing.signed_out(NOW)


CAPACITIES = st.builds(
    Capacity,
    sms_sessions=st.integers(1, 12),
    calls_during_sms=st.booleans(),
    sms_during_calls=st.booleans(),
)
SESSIONS = ("offer session", "accept session", "miss session", "end session")


@given(CAPACITIES, st.lists(st.sampled_from([*MOVES, *SESSIONS]), max_size=60), st.data())
def test_calls_and_sessions_keep_to_the_capacity(
    capacity: Capacity, moves: list[str], data: st.DataObject
) -> None:
    state, now, count = agent(S.OFFLINE), NOW, 0
    for move in moves:
        now += timedelta(seconds=data.draw(st.sampled_from([1, 40])))
        count += 1
        before = state
        held = data.draw(st.sampled_from(before.sessions)).id if before.sessions else "none"
        try:
            match move:
                case "offer session":
                    state = before.session_offered(f"s{count}", capacity, now)
                case "accept session":
                    state = before.session_accepted(held)
                case "miss session":
                    state = before.session_missed(held, "no_answer", now)
                case "end session":
                    state = before.session_ended(held, now)
                case "offer" if not before.may_take_call(capacity, now):
                    continue
                case _:
                    state = MOVES[move](before, now)
        except Refused:
            continue
        assert len(state.sessions) <= capacity.sms_sessions
        assert sum(not s.accepted for s in state.sessions) <= 1
        assert (state.call_id is not None) == (state.state in BUSY)
        assert (state.until is not None) == (state.state is S.WRAP_UP)
        if before.state is S.RONA and state.state is not S.RONA:
            assert move in ("sign in", "sign out", "come back", "take a break", "vanish")
        if state.state is S.OFFLINE:
            assert not state.sessions
        if state.state is S.OFFERED and before.state is not S.OFFERED:
            assert capacity.calls_during_sms or not state.sessions
            assert all(s.accepted for s in state.sessions)
    assert Session("s") != Session("s", accepted=True)
