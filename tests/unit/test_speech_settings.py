"""Which engine speaks, how words are said, and hearing it without a call."""

from __future__ import annotations

import os
import shutil
import wave
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ivr_engine.bootstrap import speech_of
from ivr_engine.cli import app
from ivr_engine.errors import ConfigErrors, Refused
from ivr_engine.site.loader import load
from ivr_engine.site.sentences import aloud
from ivr_engine.site.texts import read_texts
from ivr_engine.speech.espeak import Espeak
from ivr_engine.speech.piper import Piper

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "prompts", tmp_path / "prompts"))


def test_espeak_unless_the_site_says_piper(config: Path) -> None:
    assert isinstance(speech_of(load(config)), Espeak)
    voices = "".join(f"    {language}: /v/{language}.onnx\n" for language in ("en", "de", "it", "es", "fr"))
    (config / "speech.yaml").write_text(f"speech:\n  engine: piper\n  voices:\n{voices}")
    assert isinstance(speech_of(load(config)), Piper)


def test_piper_needs_a_voice_for_every_language(config: Path) -> None:
    (config / "speech.yaml").write_text("speech: {engine: piper, voices: {en: /v/en.onnx}}\n")
    with pytest.raises(ConfigErrors, match="piper has no voice for 'de'"):
        load(config)


def test_words_are_pronounced_whole_and_the_wording_stays(config: Path, prompts: Path) -> None:
    file = prompts / "en/texts.yaml"
    file.write_text(file.read_text() + '\npronounce:\n  Example: Egg Sample\n  "1": one\n')
    lines, errors = read_texts(load(config), prompts)
    assert not errors
    line = next(one for one in lines if (one.language, one.name) == ("en", "choose_language"))
    assert (line.text, line.spoken) == ("For English, press 1.", "For English, press one.")
    tenth = next(one for one in lines if (one.language, one.name) == ("en", "position.10"))
    assert "10" in tenth.spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Call 030 901820.", "Call 0 3 0, 9 0 1 8 2 0."),
        ("Call +49 (30) 90 18-20!", "Call + 4 9, 3 0, 9 0, 1 8, 2 0!"),
        ("Call 030/901820 or 0800123456", "Call 0 3 0, 9 0 1 8 2 0 or 0 8 0 0 1 2 3 4 5 6"),
        ("Order 4711, 12345 Euro, 1.000.000, 0.123456", None),
        ("On 01-05-2026, 01/05/2026, 01.05.2026 at 08:00-18:00", None),
        ("Press 0. 1 2 3 4 5", None),
        ("Call 030 901820 ACME", "Call 0 3 0, 9 0 1 8 2 0 Ackmie"),
        ("Dial 112 or 0 1", None),
    ],
)
def test_phone_numbers_are_said_digit_by_digit(written: str, said: str | None) -> None:
    assert aloud(written, {"ACME": "Ackmie"}) == (said or written)


@pytest.mark.parametrize("entry", ["ACME:", "ACME: {a: b}", f"{'x' * 300}: y"])
def test_what_cannot_be_pronounced(config: Path, prompts: Path, entry: str) -> None:
    file = prompts / "en/texts.yaml"
    file.write_text(f"{file.read_text()}\npronounce:\n  {entry}\n")
    _, errors = read_texts(load(config), prompts)
    assert errors


@pytest.mark.parametrize("words", [["say", "Guten Tag"], ["prompts", "say", "goodbye"]])
def test_what_is_said_is_written(
    config: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("IVR_CONFIG", str(config))
    monkeypatch.setenv("IVR_PROMPTS", str(prompts))
    out = tmp_path / "said.wav"
    done = CliRunner().invoke(app, [*words, "--language", "de", "--out", str(out)])
    assert done.exit_code == 0, done.output
    with wave.open(str(out)) as sound:
        assert sound.getframerate() == 16_000
        assert sound.getnframes() > 8_000


@pytest.mark.parametrize(
    ("leaves", "refused"), [(0, None), (1, "aplay cannot play it here: write a file with --out")]
)
def test_without_a_file_it_is_played(
    config: Path,
    prompts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leaves: int,
    refused: str | None,
) -> None:
    (programs := tmp_path / "programs").mkdir()
    player = programs / "aplay"
    player.write_text(f'#!/bin/sh\ncp "$2" {tmp_path}/heard.wav\nexit {leaves}\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("IVR_CONFIG", str(config))
    monkeypatch.setenv("IVR_PROMPTS", str(prompts))
    done = CliRunner().invoke(app, ["prompts", "say", "goodbye"])
    assert str(done.exception or "") == (refused or ""), done.output
    with wave.open(str(tmp_path / "heard.wav")) as sound:
        assert sound.getnframes() > 8_000


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["goodby"], "did you mean 'goodbye'?"),
        (["goodbye", "-l", "nl"], "the site does not speak 'nl'; known are: de, en"),
        (["goodbye", "--out", "/nowhere/said.wav"], "/nowhere/said.wav cannot be written: No such file"),
    ],
)
def test_what_cannot_be_said(
    config: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], remedy: str
) -> None:
    monkeypatch.setenv("IVR_CONFIG", str(config))
    monkeypatch.setenv("IVR_PROMPTS", str(prompts))
    done = CliRunner().invoke(app, ["prompts", "say", *words])
    assert isinstance(done.exception, Refused)
    assert remedy in str(done.exception)
