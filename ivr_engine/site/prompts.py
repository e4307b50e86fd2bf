"""Texts and recordings become sounds when the site is loaded, never during a call.

A sound file is named by the hash of everything it was made from, so what has not changed is not
rendered again, and a file once written never changes. Writing is atomic: Asterisk never sees half of
one, and two engines may render into the same folder.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ivr_engine.errors import ConfigError, ConfigErrors, ExternalError
from ivr_engine.ports import Prompt, Speech
from ivr_engine.site import audio
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import PromptBook, Spoken
from ivr_engine.site.texts import Line, read_texts

FOLDER: Final = "ivr"
"""What Asterisk calls the folder of prompts: ``sound:ivr/…``."""

THREADS: Final = 2
KEEP_UNUSED_S: Final = 86_400.0
"""A call that began before a change may still play the old sound."""

_OURS: Final = re.compile("[0-9a-f]{32}")

Progress = Callable[[int, int], None]

_log = structlog.get_logger()


def render(
    site: Site, prompts_dir: Path, sounds_dir: Path, speech: Speech, progress: Progress | None = None
) -> PromptBook:
    """Make every prompt of ``site`` playable and return the book of them.

    ``sounds_dir`` is the folder that Asterisk knows as ``ivr`` below its sounds. ``progress``
    is told how many of how many are rendered, from worker threads. Blocking, possibly for seconds:
    run it in a thread. Raises ``ConfigErrors`` for texts and recordings that cannot be used,
    ``ExternalError`` when the speech engine or the disk fails.
    """
    lines, errors = read_texts(site, prompts_dir)
    if errors:
        raise ConfigErrors(errors)
    try:
        sounds_dir.mkdir(parents=True, exist_ok=True)
        if sounds_dir.stat().st_mode & 0o005 != 0o005:
            sounds_dir.chmod(0o755)
        jobs = _jobs(lines, speech)
        _render_missing(jobs, sounds_dir, speech, progress)
        spoken = {(job.line.language, job.line.name): _spoken(job, sounds_dir) for job in jobs}
        _tidy(sounds_dir, {job.key for job in jobs}, time.time())
    except OSError as error:
        raise ExternalError(f"prompts cannot be written to {sounds_dir}: {error.strerror}") from error
    return PromptBook(spoken, site.default_language)


@dataclass(frozen=True, slots=True)
class _Job:
    line: Line
    key: str


def _jobs(lines: Iterable[Line], speech: Speech) -> list[_Job]:
    jobs: list[_Job] = []
    errors: list[ConfigError] = []
    for line in lines:
        try:
            jobs.append(_Job(line, _key(line, speech)))
        except audio.UnusableAudio as unusable:
            errors.append(_unusable(line, unusable))
    if errors:
        raise ConfigErrors(errors)
    return jobs


def _key(line: Line, speech: Speech) -> str:
    """Of everything that decides how the prompt sounds."""
    if line.audio:
        made_from = ("recording", audio.digest(line.audio))
    else:
        made_from = ("text", speech.fingerprint, line.language, line.spoken)
    return hashlib.sha256(repr((audio.VERSION, made_from)).encode()).hexdigest()[:32]


def _render_missing(jobs: Iterable[_Job], folder: Path, speech: Speech, progress: Progress | None) -> None:
    missing = {job.key: job for job in jobs if audio.length(folder, job.key) is None}
    if not missing:
        return
    started = time.monotonic()
    _log.info("prompts.rendering", count=len(missing))
    with ThreadPoolExecutor(THREADS, thread_name_prefix="prompts") as pool:
        results = pool.map(partial(_render_one, folder, speech), missing.values())
        errors: list[ConfigError] = []
        for done, error in enumerate(results, 1):
            errors += [error] if error else []
            if progress:
                progress(done, len(missing))
    if errors:
        raise ConfigErrors(errors)
    _log.info("prompts.rendered", count=len(missing), seconds=round(time.monotonic() - started, 1))


def _render_one(folder: Path, speech: Speech, job: _Job) -> ConfigError | None:
    try:
        if job.line.audio:
            audio.prepare(job.line.audio, folder, job.key)
        else:
            with tempfile.TemporaryDirectory(prefix="ivr-prompt-") as scratch:
                spoken = Path(scratch) / "spoken.wav"
                speech.speak(job.line.spoken, job.line.language, spoken)
                audio.prepare(spoken, folder, job.key)
    except audio.UnusableAudio as unusable:
        return _unusable(job.line, unusable)
    return None


def _unusable(line: Line, why: audio.UnusableAudio) -> ConfigError:
    if line.audio:
        return ConfigError(line.audio, None, str(why), "replace the recording, or delete it and use the text")
    return ConfigError(line.file, line.line, f"'{line.name}' as spoken {why}", "write what can be said aloud")


def _spoken(job: _Job, folder: Path) -> Spoken:
    seconds = audio.length(folder, job.key) or 0.0
    return Spoken(
        Prompt(job.line.name, f"sound:{FOLDER}/{job.key}", seconds),
        job.line.text or (job.line.audio.name if job.line.audio else ""),
        hashlib.sha256((folder / f"{job.key}.alaw").read_bytes()).hexdigest(),
    )


def _tidy(folder: Path, used: set[str], now: float) -> None:
    """Delete what has been unused for a day.

    The first load that does not use a sound leaves a mark beside it; a later one deletes the sound
    when the mark is a day old. A load that uses it again takes the mark away. Files with names of
    another kind are somebody else's.
    """
    stems = {file.stem for file in folder.glob("*.alaw") if _OURS.fullmatch(file.stem)}
    for key in used:
        (folder / f"{key}.unused").unlink(missing_ok=True)
    for key in stems - used:
        mark = folder / f"{key}.unused"
        if not mark.exists():
            mark.touch()
        elif _age_s(mark, now) > KEEP_UNUSED_S:
            for suffix in (*audio.SUFFIXES, ".unused"):
                (folder / f"{key}{suffix}").unlink(missing_ok=True)
    for leftover in folder.glob(".*.tmp"):
        if _age_s(leftover, now) > KEEP_UNUSED_S:
            leftover.unlink(missing_ok=True)


def _age_s(file: Path, now: float) -> float:
    """0 for one that another engine, which renders into the same folder, has taken away meanwhile."""
    try:
        return now - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
