"""What ``ivr-engine script sipp`` does: scenarios for SIPp, or SIPp itself with ears."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ivr_engine.bootstrap import speech_of
from ivr_engine.cli.client import Api
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.rehearsal import sipp_file
from ivr_engine.rehearsal.headless import play_headless
from ivr_engine.rehearsal.live import System, play_live
from ivr_engine.rehearsal.player import Outcome
from ivr_engine.rehearsal.script_files import ScriptFile, read_scripts
from ivr_engine.rehearsal.voices import library_of
from ivr_engine.rehearsal.written_prompts import names_of, rendered
from ivr_engine.settings import Settings
from ivr_engine.sipp import pcap
from ivr_engine.sipp.process import Server
from ivr_engine.site import audio
from ivr_engine.site.loader import load
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import PromptBook
from ivr_engine.site.prompts import render

LONGEST_S = 600.0
"""No script takes longer on a real line."""


@dataclass(frozen=True, slots=True)
class _Read:
    site: Site
    book: PromptBook
    scripts: Sequence[ScriptFile]


def write(files: Sequence[Path], out: Path | None, here: Settings) -> Iterator[Path]:
    """Write the scenarios into the folder ``out``, or the only one to standard output."""
    found = _read(files, here)
    if out is None and len(found.scripts) > 1:
        raise Refused("several scripts are several files: name a folder with --out")
    book = rendered(found.site, here.prompts, found.book)
    for script in found.scripts:
        folder = out or Path()
        played = play_headless(script, found.site, book, reaction_s=sipp_file.REACTION_S)
        text = sipp_file.scenario(played, _Voice(found.site, folder / script.name))
        if out is None:
            sys.stdout.write(text)
            return
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{script.name}.xml").write_text(text)
        except OSError as error:
            raise ExternalError(f"{out} cannot be written: {error.strerror}") from error
        yield out / f"{script.name}.xml"


def play(files: Sequence[Path], here: Settings) -> list[tuple[Outcome, float]]:
    """One after the other, each with its seconds."""
    found = _read(files, here)
    for script in found.scripts:
        if script.script.at or script.script.answers:
            raise Refused(f"{script.path}: 'at' and 'answers' need virtual time; play it with `script run`")
    with Api(here) as api, tempfile.TemporaryDirectory(prefix="ivr-sipp-") as folder:
        system = System(
            site=found.site,
            server=Server(here.sip_port),
            api=api,
            library=library_of(found.site, here.prompts, found.book, here.sounds),
            folder=Path(folder),
        )
        return asyncio.run(_play_all(found.scripts, system))


async def _play_all(scripts: Sequence[ScriptFile], system: System) -> list[tuple[Outcome, float]]:
    outcomes: list[tuple[Outcome, float]] = []
    for number, script in enumerate(scripts, 1):
        began = time.monotonic()
        sys.stderr.write(f"{number}/{len(scripts)} {script.name}\n")
        async with asyncio.timeout(LONGEST_S):
            outcomes.append((await play_live(script, system), time.monotonic() - began))
    return outcomes


def _read(files: Sequence[Path], here: Settings) -> _Read:
    site = load(here.config)
    scripts = read_scripts(files, site, names_of(site, here.prompts))
    return _Read(site, render(site, here.prompts, here.sounds, speech_of(site)), scripts)


class _Voice:
    """Makes capture files of words beside a scenario, and tells their names."""

    def __init__(self, site: Site, stem: Path) -> None:
        self._site = site
        self._stem = stem
        self._numbers = itertools.count(1)

    def __call__(self, words: str) -> str:
        to = self._stem.with_name(f"{self._stem.name}-{next(self._numbers)}.pcap")
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ivr-say-") as scratch:
            spoken = Path(scratch) / "spoken.wav"
            speech_of(self._site).speak(words, self._site.default_language, spoken)
            audio.prepare(spoken, Path(scratch), "said")
            pcap.write((Path(scratch) / "said.alaw").read_bytes(), to)
        return to.name
