"""What is said: text made sound when the site is loaded, and looked up during a call."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ivr_engine.ports.legs import Prompt


class Speech(Protocol):
    """Text to sound, at load only, never during a call. Blocking: run it in a thread."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text would sound different (engine, version, settings)."""
        ...

    def speak(self, text: str, language: str, to: Path) -> None:
        """Write ``text`` spoken in ``language`` (``en``, ``de``) as a WAV file; ``ExternalError``."""
        ...


class Prompts(Protocol):
    """What the site says, rendered."""

    def get(self, language: str, name: str) -> Prompt:
        """Raises ``KeyError``: ``check`` and loading have made sure that it is there."""
        ...

    def wording(self, language: str, name: str) -> str:
        """The exact text spoken (for the admin's own audio: its file name)."""
        ...

    def audio_hash(self, language: str, name: str) -> str:
        """A hash of the sound played."""
        ...
