"""What ears on a real line can recognise: everything the site says, and the voices of caller and agent."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ivr_engine.ports import Prompts
from ivr_engine.sipp.sounds import Clip, Library
from ivr_engine.site.models import Site
from ivr_engine.site.texts import read_texts

CALLER_VOICE: Final = "voice of the caller"
AGENT_VOICE: Final = "voice of the agent"
QUIET: Final = "quiet"
"""What a phone sends while nobody speaks into it; without it Asterisk would hear no silence either."""

_SILENCE: Final = b"\xd5" * 160


def library_of(site: Site, prompts: Path, book: Prompts, sounds: Path) -> Library:
    """Prompts by ``language/name``, as ``book`` was rendered into the folder ``sounds``. Reads every file."""
    return library_with(sound_files(site, prompts, book, sounds))


def library_with(files: Mapping[str, Path]) -> Library:
    """A-law files by name, and the voices. Reads every file."""
    library = Library.of_files(files)
    for name in (CALLER_VOICE, AGENT_VOICE):
        library.add(Clip(name, random.Random(name).randbytes(1600), loop=True))  # noqa: S311  always the same
    library.add(Clip(QUIET, _SILENCE, loop=True))
    return library


def sound_files(site: Site, prompts: Path, book: Prompts, sounds: Path) -> dict[str, Path]:
    """Every prompt's A-law file, by ``language/name``."""
    files: dict[str, Path] = {}
    for line in read_texts(site, prompts)[0]:
        media = book.get(line.language, line.name).media
        files[f"{line.language}/{line.name}"] = sounds / f"{media.rpartition('/')[2]}.alaw"
    return files
