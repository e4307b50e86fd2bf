"""What holds for the whole site, and is no story of its own: limits, transfers, recordings, the voice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ivr_engine.domain.overload import Limits
from ivr_engine.site.sending import Provider
from ivr_engine.site.values import (
    E164,
    Language,
    PositiveSeconds,
    Prefix,
    Settings,
    Trunk,
)


class RecordingSettings(Settings):
    """How long recordings of talks are kept. Whichever limit is reached first counts; the oldest go first."""

    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Older ones are deleted."""
    keep_gigabytes: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """Of all recordings together; an hour takes 58 MB."""
    longest: Annotated[int, Field(ge=10, le=3600)] = 3600
    """Seconds of one recording."""


class CallbackSettings(Settings):
    """How callers are called back, through the trunk of ``transfers``. Times are seconds."""

    ring_time: PositiveSeconds = 30.0
    """How long the phone rings."""
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often the number is dialled again when nobody presses 1."""
    retry_after: PositiveSeconds = 300.0
    """From one try to the next."""
    expires: PositiveSeconds = 14_400.0
    """After so long nobody is called back any more."""


class Transfers(Settings):
    """Dialling outside. Emergency and premium numbers are never dialled, whatever is allowed here."""

    trunk: Trunk
    """The endpoint in Asterisk's pjsip.conf that numbers are dialled through."""
    allow: Annotated[tuple[Prefix, ...], Field(min_length=1)]
    """Beginnings of numbers: ``+49`` for a country, a whole number for that one alone."""
    caller_id: E164 | None = None
    """What the other side is shown; not given: the caller's number."""


class LimitSettings(Settings):
    """What one engine takes on before it leaves new callers to other engines and the fallback."""

    calls: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """At once."""
    arrivals: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    """New calls a second, on average over ``overload.BURST_S``."""
    store_lag: PositiveSeconds = 1.0
    """Seconds that the database may take for a transaction."""

    @property
    def limits(self) -> Limits:
        return Limits(calls=self.calls, arrivals_per_s=self.arrivals, store_lag_s=self.store_lag)


class SpeechSettings(Settings):
    """What speaks the texts when they are loaded."""

    engine: Literal["espeak-ng", "piper"] = "espeak-ng"
    """docs/languages.md says how to get piper."""
    program: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Path of the program; not given: found by its name. A change takes a restart."""
    voices: dict[Language, Annotated[str, Field(min_length=1, max_length=500)]] = Field(default_factory=dict)
    """For piper: the voice file (``.onnx``) of each language."""


class SmsSettings(Settings):
    provider: Provider = "simulator"
    """A change takes a restart: texts under way are the provider's who took them."""
    sender: E164
    """The number texts come from and answers go to, where a queue has none of its own."""
