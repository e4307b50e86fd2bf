"""Phone numbers: parsed and validated by ``phonenumbers``, kept as E.164, masked wherever logged."""

from __future__ import annotations

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


def to_e164(raw: str, home_country: str) -> str | None:
    """The number in E.164 (``+4915112345678``), or ``None`` when hidden or not a valid number.

    ``raw`` is what a phone, a trunk or a person wrote: hostile until this returned.
    """
    raw = raw.strip()
    if raw.lower() in _HIDDEN or len(raw) > 32:
        return None
    try:
        number = phonenumbers.parse(raw, home_country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_country(code: str) -> bool:
    """Whether ``code`` (ISO 3166, two capital letters) has a numbering plan."""
    return code in phonenumbers.SUPPORTED_REGIONS


def receiver(number: str | None, *, opted_out: bool = False) -> Receiver:
    """What the consent rules need to know of an E.164 ``number`` (``None``: hidden)."""
    if number is None:
        return Receiver(hidden=True, country=None, can_receive_sms=False)
    parsed = phonenumbers.parse(number)
    return Receiver(
        hidden=False,
        country=phonenumbers.region_code_for_number(parsed),
        can_receive_sms=phonenumbers.number_type(parsed) not in _FIXED,
        opted_out=opted_out,
    )


def masked(number: str | None) -> str:
    """For logs: ``+4915…78``; never the whole number."""
    if not number:
        return "hidden"
    return f"{number[:5]}…{number[-2:]}" if len(number) > 7 else "…"
