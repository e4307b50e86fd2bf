"""In-call SMS as the admin sets it: texts between an agent and the caller on the line."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ivr_engine.site.values import Country, Label, Language, Name, Seconds, Settings, SmsText


class Preset(Settings):
    """A text that agents send as it is."""

    label: Label
    """What agents choose it by."""
    text: dict[Language, SmsText]
    """The SMS, per language; callers in another one get the default language's."""


class AutomaticAnswer(Settings):
    """What a text gets back that comes when the talk is over and nobody reads it."""

    text: dict[Language, SmsText] = Field(default_factory=dict)
    """Per language; none given: no answer."""
    again_after: Annotated[float, Field(ge=60, le=604_800)] | None = None
    """Seconds until a further text of the same call is answered again, five times at most; not given: one
    answer a call."""


class InCallSms(Settings):
    """Section 4 of the product: SMS while agent and caller talk."""

    enabled: bool = True
    """`no`: no texts of calls at all, while waiting neither."""
    presets: dict[Name, Preset] = Field(default_factory=dict)
    """Texts that agents send as they are."""
    presets_only: bool = False
    """Agents send no text and no picture of their own."""
    media: bool = False
    """Agents may send pictures."""
    non_domestic: bool = False
    """Also to numbers of other countries, those of ``countries``."""
    countries: frozenset[Country] = frozenset()
    """Of two letters; beside the site's own, where `non_domestic` is on."""
    closing: dict[Language, SmsText] = Field(default_factory=dict)
    """The SMS at the end of a call in which texts were exchanged, per language; none given: none is sent."""
    automatic_answer: AutomaticAnswer = AutomaticAnswer()
    after_hang_up: Seconds = 7200.0
    """So long a text belongs to a call that has ended: it goes to the ticket of a caller who hung up while
    waiting; after a talk it can be read with the call, and is not on the ticket."""
