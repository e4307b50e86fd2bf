"""Speech by espeak-ng: plain but always there, in more than a hundred languages, offline."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from ivr_engine.errors import ExternalError, Rejected, Unreachable

DEADLINE_S: Final = 30.0
"""For one text; espeak-ng speaks several hundred times faster than a person."""

_VOICES: Final[Mapping[str, tuple[str, int]]] = {
    "en": ("en-us", 155),
    "de": ("de", 145),
    "it": ("it", 150),
    "es": ("es", 150),
    "fr": ("fr-fr", 150),
}
"""Voice and words a minute; German words are longer. Other languages: their own name, the default pace."""
_DEFAULT_PACE: Final = 150
_PITCH: Final = 45
"""Of 0 to 99; a little below espeak's own 50 survives the telephone band better."""


class Espeak:
    """Fulfils ``ports.Speech``. ``command`` starts the program; ``deadline_s``: seconds for one text."""

    def __init__(self, command: Sequence[str] = ("espeak-ng",), deadline_s: float = DEADLINE_S) -> None:
        self._command = tuple(command)
        self._deadline_s = deadline_s

    @property
    def fingerprint(self) -> str:
        return f"{self._version} {sorted(_VOICES.items())} {_DEFAULT_PACE} {_PITCH}"

    @cached_property
    def _version(self) -> str:
        return self._run(["--version"], b"").decode(errors="replace").split("Data at")[0].strip()

    def speak(self, text: str, language: str, to: Path) -> None:
        voice, pace = _VOICES.get(language) or _voice_of(language)
        # The text goes in by standard input: as an argument it could be taken for an option.
        arguments = ["-v", voice, "-s", str(pace), "-p", str(_PITCH), "-b", "1", "--stdin", "--stdout"]
        sound = self._run(arguments, text.encode())
        if len(sound) <= 44:
            raise Rejected(f"espeak-ng said nothing for a text of {len(text)} characters in '{language}'")
        to.write_bytes(sound)

    def _run(self, arguments: Sequence[str], text: bytes) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
                [*self._command, *arguments],
                input=text,
                capture_output=True,
                timeout=self._deadline_s,
                check=False,
            )
        except FileNotFoundError:
            raise ExternalError(
                "espeak-ng is not there, so texts cannot be spoken; install it: apt-get install espeak-ng"
            ) from None
        except OSError as error:
            raise ExternalError(f"{self._command[0]} cannot be started: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Unreachable(f"espeak-ng did not finish within {self._deadline_s:g} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Rejected(f"espeak-ng failed: {said[-1] if said else f'exit code {done.returncode}'}")
        return done.stdout


def _voice_of(language: str) -> tuple[str, int]:
    """``de-AT`` speaks with the voice of ``de`` where it has none of its own."""
    base = language.partition("-")[0]
    if base in _VOICES and language not in ("en-GB", "en-US"):
        return _VOICES[base]
    return language.lower(), _VOICES.get(base, ("", _DEFAULT_PACE))[1]
