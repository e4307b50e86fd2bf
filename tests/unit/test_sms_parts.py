"""Counting the parts of a text message."""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.sms_parts import Parts, parts
from tests.figures import Figure


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


# ── against another way to cut: encode, and take the longest beginning that fits ─────────────────

TABLE: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""3GPP TS 23.038, 6.2.1: the character of each code."""
EXTENSION: Final = dict(zip((10, 20, 40, 41, 47, 60, 61, 62, 64, 101), "\f^{}\\[~]|€", strict=True))
"""6.2.1.1: the character of each code behind an escape."""
SEPTETS: Final = {c: bytes([code]) for code, c in enumerate(TABLE) if code != 0x1B} | {
    c: bytes([0x1B, code]) for code, c in EXTENSION.items()
}


def encoded(text: str, *, gsm: bool) -> list[bytes]:
    """What each character becomes: septets, or UTF-16 units of two bytes."""
    return [SEPTETS[c] if gsm else c.encode("utf-16-be") for c in text]


def cut(text: str) -> list[bytes]:
    """The parts as they would be sent."""
    gsm = all(c in SEPTETS for c in text)
    pieces = encoded(text, gsm=gsm)
    whole = b"".join(pieces)
    single, room = (160, 153) if gsm else (140, 134)
    if len(whole) <= single:
        return [whole]
    found: list[bytes] = []
    while pieces:
        take = bisect_right(list(accumulate(map(len, pieces[: room + 1]))), room)
        found.append(b"".join(pieces[:take]))
        pieces = pieces[take:]
    return found


def test_the_reference_has_every_code() -> None:
    assert len(TABLE) == 128
    assert {c for c in SEPTETS if parts(c).forcing} == set()


def test_ten_thousand_random_texts_like_the_reference(figure: Figure) -> None:
    chance = random.Random(29)
    alphabets = ("".join(SEPTETS), TABLE.replace("\x1b", "") * 5 + "€|^[]", "abc ж", "😀a", "ab\u2019")
    different = longest = 0
    for _ in range(10_000):
        alphabet = chance.choice(alphabets)
        text = "".join(chance.choices(alphabet, k=int(1000 * chance.random() ** 3)))
        found, expected = parts(text), cut(text)
        units = sum(map(len, expected)) // (1 if found.forcing is None else 2)
        different += (found.count, found.units) != (len(expected), units)
        longest = max(longest, found.count)
    figure(29, "10,000 random texts cut into parts", unlike_the_reference=different, most_parts=longest)
    assert different == 0
