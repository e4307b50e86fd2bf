"""Phone numbers: parsed and validated by ``phonenumbers``, kept as E.164 where they are valid, masked
wherever logged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from ivr_engine.domain.consent import Receiver

_HIDDEN: Final = frozenset({"", "anonymous", "unknown", "restricted", "unavailable", "private", "asterisk"})
_FIXED: Final = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)

_PREMIUM: Final = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})

_WRITTEN: Final = str.maketrans("", "", " -./()")
"""What people write between digits."""
_DIGITS: Final = re.compile(r"\+?[0-9]{1,32}")


def to_e164(raw: str, home_country: str) -> str | None:
    """The number in E.164 (``+4915112345678``), or ``None`` when hidden or not a valid number.

    ``raw`` is what a phone, a trunk or a person wrote: hostile until this returned.
    """
    raw = raw.strip()
    if raw.lower() in _HIDDEN or len(raw) > 32:
        return None
    number = _looked_up(raw, None if raw.startswith("+") else home_country)
    return number and number.e164


@dataclass(frozen=True, slots=True)
class _Number:
    """What the numbering plans say of a valid number. ``kind``: a ``PhoneNumberType``."""

    e164: str
    country: str | None
    kind: int


@lru_cache(maxsize=2048)
def _looked_up(raw: str, home_country: str | None) -> _Number | None:
    """``None``: not valid. Remembered, because a number is asked about at several moments of one call."""
    try:
        number = phonenumbers.parse(raw, home_country)
    except phonenumbers.NumberParseException:
        return None
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # which is how ``phonenumbers`` tells that it is not valid
        return None
    return _Number(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        country=phonenumbers.region_code_for_number(number),
        kind=kind,
    )


def shown_caller(raw: str, home_country: str) -> str | None:
    """Who calls, for people to read: E.164 where it is a valid number, else the digits as they were
    signalled (an extension like ``4711``, a number with a digit too few), ``None`` when hidden or no number
    at all. ``raw`` is hostile until this returned."""
    number = to_e164(raw, home_country)
    if number is not None:
        return number
    digits = raw.strip().translate(_WRITTEN)
    return (to_e164(digits, home_country) or digits) if _DIGITS.fullmatch(digits) else None


_LANGUAGES: Final = {
    **dict.fromkeys(("DE", "AT", "CH", "LI"), "de"),
    **dict.fromkeys(("IT", "SM", "VA"), "it"),
    **dict.fromkeys(("FR", "BE", "LU", "MC", "SN", "CI", "CM", "DZ", "MA", "TN"), "fr"),
    **dict.fromkeys(("ES", "MX", "AR", "CO", "CL", "PE", "VE", "EC", "GT", "CU", "BO", "DO"), "es"),
    **dict.fromkeys(("HN", "PY", "SV", "NI", "CR", "PA", "UY", "PR", "GQ"), "es"),
    **dict.fromkeys(("GB", "IE", "US", "CA", "AU", "NZ", "ZA", "IN", "NG", "KE", "GH", "SG"), "en"),
}


def language_of(number: str) -> str | None:
    """What most people speak in the country of an E.164 number, of the languages that texts are built in for;
    ``None`` for all other countries."""
    known = _looked_up(number, None)
    return _LANGUAGES.get(known.country or "") if known else None


def is_country(code: str) -> bool:
    """Whether ``code`` (ISO 3166, two capital letters) has a numbering plan."""
    return code in phonenumbers.SUPPORTED_REGIONS


def receiver(number: str | None, *, opted_out: bool = False) -> Receiver:
    """What the consent rules need to know of a ``shown_caller`` (``None``: hidden)."""
    if number is None:
        return Receiver(hidden=True, country=None, can_receive_sms=False)
    known = _looked_up(number, None)
    if known is None:
        return Receiver(hidden=False, valid=False, country=None, can_receive_sms=False)
    return Receiver(
        hidden=False,
        country=known.country,
        can_receive_sms=known.kind not in _FIXED,
        premium=known.kind in _PREMIUM,
        opted_out=opted_out,
        number=number,
    )


def masked(number: str | None) -> str:
    """For logs: ``+4915…78``; never the whole number."""
    if not number:
        return "hidden"
    return f"{number[:5]}…{number[-2:]}" if len(number) > 7 else "…"
