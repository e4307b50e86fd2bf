"""What every speech engine must do. A newcomer adds itself to ``ENGINES``."""

from __future__ import annotations

import os
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr_engine.errors import ExternalError
from ivr_engine.ports import Speech
from ivr_engine.speech.espeak import Espeak
from ivr_engine.speech.piper import Piper

STAND_IN = """#!/bin/sh
# As piper: --model FILE --output_file FILE, the text by standard input. The voice is in the model's name.
exec espeak-ng -v "$(basename "$2" .onnx)" -b 1 --stdin -w "$4"
"""


def piper() -> Piper:
    """A stand-in program with the command line of piper."""
    folder = Path(tempfile.gettempdir()) / f"ivr-piper-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    voices = {language: folder / f"{language}.onnx" for language in ("en", "de")}
    for file in (folder / "piper", *voices.values()):
        if not file.exists():
            file.write_text(STAND_IN)
            file.chmod(0o755)
    return Piper(voices, [str(folder / "piper")])


ENGINES: dict[str, Callable[[], Speech]] = {"espeak": Espeak, "piper": piper}


@pytest.fixture(params=ENGINES)
def speech(request: pytest.FixtureRequest) -> Speech:
    return ENGINES[request.param]()


def seconds(file: Path) -> float:
    with wave.open(str(file)) as sound:
        # A streamed WAV names no true length in its header: count what is there.
        frames = len(sound.readframes(1 << 30)) / sound.getsampwidth() / sound.getnchannels()
        return frames / sound.getframerate()


def loudest(file: Path) -> int:
    with wave.open(str(file)) as sound:
        samples = memoryview(sound.readframes(1 << 30)).cast("h")
        return max(abs(sample) for sample in samples)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "You are number 3 in line."),
        ("de", "Sie sind an Position 3 der Warteschlange."),
        ("en-GB", "You are number 3 in line."),
        ("de-AT", "Grüß Gott, schöne Größe."),
    ],
)
def test_a_text_becomes_a_sound_of_plausible_length(
    speech: Speech, language: str, text: str, tmp_path: Path
) -> None:
    speech.speak(text, language, tmp_path / "said.wav")
    assert 0.8 < seconds(tmp_path / "said.wav") < 8
    assert loudest(tmp_path / "said.wav") > 3000


def test_the_same_text_sounds_the_same(speech: Speech, tmp_path: Path) -> None:
    for name in ("a", "b"):
        speech.speak("Press 1.", "en", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_fingerprint_stays(engine: str) -> None:
    assert ENGINES[engine]().fingerprint
    assert ENGINES[engine]().fingerprint == ENGINES[engine]().fingerprint


@pytest.mark.parametrize(
    "text", ["--version", "-f /etc/passwd", "<speak>", "$(reboot) `x` ; | &", "[[x]]", "x" * 1500]
)
def test_text_is_never_a_command(speech: Speech, text: str, tmp_path: Path) -> None:
    speech.speak(text, "en", tmp_path / "said.wav")
    assert seconds(tmp_path / "said.wav") > 0.2


def test_languages_do_not_sound_alike(speech: Speech, tmp_path: Path) -> None:
    for language in ("en", "de"):
        speech.speak("Name 1 2 3", language, tmp_path / language)
    assert (tmp_path / "en").read_bytes() != (tmp_path / "de").read_bytes()


def test_an_unknown_language_is_an_external_error(speech: Speech, tmp_path: Path) -> None:
    with pytest.raises(ExternalError):
        speech.speak("hello", "qq", tmp_path / "said.wav")
    assert not (tmp_path / "said.wav").exists()


def test_espeak_that_is_not_installed_says_what_to_do(tmp_path: Path) -> None:
    speech = Espeak(["/nowhere/espeak-ng"])
    with pytest.raises(ExternalError, match="apt-get install espeak-ng"):
        speech.speak("hello", "en", tmp_path / "said.wav")
    with pytest.raises(ExternalError, match="apt-get install espeak-ng"):
        _ = speech.fingerprint


def test_espeak_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = tmp_path / "hanging"
    said = tmp_path / "pid"
    said.touch()
    hanging.write_text(f"#!/bin/sh\necho $$ > {said}\nexec sleep 60\n")
    hanging.chmod(0o755)
    speech = Espeak([str(hanging)], deadline_s=0.5)
    with pytest.raises(ExternalError, match=r"did not finish within 0\.5 s"):
        speech.speak("hello", "en", tmp_path / "said.wav")
    # On a busy machine it is ended before it could say who it is.
    if pid := said.read_text():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_piper_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    voice = tmp_path / "en.onnx"
    with pytest.raises(ExternalError, match=r"speech\.voices"):
        Piper({"en": voice}).speak("hello", "en", tmp_path / "said.wav")
    voice.touch()
    with pytest.raises(ExternalError, match=r"speech\.program"):
        Piper({"en": voice}, ["/nowhere/piper"]).speak("hello", "en", tmp_path / "said.wav")


def test_another_voice_is_another_fingerprint(tmp_path: Path) -> None:
    voice = tmp_path / "en.onnx"
    voice.write_text("one")
    before = Piper({"en": voice}).fingerprint
    voice.write_text("another")
    assert Piper({"en": voice}).fingerprint != before
