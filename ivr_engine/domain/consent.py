"""The wait-time SMS consent conversation: when it is offered and what each answer means.

One *round* is: the consent message (keys count from its first moment), then ten seconds of silence
in which a key still counts. A wrong key plays "wrong number selected" and the message again, at most
three times in a round; one more wrong key ends the round as if nothing had been pressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ivr_engine.domain.abuse import Cap
from ivr_engine.domain.records import replace
from ivr_engine.domain.wait_estimate import Estimate

ANSWER_WINDOW_S: Final = 10.0
"""Seconds after the end of the consent message in which a key still counts."""

REPEATS_PER_ROUND: Final = 3
"""How often a wrong key brings the consent message again within one round."""


LIKELY: Final = 2 / 3
"""The wait counts as longer than a minimum, or as no longer than a maximum, when it is so with this
probability at least."""


class WaitTimeSmsStatus(StrEnum):
    """What the caller decided; ``None`` in its place means: never asked to the end of a round."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NO_RESPONSE = "no_response"


class Withdrawal(StrEnum):
    """What the ledger says when a consent was taken back."""

    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """What the conversation does next. ``withhold``: the SMS was allowed, and a cap on SMS is reached."""

    SEND = "send"
    WITHHOLD = "withhold"
    RESPECT_REFUSAL = "respect_refusal"
    REPEAT = "repeat"
    BACK_TO_MUSIC = "back_to_music"


class NotOffered(StrEnum):
    """Why no SMS is offered now; recorded, so that the funnel can be read later."""

    SWITCHED_OFF = "switched_off"
    LEFT_THE_LINE = "left_the_line"
    ALREADY_ANSWERED = "already_answered"
    MAXIMUM_PLAYS = "maximum_plays"
    NUMBER_HIDDEN = "number_hidden"
    NUMBER_NOT_VALID = "number_not_valid"
    CANNOT_RECEIVE_SMS = "cannot_receive_sms"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NOT_OVER_CAPACITY = "not_over_capacity"
    WAIT_TOO_SHORT = "wait_too_short"
    WAIT_TOO_LONG = "wait_too_long"
    WAIT_UNKNOWN = "wait_unknown"
    OPTED_OUT = "opted_out"
    PREMIUM_NUMBER = "premium_number"
    BLOCKED_NUMBER = "blocked_number"
    NOT_ATTESTED = "not_attested"
    NUMBER_CAP = "number_cap"
    PREFIX_CAP = "prefix_cap"
    DAY_CAP = "day_cap"

    @classmethod
    def of_cap(cls, cap: Cap) -> NotOffered:
        """That cap is reached for today."""
        return cls(f"{cap}_cap")


@dataclass(frozen=True, slots=True)
class Consent:
    """Where the consent conversation of one call stands.

    ``rounds`` counts rounds that came to their end; a round cut off by an agent's ring or by an
    engine that died is not counted. ``wrong_keys`` counts within the round in progress.
    """

    status: WaitTimeSmsStatus | None = None
    rounds: int = 0
    wrong_keys: int = 0

    @property
    def settled(self) -> bool:
        """The caller said yes or no: never ask again in this call."""
        return self.status in (WaitTimeSmsStatus.ALLOWED, WaitTimeSmsStatus.DENIED)


def answered(consent: Consent, key: str | None) -> tuple[Consent, Step]:
    """Decide what ``key`` (one of ``0``-``9``, ``*``, ``#``; ``None`` for silence) means.

    Returns the new state and the next step. But for ``Step.REPEAT`` the round is over and the new state
    has a status.
    """
    if key == "1":
        return _end_round(consent, WaitTimeSmsStatus.ALLOWED), Step.SEND
    if key == "2":
        return _end_round(consent, WaitTimeSmsStatus.DENIED), Step.RESPECT_REFUSAL
    if key is not None and consent.wrong_keys < REPEATS_PER_ROUND:
        return replace(consent, wrong_keys=consent.wrong_keys + 1), Step.REPEAT
    return _end_round(consent, WaitTimeSmsStatus.NO_RESPONSE), Step.BACK_TO_MUSIC


def _end_round(consent: Consent, status: WaitTimeSmsStatus) -> Consent:
    return Consent(status=status, rounds=consent.rounds + 1, wrong_keys=0)


@dataclass(frozen=True, slots=True)
class OfferRules:
    """The switches that apply to one queue, globals already merged in.

    ``maximum_plays`` is a number of rounds, ``None`` for no limit. ``minimum_wait_s`` and ``maximum_wait_s``
    are of the estimated wait, ``None`` for no limit. ``requires_over_capacity``: only
    callers who were over capacity and chose to wait are asked. ``countries`` are ISO 3166 codes that
    may be sent to; ``non_domestic`` false narrows them to ``home_country``. ``blocked``:
    beginnings of numbers that are never sent to.
    """

    enabled: bool
    requires_over_capacity: bool = True
    maximum_plays: int | None = None
    minimum_wait_s: float | None = None
    maximum_wait_s: float | None = None
    home_country: str = "DE"
    non_domestic: bool = False
    countries: frozenset[str] = frozenset()
    blocked: tuple[str, ...] = ()

    @property
    def has_window(self) -> bool:
        """Whether the estimated wait decides."""
        return bool(self.minimum_wait_s) or self.maximum_wait_s is not None


@dataclass(frozen=True, slots=True)
class Receiver:
    """What is known of the caller's number: ``country`` is ISO 3166, ``None`` where it has none. One that is
    shown and not ``valid`` is an extension, or malformed. ``premium``: whoever writes to it, or calls
    it, pays its owner."""

    hidden: bool
    country: str | None
    can_receive_sms: bool
    opted_out: bool = False
    valid: bool = True
    premium: bool = False
    number: str = ""


def why_not_offered(
    consent: Consent,
    rules: OfferRules,
    receiver: Receiver,
    *,
    was_over_capacity: bool,
    wait: Estimate | None = None,
    full: Cap | None = None,
    attested: bool | None = None,
) -> NotOffered | None:
    """The first reason not to ask this caller now, or ``None`` when the message is to be played. ``full``: a
    cap that is reached for today. ``attested``: whether the carrier vouches for the number, if asked."""
    if not rules.enabled:
        return NotOffered.SWITCHED_OFF
    if rules.requires_over_capacity and not was_over_capacity:
        return NotOffered.NOT_OVER_CAPACITY
    if consent.settled:
        return NotOffered.ALREADY_ANSWERED
    if rules.maximum_plays is not None and consent.rounds >= rules.maximum_plays:
        return NotOffered.MAXIMUM_PLAYS
    outside = _outside_window(rules, wait)
    if outside is not None:
        return outside
    return (
        why_not_written_to(rules, receiver)
        or (NotOffered.NOT_ATTESTED if attested is False else None)
        or (NotOffered.of_cap(full) if full is not None else None)
    )


def why_not_written_to(rules: OfferRules, receiver: Receiver) -> NotOffered | None:
    """The first reason in the number itself."""
    if receiver.hidden:
        return NotOffered.NUMBER_HIDDEN
    if not receiver.valid:
        return NotOffered.NUMBER_NOT_VALID
    if receiver.premium:
        return NotOffered.PREMIUM_NUMBER
    if not receiver.can_receive_sms:
        return NotOffered.CANNOT_RECEIVE_SMS
    if not _country_allowed(rules, receiver.country):
        return NotOffered.COUNTRY_NOT_ALLOWED
    if receiver.number.startswith(rules.blocked):
        return NotOffered.BLOCKED_NUMBER
    if receiver.opted_out:
        return NotOffered.OPTED_OUT
    return None


def _outside_window(rules: OfferRules, wait: Estimate | None) -> NotOffered | None:
    """By probability, not by one number: most of those who are asked shall have the wait that was meant.
    While nobody is signed in the wait is unknown: no minimum is missed, and no maximum kept."""
    if wait is None:
        return NotOffered.WAIT_UNKNOWN if rules.maximum_wait_s is not None else None
    if rules.minimum_wait_s and wait.probability_over(rules.minimum_wait_s) < LIKELY:
        return NotOffered.WAIT_TOO_SHORT
    if rules.maximum_wait_s is not None and 1 - wait.probability_over(rules.maximum_wait_s) < LIKELY:
        return NotOffered.WAIT_TOO_LONG
    return None


def _country_allowed(rules: OfferRules, country: str | None) -> bool:
    if country == rules.home_country:
        return True
    return rules.non_domestic and country in rules.countries


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One line of the consent ledger: append-only, the proof of what was heard and answered.

    ``wording`` is the exact text spoken, ``wording_version`` a hash of it, ``audio_hash`` a hash of
    the sound played. ``key`` is what was pressed, ``None`` for silence. ``purpose``: what was asked,
    ``wait_time_sms``, ``deflection``, ``app_link`` or ``recording``. ``how`` it was said: in the call, or,
    for a withdrawal, as in ``opt_outs.How``; its ``wording`` is what was written,
    ``call_id`` and ``queue`` those of the consent, and ``actor`` who said it.
    """

    id: str
    at: datetime
    call_id: str
    number: str
    queue: str
    language: str
    wording: str
    wording_version: str
    audio_hash: str
    key: str | None
    outcome: WaitTimeSmsStatus | Withdrawal
    purpose: str = "wait_time_sms"
    how: str = "call"
    actor: str | None = None
