"""Every prompt of a site, rendered: what a call plays, and the proof of what was played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr_engine.domain.announcements import every_range
from ivr_engine.ports import Prompt
from ivr_engine.site.models import POSITIONS

REQUIRED: Final = (
    *(f"position.{number}" for number in range(1, POSITIONS + 1)),
    "position.more",
    "consent",
    "sms_sent",
    "sms_not_sent",
    "wrong_number",
    "goodbye",
    "apology",
    "emergency",
    "not_in_service",
)
"""The prompts that every language of a site has."""

WAITS: Final = tuple(one.prompt for one in every_range())
"""Those in which the wait is said: needed where a queue announces it."""


RECORDING: Final = ("recording_notice", "recording_consent")
"""What callers hear before a talk is recorded: there where a queue has it said."""


CALLBACK: Final = (
    "callback_this_number",
    "callback_number",
    "callback_confirm",
    "callback_wrong_number",
    "callback_arranged",
    "callback_not_arranged",
    "callback_person",
    *(f"digit_{digit}" for digit in range(10)),
)
"""What callers hear of being called back: there where a queue or a flow offers it."""


@dataclass(frozen=True, slots=True)
class Spoken:
    prompt: Prompt
    wording: str
    audio_hash: str


class PromptBook:
    """Looks prompts up by language and name; fulfils ``ports.Prompts``.

    A language the site no longer has (a call taken before the configuration changed) falls back to
    the default language. A name that does not exist raises ``KeyError``.
    """

    def __init__(self, spoken: Mapping[tuple[str, str], Spoken], default_language: str) -> None:
        self._spoken = dict(spoken)
        self._default_language = default_language

    def __len__(self) -> int:
        return len(self._spoken)

    def get(self, language: str, name: str) -> Prompt:
        return self._find(language, name).prompt

    def wording(self, language: str, name: str) -> str:
        """The exact text; the file's name for a recording without a text."""
        return self._find(language, name).wording

    def audio_hash(self, language: str, name: str) -> str:
        """SHA-256 of the sound as a telephone hears it (A-law), in hex."""
        return self._find(language, name).audio_hash

    def playable(self, folder: Path) -> bool:
        """Every prompt's sound lies in ``folder``. Looks at the disk."""
        names = {each.prompt.media.rpartition("/")[2] for each in self._spoken.values()}
        return all((folder / f"{name}.alaw").is_file() for name in names)

    def _find(self, language: str, name: str) -> Spoken:
        return self._spoken.get((language, name)) or self._spoken[self._default_language, name]
