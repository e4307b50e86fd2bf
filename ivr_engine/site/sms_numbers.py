"""Numbers that texts are sent from and come to, as the admin lists them; queues name theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.sms_numbers import Kind, Sender, kind_of
from ivr_engine.site.values import Country, Label, Settings

SENDER_PATTERN: Final = r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[0-9 &_-]{0,10}[A-Za-z][A-Za-z0-9 &_-]{0,10})$"
MOST_LETTERS: Final = 11
"""Characters of an alphanumeric sender."""

SmsSender = Annotated[str, Field(pattern=SENDER_PATTERN)]
"""E.164, a short code, or an alphanumeric sender."""
Use = Literal["in_call", "sms_channel"]
Capability = Literal["sms", "media", "verify"]


class SmsNumber(Settings):
    """A number that texts are sent from or come to. Its kind follows from how it is written: with + a long
    code or a toll-free number, digits alone a short code, letters an alphanumeric sender, which cannot be
    answered. A queue uses it once it is verified: `ivr-engine sms-numbers`."""

    label: Label
    """What it is called."""
    direction: Literal["inbound", "outbound"]
    """``inbound``: belongs to one queue, receives, and may also send. ``outbound``: sends, for any queues."""
    sends: bool = True
    """For an inbound number: whether its queue also writes from it."""
    use: Use = "in_call"
    """``in_call``: texts of calls, also while callers wait. ``sms_channel``: conversations without a call."""
    country: Country | None = None
    """Where it is from. Follows from a number with +; a short code needs it; an alphanumeric sender with one
    is used for numbers of that country alone."""
    capabilities: Annotated[frozenset[Capability], Field(min_length=1)] = frozenset({"sms"})
    """What it carries: ``sms`` texts, ``media`` pictures, ``verify`` the codes that verify other numbers."""
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Parts a second that are sent from it; not given: 1 for a long code of North America and 10 for others,
    3 for a toll-free number, 100 for a short code, 10 for an alphanumeric sender."""

    @property
    def can_send(self) -> bool:
        return "sms" in self.capabilities and (self.direction == "outbound" or self.sends)


SmsNumbers = Mapping[str, SmsNumber]

UNLISTED: Final = SmsNumber(label="sms.sender", direction="outbound")
"""What holds for `sms.sender` where the site says no more of it."""


def country_of(number: str, settings: SmsNumber) -> str | None:
    """Two letters; ``None`` for an alphanumeric sender of no country."""
    if settings.country is None and number.startswith("+"):
        return receiver(number).country
    return settings.country


def senders(numbers: SmsNumbers, named: Sequence[str], use: Use = "in_call") -> list[Sender]:
    """Of the numbers ``named`` those that send for ``use``, in that order."""
    return [
        Sender(number, country_of(number, numbers[number]))
        for number in named
        if number in numbers and numbers[number].can_send and numbers[number].use == use
    ]


def receiving(numbers: SmsNumbers) -> Iterator[str]:
    """Those that a text can come to: answers come to outbound numbers, too."""
    return (number for number in numbers if kind_of(number) is not Kind.ALPHANUMERIC)
