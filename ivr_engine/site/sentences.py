"""The entries of one ``texts.yaml`` as complete sentences: what is in braces filled in, and numbers in the
grammar that the language's own sentences give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ivr_engine.domain.announcements import WaitRange, every_range
from ivr_engine.errors import ConfigError
from ivr_engine.site.models import POSITIONS
from ivr_engine.site.tree import Entry, shown
from ivr_engine.site.values import PROMPT_PATTERN, unknown_placeholders

MAX_TEXT: Final = 1500
"""Characters; about a minute and a half of speech."""
MAX_WORD: Final = 200

_NUMBERS: Final = tuple(str(number) for number in range(1, POSITIONS + 1))

_PHONE: Final = r"(?<![\w+.,/-])(?!\d+([-/.])\d+\1\d+(?!\d))(?:\+\d|0\d)(?:[ /()-]{0,2}\d){4,}(?![\w:])"
"""With + or 0 at its beginning and six digits or more; not a date, an amount or a time of day."""

_WORDS: Final = {"under": ("high",), "between": ("low", "high")}
"""What the sentences that serve many ranges must name."""


def _wait_keys(one: WaitRange) -> tuple[str, ...]:
    """Below ``wait``, what can say this range, the more certain one first."""
    if one.high is None:
        return ("more",)
    return (f"between_{one.low}", "between") if one.low else (f"under_{one.high}", "under")


def _chosen(one: WaitRange, entries: Mapping[str, Entry]) -> str | None:
    return next((key for key in _wait_keys(one) if key in entries), None)


def aloud(text: str, pronounced: Mapping[str, str] | None = None) -> str:
    """``text`` as a speech engine is given it: words of ``pronounced`` as they are said, phone numbers digit
    by digit, group by group."""
    words = sorted(pronounced or (), key=len, reverse=True)
    own = "".join(rf"(?<!\w){re.escape(word)}(?!\w)|" for word in words)

    def said(found: re.Match[str]) -> str:
        return (pronounced or {}).get(found[0]) or _digit_by_digit(found[0])

    return re.sub(own + _PHONE, said, text)


def _digit_by_digit(number: str) -> str:
    groups = (" ".join(group) for group in re.findall(r"\+?\d+", number))
    return ", ".join(groups)


class Texts:
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
        elif name == "wait" and isinstance(entry.node.value, dict):
            self._waits(entry.node.value)
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
        return aloud(text, self.pronounced)

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

    def _waits(self, entries: Mapping[str, Entry]) -> None:
        """``wait`` holds a sentence for ranges ``between`` two numbers, one for those ``under`` a number
        (each also for certain first numbers: ``between_1``), and one for what is ``more``."""
        for key, entry in entries.items():
            said = [one for one in every_range() if key in _wait_keys(one) and _chosen(one, entries) == key]
            text = str(entry.node.value)
            unsaid = [f"{{{word}}}" for word in _WORDS.get(key, ()) if f"{{{word}}}" not in text]
            if not any(key in _wait_keys(one) for one in every_range()):
                remedy = "use 'under', 'between', 'more', or a number with them: 'between_1'"
                self._refuse(f"wait.{key}", entry, f"'wait' has no {shown(key)}", remedy)
            elif unsaid:
                what = f"the sentence does not say {' and '.join(unsaid)}"
                self._refuse(f"wait.{key}", entry, what, "write it where the number belongs")
                self.refused |= {one.prompt for one in said}
            else:
                self._ranges(entry, said)

    def _ranges(self, entry: Entry, said: list[WaitRange]) -> None:
        before = len(self.errors)
        for one in said:
            self._text(one.prompt, entry, {**self._fill, "low": str(one.low), "high": str(one.high)})
            if len(self.errors) > before:
                self.refused |= {other.prompt for other in said}
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
