"""What is to be spoken: ``prompts/<language>/texts.yaml`` and the admin's own recordings beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.models import POSITIONS, Site
from ivr_engine.site.prompt_book import REQUIRED
from ivr_engine.site.tree import Entry, read, shown
from ivr_engine.site.values import PROMPT_PATTERN, unknown_placeholders

AUDIO_SUFFIXES: Final = (".wav", ".flac", ".ogg", ".mp3")
MAX_TEXT: Final = 1500
"""Characters; about a minute and a half of speech."""
MAX_WORD: Final = 200

_NUMBERS: Final = tuple(str(number) for number in range(1, POSITIONS + 1))

_KEYS: Final = "0123456789*#"
_KEY_WORDS: Final[Mapping[str, str]] = {
    "en": "zero one two three four five six seven eight nine star hash",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun stern raute",
    # Where the word for 1 is an article too, only the digit counts.
    "it": "zero 1 due tre quattro cinque sei sette otto nove asterisco cancelletto",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve asterisco almohadilla",
    "fr": "zéro 1 deux trois quatre cinq six sept huit neuf étoile dièse",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One prompt in one language. ``text`` is complete (nothing left to fill in), empty where only a
    recording was given. ``audio`` is the admin's own recording. ``line`` may be ``None``."""

    language: str
    name: str
    text: str
    file: Path
    line: int | None
    audio: Path | None = None
    spoken: str = ""
    """What the speech engine is given: ``text``, with words of ``pronounce`` written as they are said."""


def read_texts(site: Site, prompts: Path) -> tuple[list[Line], list[ConfigError]]:
    """Every prompt of every language of ``site``, and what is wrong with them."""
    lines: list[Line] = []
    errors: list[ConfigError] = []
    for language in site.languages:
        found, wrong = _language(site, prompts / language, language)
        lines += found
        errors += wrong
    return lines, errors


def consent_prompts(site: Site) -> set[str]:
    """The names under which the consent message is played in some queue."""
    return {site.prompt_name(queue, "consent") for queue in site.queues} or {"consent"}


def keys_not_named(text: str, language: str) -> list[str]:
    """Which of the keys 1 and 2 the consent message ``text`` does not name."""
    return [key for key in ("1", "2") if not names_key(text, language, key)]


def names_key(text: str, language: str, key: str) -> bool:
    """Whether ``text`` names the key, as a sign or in a word (``star``, ``Sterntaste``)."""
    words = _KEY_WORDS.get(language[:2])
    word = words.split()[_KEYS.index(key)] if words else key
    spoken = re.findall(r"\w+|[*#]", text.lower())
    return any(one == key or (one == word if key.isdigit() else one.startswith(word)) for one in spoken)


def unused_recordings(lines: list[Line], prompts: Path) -> Iterator[tuple[Path, str]]:
    """Audio files that no prompt uses, with a remedy."""
    used = {line.audio for line in lines}
    for language in sorted({line.language for line in lines}):
        names = {line.name for line in lines if line.language == language}
        for file in _recordings(prompts / language):
            if file not in used:
                yield file, nearest(file.stem, names)


def _language(site: Site, folder: Path, language: str) -> tuple[list[Line], list[ConfigError]]:
    file = folder / "texts.yaml"
    if not file.is_file():
        remedy = f"write it (prompts/en/texts.yaml shows how), or take '{language}' out of 'languages'"
        return [], [ConfigError(file, None, f"language '{language}' has no prompts", remedy)]
    root, errors = read(file)
    if not isinstance(root.value, dict):
        errors.append(
            ConfigError(file, root.line, "holds no prompts", "write lines like `goodbye: Goodbye.`")
        )
        return [], errors
    texts = _Texts({"brand": site.brand})
    for name, entry in root.value.items():
        texts.add(name, entry)
    lines, wrong = _with_recordings(texts.found, folder, language, file, _needed(site))
    if not errors:
        # What could not be read, or was read and refused, is not missing too.
        wrong += _missing({line.name for line in lines} | texts.refused, file, language, site)
    lines = [replace(line, spoken=texts.said(line.text)) for line in lines]
    return lines, [*errors, *texts.errors, *wrong, *_consent(lines, site)]


class _Texts:
    """Takes the entries of one ``texts.yaml``, fills in what is in braces, collects what is wrong."""

    def __init__(self, fill: Mapping[str, str]) -> None:
        self.found: dict[str, tuple[str, int]] = {}
        self.errors: list[ConfigError] = []
        self.refused: set[str] = set()
        self.pronounced: dict[str, str] = {}
        self._fill = fill

    def add(self, name: str, entry: Entry) -> None:
        if name == "pronounce" and isinstance(entry.node.value, dict):
            self._pronounce(entry.node.value)
        elif name == "position" and isinstance(entry.node.value, dict):
            self._positions(entry.node.value)
        elif not re.fullmatch(PROMPT_PATTERN, name):
            remedy = "use small letters, digits, - and _, a letter first"
            self._refuse(name, entry, f"{shown(name)} is not a prompt's name", remedy)
        else:
            self._text(name, entry, self._fill)

    def _pronounce(self, entries: Mapping[str, Entry]) -> None:
        """``pronounce`` holds words and how they are said."""
        for word, entry in entries.items():
            spoken = entry.node.value
            if not isinstance(spoken, str) or not spoken.strip() or not word.strip():
                what, remedy = (
                    f"'pronounce' does not say how {shown(word)} sounds",
                    "write `word: as it sounds`",
                )
                self._refuse(f"pronounce.{word}", entry, what, remedy)
            elif len(word) > MAX_WORD or len(spoken) > MAX_WORD:
                remedy = f"use at most {MAX_WORD} characters"
                self._refuse(f"pronounce.{word}", entry, f"{shown(word)} of 'pronounce' is too long", remedy)
            else:
                self.pronounced[word] = spoken

    def said(self, text: str) -> str:
        """``text`` with whole words as they are said; what was put in is not looked at again."""
        if not self.pronounced:
            return text
        words = "|".join(re.escape(word) for word in sorted(self.pronounced, key=len, reverse=True))
        return re.sub(rf"(?<!\w)(?:{words})(?!\w)", lambda found: self.pronounced[found[0]], text)

    def _positions(self, entries: Mapping[str, Entry]) -> None:
        """``position`` holds sentences for certain numbers, for the ``other`` ones and for ``more``."""
        for key, entry in entries.items():
            if key == "other":
                rest = [number for number in _NUMBERS if number not in entries]
                self._other_positions(entry, rest)
            elif key == "more" or key in _NUMBERS:
                number = str(POSITIONS) if key == "more" else key
                self._text(f"position.{key}", entry, {**self._fill, "number": number})
            else:
                remedy = f"use 1 to {POSITIONS}, 'other' or 'more'"
                self._refuse(f"position.{key}", entry, f"'position' has no {shown(key)}", remedy)

    def _other_positions(self, entry: Entry, numbers: list[str]) -> None:
        if "{number}" not in str(entry.node.value):
            what, remedy = "the sentence does not say the number", "write {number} where it belongs"
            self._refuse("position.other", entry, what, remedy)
            self.refused |= {f"position.{number}" for number in numbers}
            return
        for number in numbers:
            before = len(self.errors)
            self._text(f"position.{number}", entry, {**self._fill, "number": number})
            if len(self.errors) > before:
                self.refused |= {f"position.{number}" for number in numbers}
                return

    def _text(self, name: str, entry: Entry, fill: Mapping[str, str]) -> None:
        text = entry.node.value
        if isinstance(text, list | dict):
            self._refuse(name, entry, f"{shown(name)} must be a text", "write it after the colon")
            return
        text = " ".join((text or "").split())
        for placeholder in unknown_placeholders(text, frozenset(fill)):
            remedy = f"here only {' and '.join(f'{{{key}}}' for key in fill)} is filled in"
            self._refuse(name, entry, f"unknown placeholder {shown('{' + placeholder + '}')}", remedy)
        if len(text) > MAX_TEXT:
            self._refuse(name, entry, f"{shown(name)} is too long", f"use at most {MAX_TEXT} characters")
        for key, value in fill.items():
            text = text.replace(f"{{{key}}}", value)
        self.found[name] = (text, entry.line)

    def _refuse(self, name: str, entry: Entry, what: str, remedy: str) -> None:
        self.refused.add(name)
        self.errors.append(ConfigError(entry.file, entry.line, what, remedy))


def _recordings(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()
    )


def _with_recordings(
    texts: Mapping[str, tuple[str, int]], folder: Path, language: str, file: Path, needed: set[str]
) -> tuple[list[Line], list[ConfigError]]:
    audio: dict[str, Path] = {}
    errors: list[ConfigError] = []
    for recording in _recordings(folder):
        if first := audio.get(recording.stem):
            what = f"'{recording.stem}' has two recordings: this one and {first.name}"
            errors.append(ConfigError(recording, None, what, "keep one of the two"))
        audio[recording.stem] = recording
    lines: list[Line] = []
    for name in sorted(texts.keys() | (needed & audio.keys())):
        text, line = texts.get(name, ("", None))
        lines.append(Line(language, name, text, file, line, audio.get(name)))
        if not text and name not in audio:
            what = f"'{name}' is empty: callers would hear silence"
            errors.append(ConfigError(file, line, what, "write a text, or put a recording beside this file"))
    return lines, errors


def _needed(site: Site) -> set[str]:
    own = {name for queue in site.queues.values() for name in queue.prompts.values()}
    in_flows = {name for flow in site.flows.values() for _, name in flow.prompts()}
    closed = {queue.closed_prompt for queue in site.queues.values() if queue.schedule is not None}
    leaving = {way.words for _, _, way in site.ways_out() if way.words is not None}
    return set(REQUIRED) | own | in_flows | closed | leaving


def _missing(there: set[str], file: Path, language: str, site: Site) -> Iterator[ConfigError]:
    missing = sorted(_needed(site) - there)
    positions = [name for name in missing if name.startswith("position.")]
    if len(positions) > 1:
        what = "'position' does not say every place in line"
        remedy = f"add 'other: … {{number}} …' and 'more: …' below 'position:' (missing: {positions[0]}, …)"
        yield ConfigError(file, None, what, remedy)
        missing = [name for name in missing if name not in positions]
    for name in missing:
        spare = there - set(REQUIRED)
        hint = f" ({nearest(name, spare)})" if spare else ""
        what = f"language '{language}' has no prompt '{name}'"
        yield ConfigError(file, None, what, f"add '{name}: …'{hint}")


def _consent(lines: list[Line], site: Site) -> Iterator[ConfigError]:
    names = consent_prompts(site)
    for line in lines:
        if line.name not in names:
            continue
        if not line.text:
            remedy = "write word for word what the recording says: it is the proof of what callers agreed to"
            yield ConfigError(line.file, line.line, f"'{line.name}' has a recording but no text", remedy)
        elif keys := keys_not_named(line.text, line.language):
            what = f"'{line.name}' does not name the key {' and '.join(keys)}"
            yield ConfigError(line.file, line.line, what, "say that 1 allows the SMS and 2 refuses it")
