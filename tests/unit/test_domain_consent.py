"""The consent conversation, exactly as specified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.consent import (
    REPEATS_PER_ROUND,
    Consent,
    NotOffered,
    OfferRules,
    Receiver,
    Step,
    WaitTimeSmsStatus,
    answered,
    why_not_offered,
)
from ivr_engine.domain.records import replace

ALLOWED, DENIED, NO_RESPONSE = WaitTimeSmsStatus
WRONG = list("034567899*#")
answers = st.one_of(st.none(), st.sampled_from("0123456789*#"))


@pytest.mark.parametrize(
    ("key", "status", "step"),
    [
        ("1", ALLOWED, Step.SEND),
        ("2", DENIED, Step.RESPECT_REFUSAL),
        (None, NO_RESPONSE, Step.BACK_TO_MUSIC),
    ],
)
@pytest.mark.parametrize("wrong_keys", range(REPEATS_PER_ROUND + 1))
def test_what_ends_a_round(key: str | None, status: WaitTimeSmsStatus, step: Step, wrong_keys: int) -> None:
    assert answered(Consent(rounds=4, wrong_keys=wrong_keys), key) == (Consent(status, 5, 0), step)


@pytest.mark.parametrize("key", WRONG)
def test_three_wrong_keys_repeat_the_message_and_the_fourth_ends_the_round(key: str) -> None:
    state = Consent()
    for time in range(1, 4):
        state, step = answered(state, key)
        assert step is Step.REPEAT
        assert state == Consent(wrong_keys=time)
    assert answered(state, key) == (Consent(NO_RESPONSE, 1), Step.BACK_TO_MUSIC)


def test_a_wrong_key_keeps_what_an_earlier_round_said() -> None:
    state, step = answered(Consent(NO_RESPONSE, 2), "9")
    assert (state, step) == (Consent(NO_RESPONSE, 2, 1), Step.REPEAT)


@given(st.lists(answers, max_size=200))
def test_a_round_never_plays_more_than_four_times_and_ends_with_a_status(keys: list[str | None]) -> None:
    state, plays = Consent(), 1
    for key in keys:
        before = state
        state, step = answered(state, key)
        if step is Step.REPEAT:
            plays += 1
            assert plays <= 1 + REPEATS_PER_ROUND
            assert (state.rounds, state.status) == (before.rounds, before.status)
        else:
            assert state.rounds == before.rounds + 1
            assert state.status is not None
            assert state.wrong_keys == 0
            assert (step is Step.SEND) == (key == "1") == (state.status is ALLOWED)
            plays = 1
        if state.settled:
            break


RULES = OfferRules(enabled=True, requires_over_capacity=False)
MOBILE = Receiver(hidden=False, country="DE", can_receive_sms=True)


def why(
    consent: Consent | None = None,
    rules: OfferRules = RULES,
    receiver: Receiver = MOBILE,
    over_capacity: bool = True,
) -> NotOffered | None:
    return why_not_offered(consent or Consent(), rules, receiver, was_over_capacity=over_capacity)


def test_offered() -> None:
    assert why() is None
    assert why(Consent(NO_RESPONSE, 7)) is None, "asked again without a limit"
    assert why(over_capacity=False) is None, "a queue may offer it without that step"


@pytest.mark.parametrize(
    ("reason", "consent", "rules", "receiver"),
    [
        (NotOffered.SWITCHED_OFF, Consent(), replace(RULES, enabled=False), MOBILE),
        (NotOffered.ALREADY_ANSWERED, Consent(ALLOWED, 1), RULES, MOBILE),
        (NotOffered.ALREADY_ANSWERED, Consent(DENIED, 1), RULES, MOBILE),
        (NotOffered.MAXIMUM_PLAYS, Consent(NO_RESPONSE, 3), replace(RULES, maximum_plays=3), MOBILE),
        (NotOffered.MAXIMUM_PLAYS, Consent(NO_RESPONSE, 4), replace(RULES, maximum_plays=3), MOBILE),
        (NotOffered.NUMBER_HIDDEN, Consent(), RULES, Receiver(True, None, False)),
        (NotOffered.CANNOT_RECEIVE_SMS, Consent(), RULES, replace(MOBILE, can_receive_sms=False)),
        (NotOffered.COUNTRY_NOT_ALLOWED, Consent(), RULES, replace(MOBILE, country="GB")),
        (NotOffered.COUNTRY_NOT_ALLOWED, Consent(), RULES, replace(MOBILE, country=None)),
        (NotOffered.OPTED_OUT, Consent(), RULES, replace(MOBILE, opted_out=True)),
    ],
)
def test_not_offered(reason: NotOffered, consent: Consent, rules: OfferRules, receiver: Receiver) -> None:
    assert why(consent, rules, receiver) is reason


def test_only_who_was_over_capacity_where_that_is_asked_for() -> None:
    rules = replace(RULES, requires_over_capacity=True)
    assert why(rules=rules, over_capacity=False) is NotOffered.NOT_OVER_CAPACITY
    assert why(rules=rules, over_capacity=True) is None


def test_the_limit_of_plays_is_reached_only_by_rounds_that_ended() -> None:
    rules = replace(RULES, maximum_plays=1)
    assert why(Consent(wrong_keys=3), rules) is None
    assert why(Consent(NO_RESPONSE, 1), rules) is NotOffered.MAXIMUM_PLAYS


@pytest.mark.parametrize("non_domestic", [True, False])
@pytest.mark.parametrize("country", ["DE", "GB", "FR", None])
def test_abroad_only_where_allowed_and_listed(non_domestic: bool, country: str | None) -> None:
    rules = replace(RULES, non_domestic=non_domestic, countries=frozenset({"GB"}))
    allowed = country == "DE" or (non_domestic and country == "GB")
    assert (why(rules=rules, receiver=replace(MOBILE, country=country)) is None) == allowed


@given(
    st.builds(Consent, st.sampled_from([None, *WaitTimeSmsStatus]), st.integers(0, 9), st.integers(0, 3)),
    st.builds(
        OfferRules,
        enabled=st.booleans(),
        requires_over_capacity=st.booleans(),
        maximum_plays=st.one_of(st.none(), st.integers(1, 5)),
        non_domestic=st.booleans(),
        countries=st.frozensets(st.sampled_from(["GB", "FR"])),
    ),
    st.builds(
        Receiver, st.booleans(), st.sampled_from([None, "DE", "GB", "FR"]), st.booleans(), st.booleans()
    ),
    st.booleans(),
)
def test_never_to_whom_it_must_not_be_offered(
    consent: Consent, rules: OfferRules, receiver: Receiver, over_capacity: bool
) -> None:
    if why_not_offered(consent, rules, receiver, was_over_capacity=over_capacity) is None:
        assert rules.enabled
        assert not consent.settled
        assert not receiver.hidden
        assert receiver.can_receive_sms
        assert not receiver.opted_out
        assert rules.maximum_plays is None or consent.rounds < rules.maximum_plays
        assert receiver.country == "DE" or (rules.non_domestic and receiver.country in rules.countries)
