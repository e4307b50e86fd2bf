"""Which numbers may be dialled outside. Emergency and premium numbers never, whatever the site allows.

``phonenumbers`` knows what is an emergency number or of a premium tariff in a country; the rules below add
what costs more than a call there although its type does not say so.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType, shortnumberinfo

from ivr_engine.domain.numbers import to_e164


class NotDialled(StrEnum):
    """Why; recorded, so that an abused or a wrong number can be found."""

    NO_NUMBER = "no_number"
    EMERGENCY = "emergency"
    PREMIUM = "premium"
    NOT_ALLOWED = "not_allowed"


_PLAIN: Final = re.compile(r"\+?[0-9][0-9 ()/.-]{1,30}")
_COSTLY_TYPES: Final = frozenset(
    {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER}
)
_COSTLY: Final = (
    "+870",  # Inmarsat
    "+881",  # global satellite systems
    "+882",  # international networks
    "+883",
    "+888",
    "+979",  # international premium rate
    "+49118",  # directory enquiries
    "+49137",  # mass calls
    "+491212",  # Germany's fee-based groups
    "+49900",
    "+43810",
    "+43820",
    "+43821",
    "+43900",
    "+43930",
    "+41900",
    "+41901",
    "+41906",
    "+44871",
    "+44872",
    "+44873",
    "+449",
    "+339",
    "+338",
    "+1900",
    "+1976",
)
"""Beginnings of numbers, in E.164."""


def why_not_dialled(number: str, home_country: str, allowed: Collection[str]) -> NotDialled | None:
    """The first reason not to dial ``number`` (hostile), or ``None``. ``allowed`` are beginnings of numbers
    in E.164; none: nothing is dialled."""
    if not _PLAIN.fullmatch(number):
        return NotDialled.NO_NUMBER
    if shortnumberinfo.connects_to_emergency_number(number, home_country):
        return NotDialled.EMERGENCY
    if _is_emergency_behind_prefix(number):
        return NotDialled.EMERGENCY
    e164 = to_e164(number, home_country)
    if e164 is None:
        return NotDialled.NO_NUMBER
    parsed = phonenumbers.parse(e164)
    if phonenumbers.number_type(parsed) in _COSTLY_TYPES or e164.startswith(_COSTLY):
        return NotDialled.PREMIUM
    if not e164.startswith(tuple(allowed)):
        return NotDialled.NOT_ALLOWED
    return None


def _is_emergency_behind_prefix(number: str) -> bool:
    """``+49112``: no number that exists, but some networks would put it through."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    digits = phonenumbers.national_significant_number(parsed)
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    return any(shortnumberinfo.is_emergency_number(digits, region) for region in regions)
