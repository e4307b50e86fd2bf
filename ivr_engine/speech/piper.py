"""Speech by piper: natural voices, offline. Program and voices (``.onnx``, with ``.onnx.json`` beside) are
the admin's own; nothing is downloaded."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ivr_engine.errors import ExternalError, Rejected, Unreachable

DEADLINE_S: Final = 120.0
"""For one text: loading a voice takes seconds, and it speaks about ten times as fast as a person."""


class Piper:
    """Fulfils ``ports.Speech``. ``command`` starts the program; ``voices``: a file by language."""

    def __init__(
        self, voices: Mapping[str, Path], command: Sequence[str] = ("piper",), deadline_s: float = DEADLINE_S
    ) -> None:
        self._voices = dict(voices)
        self._command = tuple(command)
        self._deadline_s = deadline_s

    @property
    def fingerprint(self) -> str:
        return f"piper {self._command} {sorted((lang, _state_of(v)) for lang, v in self._voices.items())}"

    def speak(self, text: str, language: str, to: Path) -> None:
        voice = self._voices.get(language) or self._voices.get(language.partition("-")[0])
        if voice is None:
            raise Rejected(f"piper has no voice for '{language}'; name its file under 'speech.voices'")
        _state_of(voice)
        with tempfile.TemporaryDirectory(prefix="ivr-piper-") as scratch:
            spoken = Path(scratch) / "spoken.wav"
            # By standard input: as an argument the text could be taken for an option. In one line: of
            # several, each would overwrite the file of the one before.
            self._run(["--model", str(voice), "--output_file", str(spoken)], " ".join(text.split()) + "\n")
            if not spoken.is_file() or spoken.stat().st_size <= 44:
                raise Rejected(f"piper said nothing for a text of {len(text)} characters in '{language}'")
            to.write_bytes(spoken.read_bytes())

    def _run(self, arguments: Sequence[str], text: str) -> None:
        program = self._command[0]
        try:
            done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
                [*self._command, *arguments],
                input=text.encode(),
                capture_output=True,
                timeout=self._deadline_s,
                check=False,
            )
        except FileNotFoundError:
            raise ExternalError(
                f"{program} is not there; install piper and name it under 'speech.program', "
                "or take 'engine: espeak-ng'"
            ) from None
        except OSError as error:
            raise ExternalError(f"{program} cannot be started: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Unreachable(f"piper did not finish within {self._deadline_s:g} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Rejected(f"piper failed: {said[-1] if said else f'exit code {done.returncode}'}")


def _state_of(voice: Path) -> tuple[str, int, int]:
    """What tells one state of the file from another."""
    try:
        state = voice.stat()
    except OSError as error:
        raise ExternalError(
            f"the voice {voice} cannot be read ({error.strerror}): see 'speech.voices'"
        ) from None
    return voice.name, state.st_size, state.st_mtime_ns
