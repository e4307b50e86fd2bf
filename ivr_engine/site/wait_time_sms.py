"""The SMS that a waiting caller is offered: to whom, how often, what it says; and what guards against those
who would have strangers written to."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from ivr_engine.domain.abuse import Caps
from ivr_engine.domain.consent import OfferRules
from ivr_engine.site.values import (
    Country,
    Label,
    Language,
    Prefix,
    Seconds,
    Settings,
    SipHeader,
    SmsText,
    Trunk,
)

AbandonedTickets = Literal["always", "never", "only_with_sms"]
"""Of calls that end in a queue without an agent: when a ticket is opened at their end."""

_Number = TypeVar("_Number", int, float)

Plays = Annotated[int, Field(ge=0, le=100)]


class WaitTimeSms(Settings):
    """The SMS offered to callers who wait: press 1 to get it, 2 to refuse. In-call SMS must be on as well,
    for all and for the queue. docs/wait-time-sms.md tells how it goes, and why somebody is not asked."""

    enabled: bool = True
    """`no`: nobody is offered it."""
    maximum_plays: Plays | None = None
    """How many times a caller is asked in one call, at most; not given or 0: no limit. A time is a round: the
    message, its repetitions after wrong keys, and the silence after it."""
    wait_minimum: Seconds | None = None
    """Offered to those whose wait, as estimated, is likely longer than so many seconds; not given or 0: to
    all."""
    wait_maximum: Seconds | None = None
    """Offered to those whose wait, as estimated, is likely no longer; not given or 0: to all."""
    non_domestic: bool = False
    """Also to numbers of other countries, of those in ``countries``."""
    countries: frozenset[Country] = frozenset()
    """Of two letters; beside the site's own, where `non_domestic` is on."""
    text: dict[Language, SmsText]
    """The SMS, per language. ``{brand}`` is filled in."""


class QueueWaitTimeSms(Settings):
    """What one queue sets differently. What is not given is as for all; spoken messages of its own are in the
    queue's ``prompts`` (``consent``, ``sms_sent``)."""

    enabled: bool = True
    """`no`: nobody in this queue is offered it."""
    requires_over_capacity: bool = True
    """Offered only to callers who came when the queue was over capacity and chose to wait; ``no``: to all."""
    maximum_plays: Plays | None = None
    """0: no limit."""
    wait_minimum: Seconds | None = None
    """0: none."""
    wait_maximum: Seconds | None = None
    """0: none."""
    non_domestic: bool | None = None
    """Not given: as for all."""
    countries: frozenset[Country] | None = None
    """Not given: as for all."""
    text: dict[Language, SmsText] = Field(default_factory=dict)
    """Not given: as for all."""


PER_NUMBER: Final = 20
PER_PREFIX: Final = 100
MOST: Final = 1_000_000


class Attestation(Settings):
    """What the carrier says of the caller's number (STIR/SHAKEN), in a SIP header. To calls through one of
    ``trunks`` without an accepted value no SMS is offered; on calls from anywhere else it is not read."""

    trunks: Annotated[frozenset[Trunk], Field(min_length=1)]
    """Endpoints in Asterisk's pjsip.conf."""
    header: SipHeader = "P-Attestation-Indicator"
    """Its name, as the carrier's manual says; ``X-Twilio-VerStat`` at Twilio."""
    accepted: Annotated[frozenset[Label], Field(min_length=1)] = frozenset({"A"})
    """Whole values, like ``A`` or ``TN-Validation-Passed-A``."""


class Abuse(Settings):
    """Against forged callers who press 1 so that strangers, or numbers that cost, are written to: how many
    SMS callers can have sent in a day (UTC), all queues together. Texts of agents are not counted. Over a
    cap nobody is offered an SMS until the day is over, and an alarm is raised, once."""

    per_number: Annotated[int, Field(ge=0, le=MOST)] = PER_NUMBER
    """To one number. 0: no cap."""
    per_prefix: Annotated[int, Field(ge=0, le=MOST)] = PER_PREFIX
    """To numbers that differ in their last digits alone. 0: no cap."""
    last_digits: Annotated[int, Field(ge=1, le=8)] = 4
    """How many digits are the last ones: 4 makes a prefix of ten thousand numbers."""
    per_day: Annotated[int, Field(ge=0, le=MOST)] = 0
    """To all together. 0: no cap."""
    blocked: frozenset[Prefix] = frozenset()
    """Beginnings of numbers that are never offered an SMS. Premium numbers never are, in any case."""
    attestation: Attestation | None = None
    """Not given: callers whose number nobody vouches for are offered it too."""

    @property
    def caps(self) -> Caps:
        return Caps(
            per_number=self.per_number or None,
            per_prefix=self.per_prefix or None,
            per_day=self.per_day or None,
            last_digits=self.last_digits,
        )


def offer_rules(
    general: WaitTimeSms,
    own: QueueWaitTimeSms,
    *,
    in_call: bool,
    home_country: str,
    blocked: frozenset[str],
) -> OfferRules:
    """What holds for a queue. ``in_call``: in-call SMS is on, for all and for the queue."""
    countries = general.countries if own.countries is None else own.countries
    return OfferRules(
        enabled=in_call and general.enabled and own.enabled,
        requires_over_capacity=own.requires_over_capacity,
        maximum_plays=_limit(own.maximum_plays, general.maximum_plays),
        minimum_wait_s=_limit(own.wait_minimum, general.wait_minimum),
        maximum_wait_s=_limit(own.wait_maximum, general.wait_maximum),
        home_country=home_country,
        non_domestic=general.non_domestic if own.non_domestic is None else own.non_domestic,
        countries=countries,
        blocked=tuple(sorted(blocked)),
    )


def _limit(own: _Number | None, general: _Number | None) -> _Number | None:
    """0 takes away what holds for all."""
    return (general if own is None else own) or None
