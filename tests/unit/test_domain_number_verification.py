"""Codes that verify a number: how long, how often, how many tries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ivr_engine.domain.number_verification import (
    A_DAY,
    PAUSE_S,
    TRIES,
    VALID_S,
    How,
    NumberState,
    Verified,
    as_entered,
    code_sent,
    confirmed,
    declared,
    told,
    tried,
)
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused

NOW = datetime(2026, 1, 31, 9, 15, tzinfo=UTC)
NEW = NumberState(number="+4915735990001", provider="twilio")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def sent(state: NumberState = NEW, at: float = 0.0, salt: str = "salt") -> NumberState:
    return code_sent(state, digest="digest", salt=salt, by="anna", now=after(at))


def test_a_code_confirmed_verifies() -> None:
    state = confirmed(sent(), "salt", by="ben", now=after(30))
    assert state.verified == Verified(at=after(30), by="ben", how=How.CODE)
    assert state.code is None


def test_tries_are_counted_and_end() -> None:
    state = sent()
    for count in range(1, TRIES + 1):
        state = replace(state, code=tried(state, NOW))
        assert state.code is not None
        assert state.code.tries == count
    with pytest.raises(Refused, match="ask for a new code"):
        tried(state, NOW)
    assert tried(sent(state, at=PAUSE_S, salt="new"), after(PAUSE_S)).tries == 1


def test_a_code_is_good_for_ten_minutes() -> None:
    assert tried(sent(), after(VALID_S - 1)).tries == 1
    with pytest.raises(Refused, match="older than 10 minutes"):
        tried(sent(), after(VALID_S))


def test_without_a_code_nothing_can_be_entered() -> None:
    with pytest.raises(Refused, match="no code"):
        tried(NEW, NOW)


def test_a_code_sent_meanwhile_takes_the_place_of_the_one_before() -> None:
    with pytest.raises(Refused, match="another code"):
        confirmed(sent(sent(), at=PAUSE_S, salt="new"), "salt", by="ben", now=after(61))


def test_one_code_a_minute_and_five_a_day() -> None:
    with pytest.raises(Refused, match="wait 20 s"):
        sent(sent(), at=40)
    state = NEW
    for count in range(A_DAY):
        state = sent(state, at=count * PAUSE_S)
    with pytest.raises(Refused, match="tomorrow"):
        sent(state, at=3600)
    assert len(sent(state, at=86_400 + 1).codes_at) == A_DAY


@pytest.mark.parametrize("number", ["72000", "EXAMPLE"])
def test_no_code_is_sent_where_none_arrives(number: str) -> None:
    with pytest.raises(Refused, match="no SMS"):
        sent(replace(NEW, number=number))


def test_only_a_name_is_taken_at_somebody_s_word() -> None:
    name = declared(replace(NEW, number="EXAMPLE"), by="anna", now=NOW)
    assert name.verified == Verified(at=NOW, by="anna", how=How.DECLARED)
    with pytest.raises(Refused, match="can be verified"):
        declared(NEW, by="anna", now=NOW)


def test_the_provider_says_yes_no_and_yes_again() -> None:
    there = told(NEW, has_it=True, sends=True, now=NOW)
    assert there.verified == Verified(at=NOW, by="twilio", how=How.PROVIDER)
    assert told(there, has_it=True, sends=True, now=after(60)) == there
    gone = told(there, has_it=False, sends=False, now=after(60))
    assert (gone.verified, gone.trouble) == (None, "it is not among the account's numbers")
    calls_only = told(there, has_it=True, sends=False, now=after(60))
    assert (calls_only.verified, calls_only.trouble) == (None, "its account sends no texts from it")
    assert told(gone, has_it=True, sends=True, now=after(90)).trouble is None


def test_what_a_code_has_verified_stays_whatever_the_provider_says() -> None:
    by_code = confirmed(sent(), "salt", by="ben", now=NOW)
    assert told(by_code, has_it=False, sends=False, now=NOW).verified == by_code.verified
    assert told(by_code, has_it=True, sends=True, now=NOW) == by_code


def test_how_a_code_may_be_written() -> None:
    assert as_entered(" 123 456 ") == as_entered("123-456") == "123456"
    for wrong in ("", "12345", "1234567", "12345a", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        with pytest.raises(Refused, match="6 digits"):
            as_entered(wrong)
