"""How many parts a text message takes, and which character makes it expensive.

GSM-7: 160 characters in one part, 153 in each of several; ``| ^ € { } [ ] ~ \\`` count two. One
character outside that alphabet turns the whole text to UCS-2: 70, or 67 UTF-16 units a part. An escape
pair or a surrogate pair is never split. Source: 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED: Final = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class _Room:
    """Units that fit into one message alone, and into each of several."""

    single: int
    many: int


_GSM7: Final = _Room(160, 153)
_UCS2: Final = _Room(70, 67)


@dataclass(frozen=True, slots=True)
class Parts:
    """``units`` is the length as billed: 7-bit characters or UTF-16 units. ``forcing`` is the first
    character that GSM-7 does not have; ``None`` for a text in GSM-7."""

    units: int
    count: int
    forcing: str | None


class Encoding(StrEnum):
    """``GSM-7``: 7 bits a character · ``UCS-2``: 16."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Measure:
    """What somebody who writes a text is told. ``characters`` is its length as people count (code points),
    ``units`` as billed. ``forcing``: each character that GSM-7 does not have, in the order they come;
    ``double``: each that counts two in GSM-7. ``left``: units until one more part is needed."""

    characters: int
    units: int
    segments: int
    encoding: Encoding
    left: int
    forcing: tuple[str, ...]
    double: tuple[str, ...]


def measure(text: str) -> Measure:
    """Measure ``text``, and name what makes it expensive."""
    counted = parts(text)
    gsm7 = counted.forcing is None
    alphabet = _GSM7 if gsm7 else _UCS2
    used = counted.units if counted.count == 1 else _packed(_sizes(text, gsm7=gsm7), alphabet.many)[1]
    return Measure(
        characters=len(text),
        units=counted.units,
        segments=counted.count,
        encoding=Encoding.GSM7 if gsm7 else Encoding.UCS2,
        left=(alphabet.single if counted.count == 1 else alphabet.many) - used,
        forcing=tuple(dict.fromkeys(c for c in text if c not in _BASIC and c not in _ESCAPED)),
        double=tuple(dict.fromkeys(c for c in text if c in _ESCAPED)) if gsm7 else (),
    )


@lru_cache(maxsize=256)
def parts(text: str) -> Parts:
    """Count ``text``; an empty text is one part. Remembered: many get the same."""
    forcing = next((c for c in text if c not in _BASIC and c not in _ESCAPED), None)
    alphabet = _GSM7 if forcing is None else _UCS2
    sizes = _sizes(text, gsm7=forcing is None)
    units = sum(sizes)
    return Parts(units, 1 if units <= alphabet.single else _packed(sizes, alphabet.many)[0], forcing)


def _sizes(text: str, *, gsm7: bool) -> list[int]:
    if gsm7:
        return [2 if c in _ESCAPED else 1 for c in text]
    return [2 if ord(c) > 0xFFFF else 1 for c in text]


def _packed(sizes: Iterable[int], room: int) -> tuple[int, int]:
    """How many parts, and what is used of the last."""
    count, used = 1, 0
    for size in sizes:
        if used + size > room:
            count, used = count + 1, 0
        used += size
    return count, used
