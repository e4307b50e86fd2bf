"""How many parts a text message takes, and which character makes it expensive.

GSM-7: 160 characters in one part, 153 in each of several; ``| ^ € { } [ ] ~ \\`` count two. One
character outside that alphabet turns the whole text to UCS-2: 70, or 67 UTF-16 units a part. An escape
pair or a surrogate pair is never split. Source: 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED: Final = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Parts:
    """``units`` is the length as billed: 7-bit characters or UTF-16 units. ``forcing`` is the first
    character that GSM-7 does not have; ``None`` for a text in GSM-7."""

    units: int
    count: int
    forcing: str | None


def parts(text: str) -> Parts:
    """Count ``text``; an empty text is one part."""
    forcing = next((c for c in text if c not in _BASIC and c not in _ESCAPED), None)
    if forcing is None:
        sizes, single, many = [2 if c in _ESCAPED else 1 for c in text], 160, 153
    else:
        sizes, single, many = [2 if ord(c) > 0xFFFF else 1 for c in text], 70, 67
    units = sum(sizes)
    return Parts(units, 1 if units <= single else _packed(sizes, many), forcing)


def _packed(sizes: Iterable[int], room: int) -> int:
    count, used = 1, 0
    for size in sizes:
        if used + size > room:
            count, used = count + 1, 0
        used += size
    return count
