"""When a queue is over capacity, and what its callers can do then."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from ivr_engine.domain.capacity import CapacityRules
from ivr_engine.domain.menu import MenuRules
from ivr_engine.site.flows import Asking
from ivr_engine.site.lines import WayOut
from ivr_engine.site.values import Key, Language, PositiveSeconds, PromptName, Settings, SmsText

KINDS: Final = ("wait", "callback", "sms", "queue", "flow", "say")


class GoToSms(Settings):
    """The caller gets a text message and goes on by SMS: `deflected` is said, and the call ends. The key is
    the consent to it. Who cannot be written to hears `sms_not_sent`, and waits."""

    text: dict[Language, SmsText]
    """The SMS, per language. ``{brand}`` is filled in."""


class Option(WayOut):
    """Exactly one of ``wait``, ``callback``, ``sms``, ``queue``, ``flow`` and ``say``."""

    wait: bool = False
    """Keep waiting, at the same place."""
    callback: bool = False
    """Be called back, at the same place."""
    sms: GoToSms | None = None
    """Go to SMS; with ``keys`` alone."""

    @property
    def given(self) -> tuple[str, ...]:
        """Which of them are."""
        return tuple(kind for kind in KINDS if getattr(self, kind))

    @property
    def kind(self) -> str:
        return self.given[0]


class OverCapacity(Asking):
    """When one of the limits is passed as a caller enters the queue, they are asked what to do: they keep
    their place while they choose, and wait on if they choose nothing. Or they are led on unasked."""

    estimate: PositiveSeconds | None = None
    """Seconds of the wait, as estimated. An unknown wait passes no limit: see ``nobody_signed_in``."""
    waiting: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Other callers in the line."""
    longest_wait: PositiveSeconds | None = None
    """Seconds that somebody in the line has waited already."""
    nobody_signed_in: bool = False
    """Nobody who serves the queue is signed in and at work."""
    again: PositiveSeconds | None = None
    """Look again, so many seconds after the last look; not given: at entry only."""
    prompt: PromptName = "over_capacity"
    """What is said, naming each key."""
    keys: dict[Key, Option] = Field(default_factory=dict)
    """What each key leads to."""
    forced: Option | None = None
    """In place of ``keys``: without a question."""

    @property
    def rules(self) -> CapacityRules:
        return CapacityRules(
            wait_s=self.estimate,
            waiting=self.waiting,
            longest_wait_s=self.longest_wait,
            nobody_signed_in=self.nobody_signed_in,
            again_s=self.again,
        )

    @property
    def menu(self) -> MenuRules:
        """A key's way is the key itself."""
        return MenuRules(
            keys={key: key for key in self.keys},
            wrong_keys=self.wrong_keys,
            silences=self.silences,
            longest_s=self.longest,
        )

    @property
    def options(self) -> dict[tuple[str, ...], Option]:
        """All there are, by the path of their setting."""
        asked = {("keys", key): option for key, option in self.keys.items()}
        return asked | ({("forced",): self.forced} if self.forced is not None else {})
