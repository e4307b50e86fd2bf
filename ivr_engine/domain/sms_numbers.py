"""Numbers of ours that texts are sent from and come to: their kinds, and which one writes to a contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType


class Kind(StrEnum):
    """``long_code`` an ordinary number, of a mobile or of a line · ``toll_free`` one that is free to call ·
    ``short_code`` a few digits that work in one country · ``alphanumeric`` a name: nobody can answer it."""

    LONG_CODE = "long_code"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


NORTH_AMERICA: Final = "+1"
"""The country code whose carriers let a long code send one part a second."""
NO_NAMES: Final = frozenset({"US", "CA"})
"""Countries where carriers take no text from an alphanumeric sender."""

_RATES: Final = {Kind.LONG_CODE: 10.0, Kind.TOLL_FREE: 3.0, Kind.SHORT_CODE: 100.0, Kind.ALPHANUMERIC: 10.0}
_NORTH_AMERICAN_LONG_CODE: Final = 1.0


@lru_cache(maxsize=2048)
def kind_of(number: str) -> Kind:
    """``number``: E.164, the digits of a short code, or a name."""
    if number.startswith("+"):
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            return Kind.LONG_CODE
        toll_free = phonenumbers.number_type(parsed) == PhoneNumberType.TOLL_FREE
        return Kind.TOLL_FREE if toll_free else Kind.LONG_CODE
    return Kind.SHORT_CODE if number.isdecimal() else Kind.ALPHANUMERIC


def usual_rate(number: str) -> float:
    """Parts a second that carriers and providers take from a number of its kind, unless agreed otherwise.

    Source: Twilio, "Understanding Twilio rate limits and message queues"; reference for North America: one
    part a second from a long code, a hundred from a short code.
    """
    kind = kind_of(number)
    if kind is Kind.LONG_CODE and number.startswith(NORTH_AMERICA):
        return _NORTH_AMERICAN_LONG_CODE
    return _RATES[kind]


@dataclass(frozen=True, slots=True)
class Sender:
    """A number that sends. ``country``: where it is from; ``None`` for a name used everywhere."""

    number: str
    country: str | None

    def reaches(self, country: str | None) -> bool:
        """Whether a text from it can arrive at a number of ``country`` (``None``: not known)."""
        match kind_of(self.number):
            case Kind.SHORT_CODE:
                return country == self.country
            case Kind.ALPHANUMERIC:
                return country not in NO_NAMES and self.country in (None, country)
            case _:
                return True


def choose(senders: Sequence[Sender], country: str | None, last: str | None, otherwise: str) -> str:
    """The number that writes to a contact of ``country``, who knows the one that wrote ``last``.

    ``senders`` serve the queue and may be used, in its order; ``otherwise`` is the number for all queues.
    """
    fit = [sender for sender in senders if sender.reaches(country)]
    if last is not None and any(sender.number == last for sender in fit):
        return last
    at_home = [sender for sender in fit if sender.country is not None and sender.country == country]
    best = (at_home or fit)[:1]
    return best[0].number if best else otherwise
