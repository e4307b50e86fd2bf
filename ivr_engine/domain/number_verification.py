"""Whether a number of ours is verified: a code that was sent to it and entered, or the provider's word.

A code lives for ten minutes and may be tried five times; one number gets one a minute and five a day at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ivr_engine.domain.records import replace
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.errors import Refused

VALID_S: Final = 600.0
TRIES: Final = 5
PAUSE_S: Final = 60.0
"""Between two codes for one number."""
A_DAY: Final = 5
"""Codes for one number in 24 hours."""
DIGITS: Final = 6

_CODE: Final = re.compile(r"[0-9]{6}")
_DAY: Final = timedelta(days=1)


NO_MEDIA: Final = "its account sends no pictures from it, and its 'capabilities' have 'media'"
"""The trouble of a number that is verified all the same: texts go out from it."""


class How(StrEnum):
    """``code`` sent to it and entered · ``provider`` it is in the provider's list of our numbers ·
    ``declared`` by somebody of the staff: only for a name, which no code can be sent to."""

    CODE = "code"
    PROVIDER = "provider"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """``by``: who entered the code or declared it; the provider's name."""

    at: datetime
    by: str
    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCode:
    """A code under way: only its hash is kept. ``digest`` and ``salt`` in hexadecimal digits."""

    digest: str
    salt: str
    by: str
    sent_at: datetime
    expires_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberState:
    """What is known of ``number`` at ``provider``: another provider has to be asked anew.

    ``codes_at``: when the last codes were sent. ``trouble``: what the provider said against it.
    """

    number: str
    provider: str
    verified: Verified | None = None
    code: SentCode | None = None
    codes_at: tuple[datetime, ...] = ()
    trouble: str | None = None


def can_get_code(number: str) -> bool:
    """Whether a code sent by SMS can arrive there."""
    return kind_of(number) in (Kind.LONG_CODE, Kind.TOLL_FREE)


def as_entered(code: str) -> str:
    """The code without the blanks people write. ``Refused`` for what cannot be one."""
    digits = code.strip().replace(" ", "").replace("-", "")
    if not _CODE.fullmatch(digits):
        raise Refused(f"a code has {DIGITS} digits")
    return digits


def code_sent(state: NumberState, *, digest: str, salt: str, by: str, now: datetime) -> NumberState:
    """With a new code, which ends the one before. ``Refused`` when there were too many."""
    if not can_get_code(state.number):
        raise Refused(f"{state.number} can get no SMS from here: declare it, or ask the provider")
    recent = tuple(at for at in state.codes_at if now - at < _DAY)
    if recent and (wait := PAUSE_S - (now - max(recent)).total_seconds()) > 0:
        raise Refused(f"a code was sent a moment ago: wait {wait:.0f} s, then ask for another")
    if len(recent) >= A_DAY:
        raise Refused(f"{A_DAY} codes were sent to this number in a day: ask again tomorrow")
    code = SentCode(digest=digest, salt=salt, by=by, sent_at=now, expires_at=now + timedelta(seconds=VALID_S))
    return replace(state, code=code, codes_at=(*recent, now))


def tried(state: NumberState, now: datetime) -> SentCode:
    """The code under way, one more try counted before anybody compares. ``Refused`` when none is left."""
    code = state.code
    if code is None:
        raise Refused("no code is under way for this number: ask for one")
    if now >= code.expires_at:
        raise Refused(f"the code is older than {VALID_S / 60:.0f} minutes: ask for a new one")
    if code.tries >= TRIES:
        raise Refused(f"wrong {TRIES} times: ask for a new code")
    return replace(code, tries=code.tries + 1)


def confirmed(state: NumberState, salt: str, *, by: str, now: datetime) -> NumberState:
    """After the right code. ``Refused`` when another was sent meanwhile (``salt`` is not its)."""
    if state.code is None or state.code.salt != salt:
        raise Refused("another code was sent meanwhile: enter that one")
    return replace(state, verified=Verified(at=now, by=by, how=How.CODE), code=None, trouble=None)


def declared(state: NumberState, *, by: str, now: datetime) -> NumberState:
    """On somebody's word. ``Refused`` for what can be verified otherwise."""
    if kind_of(state.number) is not Kind.ALPHANUMERIC:
        raise Refused(f"{state.number} can be verified: by a code, or by the provider's list")
    return replace(state, verified=Verified(at=now, by=by, how=How.DECLARED), trouble=None)


def told(
    state: NumberState, *, has_it: bool, sends: bool, now: datetime, lacks_media: bool = False
) -> NumberState:
    """After the provider was asked: ``has_it`` among our numbers, and it ``sends`` texts from it;
    ``lacks_media``: but no pictures, and the site says it carries some.

    What the provider had verified is so no longer when it says otherwise; what a code has verified stays.
    """
    if has_it and sends:
        verified = state.verified or Verified(at=now, by=state.provider, how=How.PROVIDER)
        return replace(state, verified=verified, trouble=NO_MEDIA if lacks_media else None)
    why = "its account sends no texts from it" if has_it else "it is not among the account's numbers"
    by_provider = state.verified is not None and state.verified.how is How.PROVIDER
    return replace(state, verified=None if by_provider else state.verified, trouble=why)
