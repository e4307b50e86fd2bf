"""Which number writes to a contact, and how fast each kind may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.sms_numbers import Kind, Sender, choose, kind_of, usual_rate

BERLIN = Sender("+4930123456", "DE")
MOBILE = Sender("+4915735990001", "DE")
VIENNA = Sender("+4319971234", "AT")
BOSTON = Sender("+16175551212", "US")
SHORT = Sender("72000", "DE")
NAME = Sender("EXAMPLE", None)
GLOBAL = "+4930999999"


@pytest.mark.parametrize(
    ("number", "kind", "rate"),
    [
        ("+4915735990001", Kind.LONG_CODE, 10.0),
        ("+16175551212", Kind.LONG_CODE, 1.0),
        ("+18005551234", Kind.TOLL_FREE, 3.0),
        ("72000", Kind.SHORT_CODE, 100.0),
        ("Example 1", Kind.ALPHANUMERIC, 10.0),
    ],
)
def test_the_kind_follows_from_how_it_is_written(number: str, kind: Kind, rate: float) -> None:
    assert (kind_of(number), usual_rate(number)) == (kind, rate)


def test_the_contact_knows_the_number_that_wrote_before() -> None:
    assert choose([BERLIN, MOBILE], "DE", MOBILE.number, GLOBAL) == MOBILE.number


def test_the_number_that_wrote_before_serves_the_queue_no_more() -> None:
    assert choose([BERLIN], "DE", MOBILE.number, GLOBAL) == BERLIN.number


def test_one_of_the_contact_s_country_comes_first() -> None:
    assert choose([BERLIN, VIENNA], "AT", None, GLOBAL) == VIENNA.number


def test_else_the_queue_s_first() -> None:
    assert choose([BERLIN, VIENNA], "CH", None, GLOBAL) == BERLIN.number
    assert choose([BERLIN, VIENNA], None, None, GLOBAL) == BERLIN.number


def test_else_the_number_for_all_queues() -> None:
    assert choose([], "DE", MOBILE.number, GLOBAL) == GLOBAL


def test_a_short_code_works_in_its_country_alone() -> None:
    assert choose([SHORT], "DE", None, GLOBAL) == SHORT.number
    assert choose([SHORT], "AT", SHORT.number, GLOBAL) == GLOBAL
    assert choose([SHORT], None, None, GLOBAL) == GLOBAL


def test_a_name_is_not_taken_everywhere() -> None:
    assert choose([NAME], "AT", None, GLOBAL) == NAME.number
    assert choose([NAME, BOSTON], "US", None, GLOBAL) == BOSTON.number
    assert choose([Sender("EXAMPLE", "GB")], "DE", None, GLOBAL) == GLOBAL


_SENDERS = st.sampled_from([BERLIN, MOBILE, VIENNA, BOSTON, SHORT, NAME])
_COUNTRIES = st.sampled_from([None, "DE", "AT", "US", "CA", "FR"])


@given(senders=st.lists(_SENDERS, max_size=5), country=_COUNTRIES, last=st.none() | _SENDERS)
def test_who_writes_always_reaches_the_contact(
    senders: list[Sender], country: str | None, last: Sender | None
) -> None:
    chosen = choose(senders, country, last and last.number, GLOBAL)
    fit = [sender for sender in senders if sender.reaches(country)]
    if not fit:
        assert chosen == GLOBAL
        return
    [writer] = {sender for sender in fit if sender.number == chosen}
    if last in fit:
        assert writer == last
    elif any(sender.country == country for sender in fit if sender.country):
        assert writer.country == country


@given(number=st.text(max_size=20))
def test_whatever_is_written_has_a_kind_and_a_rate(number: str) -> None:
    assert kind_of(number) in Kind
    assert usual_rate(number) > 0
