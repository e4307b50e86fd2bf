"""Phone numbers: parsed and validated by ``phonenumbers``, kept as E.164 where they are valid, masked
wherever logged."""

from __future__ import annotations

import re
from dataclasses import replace
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
    number = _valid(raw, None if raw.startswith("+") else home_country)
    return number and phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=2048)
def _valid(raw: str, home_country: str | None = None) -> phonenumbers.PhoneNumber | None:
    """Remembered, because a number is asked about at several moments of one call."""
    try:
        number = phonenumbers.parse(raw, home_country)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


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
    parsed = _valid(number)
    return _LANGUAGES.get(phonenumbers.region_code_for_number(parsed) or "") if parsed else None


def is_country(code: str) -> bool:
    """Whether ``code`` (ISO 3166, two capital letters) has a numbering plan."""
    return code in phonenumbers.SUPPORTED_REGIONS


def receiver(number: str | None, *, opted_out: bool = False) -> Receiver:
    """What the consent rules need to know of a ``shown_caller`` (``None``: hidden)."""
    if number is None:
        return Receiver(hidden=True, country=None, can_receive_sms=False)
    known = _receiver(number)
    return replace(known, opted_out=True) if opted_out and known.valid else known


@lru_cache(maxsize=2048)
def _receiver(number: str) -> Receiver:
    """Remembered likewise: each round of announcements asks."""
    parsed = _valid(number)
    if parsed is None:
        return Receiver(hidden=False, valid=False, country=None, can_receive_sms=False)
    kind = phonenumbers.number_type(parsed)
    return Receiver(
        hidden=False,
        country=phonenumbers.region_code_for_number(parsed),
        can_receive_sms=kind not in _FIXED,
        premium=kind in _PREMIUM,
        number=number,
    )


def masked(number: str | None) -> str:
    """For logs: ``+4915…78``; never the whole number."""
    if not number:
        return "hidden"
    return f"{number[:5]}…{number[-2:]}" if len(number) > 7 else "…"
