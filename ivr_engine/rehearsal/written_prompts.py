"""What is said in a rehearsal: the texts of the site, each as long as it takes to say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ivr_engine.domain.records import replace
from ivr_engine.errors import ConfigErrors
from ivr_engine.ports import Prompt
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import PromptBook, Spoken
from ivr_engine.site.texts import Line, read_texts

LETTERS_A_SECOND: Final = 14.0
"""Of the speech engines that come with the product, about."""
RECORDING_S: Final = 3.0
"""A recording without a text."""


def estimated(site: Site, prompts: Path) -> PromptBook:
    """Every prompt, by ``language/name``. No speech engine is needed, and the same texts take the same time
    on every machine. Raises ``ConfigErrors`` for texts that cannot be used."""
    lines, errors = read_texts(site, prompts)
    if errors:
        raise ConfigErrors(errors)
    return _book(lines, site)


def rendered(site: Site, prompts: Path, book: PromptBook) -> PromptBook:
    """The same with the true lengths of ``book``."""
    lines, _ = read_texts(site, prompts)
    spoken = {
        (line.language, line.name): Spoken(
            replace(book.get(line.language, line.name), name=f"{line.language}/{line.name}"),
            book.wording(line.language, line.name),
            book.audio_hash(line.language, line.name),
        )
        for line in lines
    }
    return PromptBook(spoken, site.default_language)


def names_of(site: Site, prompts: Path) -> frozenset[str]:
    """The names of all prompts, in whatever language."""
    return frozenset(line.name for line in read_texts(site, prompts)[0])


def seconds_to_say(text: str) -> float:
    """Rounded to what a telephone packet holds."""
    return round(max(1, len(text)) / LETTERS_A_SECOND / 0.02) * 0.02 + 0.2


def _book(lines: Iterable[Line], site: Site) -> PromptBook:
    return PromptBook({(line.language, line.name): _spoken(line) for line in lines}, site.default_language)


def _spoken(line: Line) -> Spoken:
    name = f"{line.language}/{line.name}"
    seconds = seconds_to_say(line.text) if line.text else RECORDING_S
    wording = line.text or (line.audio.name if line.audio else "")
    return Spoken(
        Prompt(name, f"sound:sim/{name}", seconds), wording, hashlib.sha256(name.encode()).hexdigest()
    )
