"""Prompts: rendered once, equally loud, whole, readable by Asterisk, and never taken away in use."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import struct
import tempfile
import time
import wave
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile  # pyright: ignore[reportMissingTypeStubs]
import soxr  # pyright: ignore[reportMissingTypeStubs]
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ivr_engine.errors import ConfigErrors, ExternalError
from ivr_engine.site import audio
from ivr_engine.site.loader import load
from ivr_engine.site.loudness import loudness
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import REQUIRED
from ivr_engine.site.prompts import render
from ivr_engine.site.texts import read_texts
from ivr_engine.speech.espeak import Espeak

ROOT = Path(__file__).parents[2]
SITE = load(ROOT / "config")
ENGLISH: Site = SITE.model_copy(update={"languages": ("en",)})
"""A fifth of the sounds to make, where what is tried is one English prompt."""


class Beeps:
    """A voice that says each text as a beep, quickly; remembers what it was asked to say."""

    def __init__(self, fingerprint: str = "beeps 1", loud: float = 0.3) -> None:
        self.fingerprint = fingerprint
        self.said: list[str] = []
        self._loud = loud

    def speak(self, text: str, language: str, to: Path) -> None:
        self.said.append(text)
        beep(to, 0.05 + len(text) / 1000, loud=self._loud)


class Broken(Beeps):
    def speak(self, text: str, language: str, to: Path) -> None:
        raise ExternalError("no voice")


def beep(to: Path, seconds: float, *, loud: float = 0.3, rate: int = 16_000, silence: float = 0.0) -> None:
    count = int(seconds * rate)
    tone = [int(32767 * loud * math.sin(2 * math.pi * 440 * n / rate)) for n in range(count)]
    quiet = [0] * int(silence * rate)
    samples = quiet + tone + quiet
    with wave.open(str(to), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "prompts", tmp_path / "prompts"))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tmp_path / "sounds"


@pytest.fixture(scope="module")
def example_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the whole example, said by ``Beeps``."""
    folder = tmp_path_factory.mktemp("example") / "sounds"
    render(SITE, ROOT / "prompts", folder, Beeps())
    return folder


@pytest.fixture
def rendered(example_sounds: Path, sounds: Path) -> Path:
    """``sounds`` as an earlier start has left it."""
    return Path(shutil.copytree(example_sounds, sounds))


def change(prompts: Path, old: str, new: str, language: str = "en") -> None:
    file = prompts / language / "texts.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def heard(sounds: Path, media: str, suffix: str = ".alaw") -> NDArray[np.float32]:
    coding, rate = {".alaw": ("ALAW", 8000), ".ulaw": ("ULAW", 8000), ".sln16": ("PCM_16", 16_000)}[suffix]
    file = sounds / f"{media.removeprefix('sound:ivr/')}{suffix}"
    read = cast(Any, soundfile).read
    return read(
        file, format="RAW", subtype=coding, samplerate=rate, channels=1, endian="LITTLE", dtype="float32"
    )[0]


def true_peak(sound: NDArray[np.float32], rate: int) -> float:
    """In dBTP: of what lies between the samples too."""
    over = np.abs(cast(Any, soxr).resample(sound, rate, rate * 4)).max()
    return 20 * math.log10(max(float(over), float(np.abs(sound).max())))


def test_every_prompt_of_every_language_is_in_the_book(prompts: Path, sounds: Path) -> None:
    book = render(SITE, prompts, sounds, Beeps())
    for language in SITE.languages:
        for name in REQUIRED:
            prompt = book.get(language, name)
            assert prompt.name == name
            assert prompt.media.startswith("sound:ivr/")
            for suffix, rate in ((".alaw", 8000), (".ulaw", 8000), (".sln16", 16_000)):
                samples = heard(sounds, prompt.media, suffix)
                assert len(samples) / rate == pytest.approx(prompt.seconds)
    assert book.wording("en", "position.1") == "You are first in line."
    assert book.wording("en", "position.20") == "You are number 20 in line."
    assert "at least 20 callers" in book.wording("en", "position.more")
    assert book.wording("en", "goodbye") == "Thank you for calling Example Shop. Goodbye."
    assert len(book.audio_hash("de", "consent")) == 64
    assert book.audio_hash("de", "consent") != book.audio_hash("en", "consent")


@pytest.mark.parametrize(
    ("language", "first", "fifth", "more"),
    [
        ("de", "als Nächstes", "an Position 5 der", "mindestens 20 Anrufer"),
        ("it", "la prima in attesa", "la numero 5 in attesa", "almeno 20 chiamate"),
        ("es", "la siguiente", "el lugar 5 en la cola", "al menos 20 llamadas"),
        ("fr", "le prochain", "en position 5 dans la file", "au moins 20 appels"),
    ],
)
def test_places_in_line_in_every_language(
    prompts: Path, language: str, first: str, fifth: str, more: str
) -> None:
    lines, errors = read_texts(SITE, prompts)
    texts = {line.name: line.text for line in lines if line.language == language}
    assert errors == []
    assert first in texts["position.1"]
    assert fifth in texts["position.5"]
    assert more in texts["position.more"]


@pytest.mark.parametrize(
    ("language", "one", "two", "from_one", "from_two"),
    [
        ("en", "less than a minute", "less than 2 minutes", "between 1 and 3 minutes", "between 2 and 3"),
        ("de", "als einer Minute", "als 2 Minuten", "zwischen einer und 3 Minuten", "zwischen 2 und 3"),
        ("it", "meno di un minuto", "meno di 2 minuti", "tra uno e 3 minuti", "tra 2 e 3"),
        ("es", "menos de un minuto", "menos de 2 minutos", "entre uno y 3 minutos", "entre 2 y 3"),
        ("fr", "moins d'une minute", "moins de 2 minutes", "d'une à 3 minutes", "de 2 à 3"),
    ],
)
def test_waits_in_every_language(
    prompts: Path, language: str, one: str, two: str, from_one: str, from_two: str
) -> None:
    lines, errors = read_texts(SITE, prompts)
    texts = {line.name: line.text for line in lines if line.language == language}
    assert errors == []
    said = [texts[f"wait.{name}"] for name in ("under1", "under2", "1to3", "2to3")]
    for sentence, part in zip(said, (one, two, from_one, from_two), strict=True):
        assert part in sentence


def test_a_language_that_is_gone_speaks_the_default_one(prompts: Path, rendered: Path) -> None:
    book = render(SITE, prompts, rendered, Beeps())
    assert book.get("nl", "goodbye") == book.get("en", "goodbye")
    with pytest.raises(KeyError):
        book.get("en", "godbye")


def test_an_unchanged_site_renders_nothing_and_is_ready_at_once(prompts: Path, rendered: Path) -> None:
    first = render(SITE, prompts, rendered, Beeps())
    voice = Beeps()
    told: list[tuple[int, int]] = []
    started = time.process_time()
    second = render(SITE, prompts, rendered, voice, lambda done, of: told.append((done, of)))
    assert time.process_time() - started < 0.3
    assert (voice.said, told) == ([], [])
    assert [first.get("en", name) for name in REQUIRED] == [second.get("en", name) for name in REQUIRED]


def test_only_what_changed_is_rendered_and_progress_is_told(prompts: Path, rendered: Path) -> None:
    change(prompts, "Wrong number selected.", "That key does nothing.")
    voice = Beeps()
    told: list[tuple[int, int]] = []
    book = render(SITE, prompts, rendered, voice, lambda done, of: told.append((done, of)))
    assert voice.said == ["That key does nothing."]
    assert told == [(1, 1)]
    assert book.wording("en", "wrong_number") == "That key does nothing."


def test_another_voice_renders_everything_anew(prompts: Path, rendered: Path) -> None:
    before = render(SITE, prompts, rendered, Beeps("beeps 1"))
    voice = Beeps("beeps 2")
    after = render(SITE, prompts, rendered, voice)
    assert len(voice.said) == len(before)
    assert before.get("en", "consent").media != after.get("en", "consent").media


def test_a_half_written_sound_is_rendered_again(prompts: Path, rendered: Path) -> None:
    media = render(SITE, prompts, rendered, Beeps()).get("en", "consent").media
    file = rendered / f"{media.removeprefix('sound:ivr/')}.ulaw"
    os.truncate(file, 100)
    voice = Beeps()
    book = render(SITE, prompts, rendered, voice)
    assert len(voice.said) == 1
    assert file.stat().st_size == book.get("en", "consent").seconds * 8000


def test_asterisk_may_read_what_is_written_whatever_the_umask(prompts: Path, sounds: Path) -> None:
    before = os.umask(0o077)
    try:
        render(ENGLISH, prompts, sounds, Beeps())
    finally:
        os.umask(before)
    assert sounds.stat().st_mode & 0o777 == 0o755
    files = list(sounds.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    assert not [file for file in files if file.name.startswith(".")]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_recording_wins_over_the_text(prompts: Path, sounds: Path, suffix: str, tmp_path: Path) -> None:
    beep(tmp_path / "own.wav", 1.5, rate=44_100, silence=2.0)
    samples, rate = cast(Any, soundfile).read(tmp_path / "own.wav")
    stereo = np.stack([samples, samples], axis=1)
    cast(Any, soundfile).write(prompts / "en" / f"consent.{suffix}", stereo, rate)
    voice = Beeps()
    book = render(ENGLISH, prompts, sounds, voice)
    consent = book.get("en", "consent")
    assert book.wording("en", "consent") not in voice.said
    assert 1.5 <= consent.seconds < 2.1, "silence is trimmed, a short lead-in stays"
    assert loudness(heard(sounds, consent.media), 8000) == pytest.approx(audio.LEVEL_LUFS, abs=1)


def test_a_recording_without_a_text_is_known_by_its_file_name(prompts: Path, sounds: Path) -> None:
    change(prompts, "wrong_number: Wrong number selected.\n", "")
    beep(prompts / "en" / "wrong_number.wav", 0.5)
    assert render(ENGLISH, prompts, sounds, Beeps()).wording("en", "wrong_number") == "wrong_number.wav"


@pytest.mark.parametrize("loud", [0.005, 0.05, 0.9])
def test_loud_and_quiet_come_out_alike(prompts: Path, sounds: Path, loud: float) -> None:
    book = render(ENGLISH, prompts, sounds, Beeps(loud=loud))
    sound = heard(sounds, book.get("en", "goodbye").media)
    assert loudness(sound, 8000) == pytest.approx(audio.LEVEL_LUFS, abs=1)


def test_every_prompt_of_the_example_is_equally_loud_and_has_headroom(sounds: Path) -> None:
    book = render(SITE, ROOT / "prompts", sounds, Espeak())
    for line in read_texts(SITE, ROOT / "prompts")[0]:
        which = (line.language, line.name)
        prompt = book.get(*which)
        for suffix, rate in ((".alaw", 8000), (".ulaw", 8000), (".sln16", 16_000)):
            sound = heard(sounds, prompt.media, suffix)
            assert loudness(sound, rate) == pytest.approx(audio.LEVEL_LUFS, abs=1), which
            assert true_peak(sound, rate) < audio.PEAK_DB, which
        sound = heard(sounds, prompt.media)
        words = len(book.wording(*which).split())
        assert words < 2 or 0.2 < prompt.seconds / words < 0.9, which
        start = int(np.flatnonzero(np.abs(sound) > 0.02)[0]) / 8000
        end = prompt.seconds - int(np.flatnonzero(np.abs(sound) > 0.02)[-1]) / 8000
        assert 0.1 <= start < 0.25, which
        assert 0.15 <= end < 0.5, which
        assert not repeats_silence(sound), "no long hole in the middle"


def test_a_recording_of_ones_own_is_as_loud_as_what_is_spoken(
    prompts: Path, sounds: Path, tmp_path: Path
) -> None:
    """Too loud and cut off, at a rate of music, and with a crack in it."""
    Espeak().speak("We are here for you again tomorrow morning.", "en", tmp_path / "own.wav")
    speech, rate = cast(Any, soundfile).read(tmp_path / "own.wav", dtype="float32")
    speech = cast(Any, soxr).resample(speech, rate, 44_100)
    shouted = np.clip(speech * 8, -1, 1)
    whispered = speech / 60
    whispered[len(whispered) // 2 : len(whispered) // 2 + 20] = 0.9
    for recording in (shouted, whispered):
        cast(Any, soundfile).write(prompts / "en" / "goodbye.wav", recording, 44_100)
        sound = heard(sounds, render(ENGLISH, prompts, sounds, Beeps()).get("en", "goodbye").media)
        assert loudness(sound, 8000) == pytest.approx(audio.LEVEL_LUFS, abs=1)
        assert true_peak(sound, 8000) < audio.PEAK_DB


def repeats_silence(sound: NDArray[np.float32]) -> bool:
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    return bool(np.diff(loud).max() > 8000)


def test_unused_sounds_stay_for_a_day(prompts: Path, rendered: Path) -> None:
    old = render(SITE, prompts, rendered, Beeps()).get("en", "wrong_number").media.removeprefix("sound:ivr/")
    (rendered / "somebody-elses.alaw").touch()
    files = [rendered / f"{old}{suffix}" for suffix in audio.SUFFIXES]
    for file in files:
        os.utime(file, (0, 0))
    change(prompts, "Wrong number selected.", "No.")
    for _ in range(2):
        render(SITE, prompts, rendered, Beeps())
        assert all(file.exists() for file in files), "a call that began before may still play it"
    os.utime(rendered / f"{old}.unused", (time.time() - 86_500, time.time() - 86_500))
    book = render(SITE, prompts, rendered, Beeps())
    assert not any(file.exists() for file in files)
    assert not (rendered / f"{old}.unused").exists()
    assert book.get("en", "wrong_number").seconds > 0
    assert (rendered / "somebody-elses.alaw").exists()
    assert not (rendered / "somebody-elses.unused").exists()


def test_a_sound_used_again_is_not_taken_away(prompts: Path, rendered: Path) -> None:
    old = render(SITE, prompts, rendered, Beeps()).get("en", "wrong_number").media.removeprefix("sound:ivr/")
    change(prompts, "Wrong number selected.", "No.")
    render(SITE, prompts, rendered, Beeps())
    change(prompts, "wrong_number: No.", "wrong_number: Wrong number selected.")
    os.utime(rendered / f"{old}.unused", (0, 0))
    voice = Beeps()
    render(SITE, prompts, rendered, voice)
    assert voice.said == []
    assert (rendered / f"{old}.alaw").exists()
    assert not (rendered / f"{old}.unused").exists()


def test_leftovers_of_a_killed_engine_are_cleaned_up(prompts: Path, rendered: Path) -> None:
    render(SITE, prompts, rendered, Beeps())
    young, old = rendered / ".a.alaw.1.tmp", rendered / ".b.alaw.2.tmp"
    young.touch()
    old.touch()
    os.utime(old, (0, 0))
    render(SITE, prompts, rendered, Beeps())
    assert young.exists()
    assert not old.exists()


def test_what_another_engine_takes_away_meanwhile_is_no_trouble(prompts: Path, rendered: Path) -> None:
    """Of two that render into the same folder: a file of the other's is gone by when it is looked at."""
    (rendered / ".a.alaw.1.tmp").symlink_to("gone")
    render(SITE, prompts, rendered, Beeps())


def test_a_recording_that_cannot_be_used_is_named(prompts: Path, sounds: Path) -> None:
    (prompts / "en" / "goodbye.wav").write_bytes(b"hello " * 100)
    (prompts / "en" / "apology.mp3").write_bytes(b"")
    beep(prompts / "de" / "goodbye.wav", 1.0, loud=0.0)
    beep(prompts / "de" / "apology.wav", 1.0, rate=4000)
    with pytest.raises(ConfigErrors) as caught:
        render(SITE, prompts, sounds, Beeps())
    found = {Path(error.file).relative_to(prompts).as_posix(): error.what for error in caught.value.errors}
    assert set(found) == {"en/goodbye.wav", "en/apology.mp3", "de/goodbye.wav", "de/apology.wav"}
    assert found["de/goodbye.wav"] == "holds only silence"
    assert "4000 samples a second" in found["de/apology.wav"]
    assert "cannot be read as sound" in found["en/goodbye.wav"]


@settings(max_examples=200)
@given(
    st.sampled_from(["wav", "flac", "ogg"]),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8),
)
def test_damaged_recordings_are_used_or_refused(suffix: str, damage: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"sound.{suffix}")
        tone = np.sin(np.arange(4000) * 0.17) * 0.3
        subtype = {"wav": "FLOAT", "flac": "PCM_16", "ogg": "VORBIS"}[suffix]
        cast(Any, soundfile).write(file, tone, 16_000, subtype=subtype)
        raw = bytearray(file.read_bytes())
        for at, new in damage:
            raw[at : at + len(new)] = new
        file.write_bytes(raw)
        with contextlib.suppress(audio.UnusableAudio):
            audio.examine(file)


def test_a_voice_that_fails_is_an_external_error(prompts: Path, sounds: Path) -> None:
    with pytest.raises(ExternalError, match="no voice"):
        render(SITE, prompts, sounds, Broken())


def test_a_full_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    beep(tmp_path / "own.wav", 0.5)
    with pytest.raises(OSError, match="No space left"):
        audio.as_wav(tmp_path / "own.wav", Path("/dev/full"))


def test_a_folder_that_cannot_be_written_is_named(prompts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExternalError, match="cannot be written to"):
        render(SITE, prompts, tmp_path / "file", Beeps())


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(["whole", "appended"]))
def test_random_texts_are_only_ever_refused(raw: bytes, how: str) -> None:
    example = (ROOT / "prompts" / "en" / "texts.yaml").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for language in SITE.languages:
            Path(folder, language).mkdir()
            Path(folder, language, "texts.yaml").write_bytes(example + raw if how == "appended" else raw)
        lines, errors = read_texts(SITE, Path(folder))
        assert errors or {line.name for line in lines} >= set(REQUIRED)


def test_missing_prompts_are_an_error_before_anything_is_spoken(prompts: Path, sounds: Path) -> None:
    change(prompts, "goodbye:", "godbye:")
    voice = Beeps()
    with pytest.raises(
        ConfigErrors, match=r"no prompt 'goodbye'; add 'goodbye: …' \(did you mean 'godbye'\?\)"
    ):
        render(SITE, prompts, sounds, voice)
    assert voice.said == []


def test_a_queue_with_words_of_its_own(prompts: Path, sounds: Path) -> None:
    queues = {
        **SITE.queues,
        "express": SITE.queue("express").model_copy(update={"prompts": {"consent": "consent-express"}}),
    }
    site: Site = SITE.model_copy(update={"queues": queues})
    for language in site.languages:
        with (prompts / language / "texts.yaml").open("a") as file:
            file.write("consent-express: 1 {brand} 2\n")
    book = render(site, prompts, sounds, Beeps())
    assert book.wording("de", site.prompt_name("express", "consent")) == "1 Example Shop 2"
