"""One YAML file as a tree that remembers its lines.

Only what a settings file needs is let through: mappings, lists and plain values. Anchors and aliases
(which can make a few bytes grow to gigabytes), tags and several documents in a file are refused, and
depth and size are limited. Every plain value stays the text that was written (nothing but ``null`` is
interpreted), so that ``+49151…``, ``0700`` or ``no`` mean what they look like; the models decide what
is a number and what is a switch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from ivr_engine.errors import ConfigError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 20

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, line ends only YAML knows (they would shift every line number), and those that
turn the direction of writing, with which a file can be made to look like another."""
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value = str | None | list["Value"] | dict[str, "Value"]


@dataclass(slots=True)
class Node:
    """``value`` is text, ``None``, a list of nodes, or a mapping from key to ``Entry``."""

    file: Path
    line: int
    value: str | list[Node] | dict[str, Entry] | None

    def plain(self) -> Value:
        """The same without places."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, location: Iterable[int | str]) -> tuple[Path, int]:
        """File and line of ``location``, or of the nearest thing around it that exists."""
        place, node = (self.file, self.line), self
        for step in location:
            found = node.child(step)
            if found is None:
                break
            place, node = (found.file, found.line), found.node
        return place

    def item(self, location: Sequence[int | str], text: str) -> tuple[Path, int]:
        """As ``at``, for the item ``text`` of the list at ``location``."""
        node = self
        for step in location:
            found = node.child(step)
            node = found.node if found else Node(self.file, self.line, None)
        items = node.value if isinstance(node.value, list) else []
        return next(((item.file, item.line) for item in items if item.value == text), self.at(location))

    def child(self, step: int | str) -> Entry | None:
        """What stands under a key, or at an index of a list."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            node = self.value[step]
            return Entry(node.file, node.line, node)
        return None


@dataclass(slots=True)
class Entry:
    """A key's place and what it holds."""

    file: Path
    line: int
    node: Node


def read(file: Path) -> tuple[Node, list[ConfigError]]:
    """The tree of ``file`` and what is wrong with it as YAML. With errors the tree holds what could be
    read before them. An empty file is an empty mapping."""
    builder = _Builder(file)
    try:
        text = _text(file)
        builder.build(yaml.parse(text, Loader=_LOADER))
    except ConfigError as error:
        builder.errors.append(error)
    except yaml.YAMLError as error:
        builder.errors.append(_syntax_error(file, error))
    root = builder.root or Node(file, 1, {})
    return (Node(file, root.line, {}) if root.value is None else root), builder.errors


def _text(file: Path) -> str:
    if file.exists() and not file.is_file():
        raise ConfigError(file, None, "is not a file", "remove it, or give it another ending than .yaml")
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            file, None, f"cannot be read ({error.strerror})", "check that it exists and may be read"
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            file, None, "is larger than 1 MB", "split it into several files, or remove what is not settings"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + raw[: error.start].count(b"\n")
        raise ConfigError(
            file, line, f"byte {raw[error.start]:#04x} is not UTF-8", "save the file as UTF-8"
        ) from None
    if bad := _UNPRINTABLE.search(text):
        line = 1 + text[: bad.start()].count("\n")
        raise ConfigError(file, line, f"invisible character U+{ord(bad.group()):04X}", "delete it")
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; ``key`` waits for its value."""

    node: Node
    key: tuple[str, int] | None = None


@dataclass(slots=True)
class _Builder:
    file: Path
    root: Node | None = None
    errors: list[ConfigError] = field(default_factory=list[ConfigError])
    _open: list[_Open] = field(default_factory=list[_Open])

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            line: int = event.start_mark.line + 1
            if isinstance(event, yaml.NodeEvent):
                self._refuse_extras(event, line)
            if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
                raise self._error(line, "a second document begins here", "delete the line ---")
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent):
                self._enter(Node(self.file, line, {}))
            elif isinstance(event, yaml.SequenceStartEvent):
                self._enter(Node(self.file, line, []))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._open.pop()

    def _refuse_extras(self, event: yaml.NodeEvent, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._error(
                line, f"the alias *{event.anchor}", "write the value out; text with a * needs quotes"
            )
        if event.anchor is not None:
            raise self._error(
                line, f"the anchor &{event.anchor}", "write the value out; text with a & needs quotes"
            )
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            raise self._error(line, f"the tag {tag}", "delete it; text that begins with ! needs quotes")

    def _error(self, line: int, what: str, remedy: str) -> ConfigError:
        return ConfigError(self.file, line, f"{what} is not allowed here", remedy)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        text: str = event.value
        if self._awaits_key():
            self._open[-1].key = (text, line)
            return
        is_null = event.implicit[0] and text in _NULL
        self._add(Node(self.file, line, None if is_null else text))

    def _enter(self, node: Node) -> None:
        if self._awaits_key():
            raise ConfigError(
                self.file,
                node.line,
                "a list or mapping stands where a name must be",
                "put the text in quotes if it begins with [ or {",
            )
        if len(self._open) >= MAX_DEPTH:
            raise ConfigError(
                self.file,
                node.line,
                f"is nested deeper than {MAX_DEPTH} levels",
                "check the indentation and brackets",
            )
        self._add(node)
        self._open.append(_Open(node))

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and self._open[-1].key is None

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif isinstance(parent.node.value, dict) and parent.key is not None:
            (key, line), parent.key = parent.key, None
            if first := parent.node.value.get(key):
                self.errors.append(twice(key, Entry(self.file, line, node), first))
            else:
                parent.node.value[key] = Entry(self.file, line, node)


def twice(key: str, second: Entry, first: Entry) -> ConfigError:
    """The error for a key given two times, reported at the second place."""
    return ConfigError(
        second.file,
        second.line,
        f"{shown(key)} is given twice: first at {first.file}:{first.line}",
        "keep one of the two",
    )


def shown(text: str) -> str:
    """Text from a file as it may be printed in a message: quoted, short, on one line."""
    text = " ".join(text.split())
    return f"'{text[:57]}…'" if len(text) > 58 else f"'{text}'"


def _syntax_error(file: Path, error: yaml.YAMLError) -> ConfigError:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem: str = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be understood"
    line = mark.line + 1 if mark else None
    if "\\t" in problem or "tab character" in problem or (mark and _tab_indented(file, mark.line)):
        return ConfigError(file, line, "a tab is used for indentation", "use blanks: two for each level")
    return ConfigError(
        file,
        line,
        f"is not valid YAML ({problem})",
        "check indentation, colons and quotes here and in the line above",
    )


def _tab_indented(file: Path, index: int) -> bool:
    lines = file.read_bytes().split(b"\n")
    return index < len(lines) and b"\t" in lines[index][: len(lines[index]) - len(lines[index].lstrip())]
