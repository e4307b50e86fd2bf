"""What is to be spoken: ``prompts/<language>/texts.yaml`` and the admin's own recordings beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr_engine.domain.announcements import every_range
from ivr_engine.domain.records import replace
from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import MOST_TOLD, nearest, some
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import CALLBACK, REQUIRED, WAITS
from ivr_engine.site.sentences import Texts
from ivr_engine.site.tree import read

AUDIO_SUFFIXES: Final = (".wav", ".flac", ".ogg", ".mp3")

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
    return lines, list(some(errors, prompts))


def consent_prompts(site: Site) -> set[str]:
    """The names under which the consent message is played in some queue."""
    return {site.prompt_name(queue, "consent") for queue in site.queues} or {"consent"}


def recording_prompts(site: Site) -> dict[str, set[str]]:
    """What is said before talks are recorded, by its usual name: the names under which it is played."""
    found: dict[str, set[str]] = {"recording_notice": set(), "recording_consent": set()}
    for name, queue in site.queues.items():
        if queue.recording.when != "never":
            usual = "recording_consent" if queue.recording.ask == "consent" else "recording_notice"
            found[usual].add(site.prompt_name(name, usual))
    return found


def _callbacks(site: Site) -> set[str]:
    """What is said to callers who are called back, where anybody is."""
    asked = (
        option for q in site.queues.values() if q.over_capacity for option in q.over_capacity.options.values()
    )
    nodes = (node for flow in site.flows.values() for node in flow.nodes.values())
    offered = any(o.callback for o in asked) or any(n.queue is not None and n.queue.callback for n in nodes)
    return set(CALLBACK) if offered else set()


def _deflected(site: Site) -> set[str]:
    """What is said to callers who go on by SMS, where that is offered."""
    asked = (q.over_capacity for q in site.queues.values() if q.over_capacity)
    return {"deflected"} if any(o.sms for each in asked for o in each.options.values()) else set()


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
    texts = Texts({"brand": site.brand})
    for name, entry in root.value.items():
        texts.add(name, entry)
    lines, wrong = _with_recordings(_used(texts.found, site), folder, language, file, _needed(site))
    if not errors:
        # What could not be read, or was read and refused, is not missing too.
        wrong += _missing({line.name for line in lines} | texts.refused, file, language, site)
    lines = [replace(line, spoken=texts.said(line.text)) for line in lines]
    return lines, [*errors, *texts.errors, *wrong, *_consent(lines, site)]


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
    recording = set[str]().union(*recording_prompts(site).values())
    messages = {name for queue in site.queues.values() for name in queue.messages}
    asked = {q.over_capacity.prompt for q in site.queues.values() if q.over_capacity and q.over_capacity.keys}
    said = own | in_flows | closed | leaving | recording | messages | asked
    return set(REQUIRED) | said | _callbacks(site) | _deflected(site) | _waits(site)


def _waits(site: Site) -> set[str]:
    """The sentences in which some queue says how long it will take."""
    return {
        one.prompt
        for queue in site.queues.values()
        if queue.announce_wait
        for one in every_range(queue.announce_wait_up_to)
    }


def _used(texts: Mapping[str, tuple[str, int]], site: Site) -> dict[str, tuple[str, int]]:
    """The many sentences about waits are spoken only where they are said."""
    unsaid = set(WAITS) - _waits(site)
    return {name: text for name, text in texts.items() if name not in unsaid}


_BLOCKS: Final = (
    ("position", "place in line", "'other: … {number} …' and 'more: …'"),
    (
        "wait",
        "wait, which a queue announces",
        "'under: … {high} …', 'between: … {low} … {high} …' and 'more: …'",
    ),
)
"""Prompts that are sentences with numbers: block, what it says, the lines it has."""


def _missing(there: set[str], file: Path, language: str, site: Site) -> Iterator[ConfigError]:
    missing = sorted(_needed(site) - there)
    for block, what, lines in _BLOCKS:
        of_block = [name for name in missing if name.startswith(f"{block}.")]
        if len(of_block) > 1 or (of_block and block == "wait"):
            remedy = f"add {lines} below '{block}:' (missing: {of_block[0]}, …)"
            yield ConfigError(file, None, f"'{block}' does not say every {what}", remedy)
            missing = [name for name in missing if name not in of_block]
    for name in missing[:MOST_TOLD]:
        spare = there - set(REQUIRED)
        hint = f" ({nearest(name, spare)})" if spare else ""
        what = f"language '{language}' has no prompt '{name}'"
        yield ConfigError(file, None, what, f"add '{name}: …'{hint}")


def _consent(lines: list[Line], site: Site) -> Iterator[ConfigError]:
    names = consent_prompts(site) | recording_prompts(site)["recording_consent"]
    for line in lines:
        if line.name not in names:
            continue
        if not line.text:
            remedy = "write word for word what the recording says: it is the proof of what callers agreed to"
            yield ConfigError(line.file, line.line, f"'{line.name}' has a recording but no text", remedy)
        elif keys := keys_not_named(line.text, line.language):
            what = f"'{line.name}' does not name the key {' and '.join(keys)}"
            yield ConfigError(line.file, line.line, what, "say that 1 allows it and 2 refuses it")
