"""Numbers as phones, trunks and people write them: hostile until parsed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_engine.domain.numbers import masked, receiver, shown_caller, to_e164


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("+4915112345678", "+4915112345678"),
        (" +49 151 12345678 ", "+4915112345678"),
        ("015112345678", "+4915112345678"),
        ("0049 151/12345678", "+4915112345678"),
        ("(0151) 123-456-78", "+4915112345678"),
        ("+442079460958", "+442079460958"),
        ("030 12345678", "+493012345678"),
    ],
)
def test_read_as_from_germany(raw: str, e164: str) -> None:
    assert to_e164(raw, "DE") == e164


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "anonymous",
        "Anonymous",
        "ANONYMOUS ",
        "unknown",
        "Restricted",
        "unavailable",
        "asterisk",
        "700",
        "110",
        "112",
        "+49",
        "+",
        "+4915112345678" * 3,
        "500&PJSIP/evil",
        "4915112345678; DROP TABLE calls",
        "<script>alert(1)</script>",
        "sip:+4915112345678@evil.example",
        "+4915112345678\r\nVia: evil",
        "tel:+4915112345678;phone-context=evil",
        "+4915112345678;ext=1" + "9" * 40,
        "+999123456789",
        "\uff11\uff12\uff13",
        "💥" * 8,
    ],
)
def test_not_a_number(raw: str) -> None:
    assert to_e164(raw, "DE") is None


@pytest.mark.parametrize("raw", ["++4915112345678", "+4915112345678\x00", "+49 151 1234567\uff18"])
def test_what_is_odd_but_clear_comes_out_clean(raw: str) -> None:
    assert to_e164(raw, "DE") == "+4915112345678"


@settings(max_examples=500)
@given(st.one_of(st.text(max_size=50), st.text("+0123456789 ()-/.&;,:@xXeEtTwW*#", max_size=40)))
def test_whatever_is_written_gives_a_clean_number_or_none(raw: str) -> None:
    number = to_e164(raw, "DE")
    if number is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{4,14}", number)
        assert to_e164(number, "US") == number, "the same from everywhere"
        known = receiver(number)
        assert not known.hidden


@pytest.mark.parametrize(
    ("number", "country", "can"),
    [
        ("+4915112345678", "DE", True),
        ("+493012345678", "DE", False),
        ("+498001234567", "DE", False),
        ("+499001234567", "DE", False),
        ("+447400123456", "GB", True),
        ("+442079460958", "GB", False),
        ("+12015550123", "US", True),  # fixed or mobile: nobody can tell
        ("+33612345678", "FR", True),
    ],
)
def test_what_is_known_of_a_receiver(number: str, country: str, can: bool) -> None:
    known = receiver(number, opted_out=True)
    assert (known.hidden, known.country, known.can_receive_sms, known.opted_out) == (
        False,
        country,
        can,
        True,
    )


def test_a_hidden_number_receives_nothing() -> None:
    known = receiver(None)
    assert (known.hidden, known.country, known.can_receive_sms) == (True, None, False)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("015112345678", "+4915112345678"),
        ("4711", "4711"),
        (" 47-11 ", "4711"),
        ("+49123", "+49123"),
        ("0151 1234", "01511234"),
        ("110", "110"),
        ("anonymous", None),
        ("Restricted", None),
        ("", None),
        ("+", None),
        ("anna", None),
        ("4711;DROP TABLE calls", None),
        ("<script>1</script>", None),
        ("4711\r\nVia: evil", None),
        ("\uff14\uff17\uff11\uff11", None),
        ("1" * 33, None),
    ],
)
def test_a_number_that_is_shown_is_kept_though_it_is_not_valid(raw: str, shown: str | None) -> None:
    assert shown_caller(raw, "DE") == shown


@given(st.one_of(st.text(max_size=50), st.text("+0123456789 ()-/.", max_size=40)))
def test_whoever_calls_is_digits_or_nobody(raw: str) -> None:
    shown = shown_caller(raw, "DE")
    known = receiver(shown)
    assert known.hidden == (shown is None)
    if shown is not None:
        assert re.fullmatch(r"\+?[0-9]{1,32}", shown)
        assert shown_caller(shown, "DE") == shown
        assert known.valid == (to_e164(shown, "DE") == shown)
        assert known.valid or not known.can_receive_sms


@given(st.one_of(st.none(), st.text(max_size=40)))
def test_masked_never_shows_the_number(number: str | None) -> None:
    shown = masked(number)
    assert shown
    if number and len(number) >= 10:
        assert number not in shown
        assert number[5:-2] not in shown or len(set(number)) < 4
