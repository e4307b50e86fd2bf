"""Counting the parts of a text message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.sms_parts import Parts, parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Parts(0, 1, None)),
        ("a" * 160, Parts(160, 1, None)),
        ("a" * 161, Parts(161, 2, None)),
        ("a" * 306, Parts(306, 2, None)),
        ("a" * 307, Parts(307, 3, None)),
        ("a" * 918, Parts(918, 6, None)),
        ("Grüße für 5 €", Parts(14, 1, None)),
        ("€" * 80, Parts(160, 1, None)),
        ("€" * 81, Parts(162, 2, None)),
        # An escape pair is never split: 152 + pair does not fit into 153.
        ("a" * 152 + "€" + "a" * 151, Parts(305, 2, None)),
        ("a" * 152 + "€" + "a" * 152, Parts(306, 3, None)),
        ("it\u2019s", Parts(4, 1, "\u2019")),
        ("ж" * 70, Parts(70, 1, "ж")),
        ("ж" * 71, Parts(71, 2, "ж")),
        ("😀" * 35, Parts(70, 1, "😀")),
        # Nor a surrogate pair: 33 of them and one unit left over in each part of 67.
        ("😀" * 67, Parts(134, 3, "😀")),
        ("a`b", Parts(3, 1, "`")),
    ],
)
def test_counting(text: str, expected: Parts) -> None:
    assert parts(text) == expected


def test_the_alphabet_has_its_128_places() -> None:
    everything = [chr(c) for c in range(0x10000)]
    basic = [c for c in everything if parts(c).forcing is None and parts(c).units == 1]
    escaped = [c for c in everything if parts(c).forcing is None and parts(c).units == 2]
    assert len(basic) == 127, "128 places, one of which is the escape itself"
    assert len(escaped) == 10


@given(st.text(max_size=400))
def test_more_text_never_takes_fewer_parts(text: str) -> None:
    assert parts(text).count <= parts(text + "a").count
    assert parts(text).count >= 1
