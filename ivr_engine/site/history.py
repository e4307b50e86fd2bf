"""Every configuration that was in force, so that a change can be looked at and taken back.

Contents are kept once each, named by their hash; a version is a list of names and hashes. Everything is
written aside and renamed, so that whoever is killed leaves nothing half-written.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ivr_engine.errors import ConfigError, Refused
from ivr_engine.site.files import CONFIG, PROMPTS, files_of

KEPT: Final = 50
"""Versions; older ones are forgotten."""

_NAME: Final = re.compile(rf"({CONFIG}|{PROMPTS}/[^/\x00]+)/[^/\x00.][^/\x00]*")
_HASH: Final = re.compile("[0-9a-f]{64}")

Files = Mapping[str, bytes]
"""Contents by name, as ``files.files_of`` gives names."""


@dataclass(frozen=True, slots=True)
class Version:
    """``files``: hashes by name. ``applied``: it was in force; else it was set aside by an undo."""

    number: int
    at: datetime
    applied: bool
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one file, in lines (``---``, ``+++``, ``@@`` and so on)."""

    name: str
    lines: tuple[str, ...]


class History:
    """In ``folder``, which belongs to it; ``config`` and ``prompts`` are where the admin writes.

    Blocking; several processes may use it. Raises ``ConfigError`` when a folder cannot be used.
    """

    def __init__(self, folder: Path, config: Path, prompts: Path) -> None:
        self._folder = folder
        self._config = config
        self._prompts = prompts

    def versions(self) -> list[Version]:
        """Oldest first."""
        found = [_version(file) for file in sorted(self._folder.glob("versions/*.json"))]
        return sorted((version for version in found if version is not None), key=lambda v: v.number)

    def version(self, number: int) -> Version:
        """``Refused`` for one that is not there (any more)."""
        known = self.versions()
        for version in known:
            if version.number == number:
                return version
        there = f"there are {known[0].number} to {known[-1].number}" if known else "there are none yet"
        raise Refused(f"no version {number} of the configuration: {there}", missing=True)

    def present(self) -> dict[str, bytes]:
        """The files as they are now. Raises ``ConfigError`` for one that cannot be read."""
        try:
            files = files_of(self._config, self._prompts)
            return {name: file.read_bytes() for name, file in files.items() if file.is_file()}
        except OSError as error:
            raise _unusable(self._config, error) from error

    def keep(self, files: Files, at: datetime, *, applied: bool = True) -> Version:
        """As the newest version, unless the newest of its kind is the same already."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        try:
            with self._alone():
                return self._kept(files, hashes, at, applied)
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def _kept(self, files: Files, hashes: dict[str, str], at: datetime, applied: bool) -> Version:
        known = self.versions()
        among = [version for version in known if version.applied][-1:] if applied else known
        for version in reversed(among):
            if version.files == hashes:
                return version
        version = Version(known[-1].number + 1 if known else 1, at, applied, hashes)
        for name, content in files.items():
            place = self._content(hashes[name])
            if not place.exists():
                _write(place, content)
        _write(self._folder / "versions" / f"{version.number:08d}.json", _manifest(version))
        self._forget([*known, version])
        return version

    @contextmanager
    def _alone(self) -> Generator[None]:
        """One writer at a time, also among processes; let go of when the process ends."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def differences(self, number: int, to: int | None = None) -> list[Change]:
        """From one version to another; ``None``: to the files as they are now."""
        before = self.contents(self.version(number))
        after = self.present() if to is None else self.contents(self.version(to))
        names = sorted(before.keys() | after.keys())
        changes = (Change(n, tuple(_lines(n, before.get(n), after.get(n)))) for n in names)
        return [change for change in changes if change.lines]

    def before_last_change(self) -> Version:
        """What an undo without a number leads to: the newest in force when the files differ from it (a
        change that was never applied), else the one before. ``Refused`` when there is none."""
        applied = [version for version in self.versions() if version.applied]
        now = {name: hashlib.sha256(content).hexdigest() for name, content in self.present().items()}
        for version in reversed(applied):
            if version.files != now:
                return version
        raise Refused("there is nothing to undo: no other configuration was in force")

    def write_back(self, version: Version, at: datetime) -> list[str]:
        """Make the files what they were in that version; returns the names of those that changed.

        What is overwritten is kept first, as a version that was not applied. Files the site did not have
        then are deleted; others in the folders stay.
        """
        wanted, present = self.contents(version), self.present()
        self.keep(present, at, applied=False)
        changed = [name for name in sorted(wanted.keys() | present) if wanted.get(name) != present.get(name)]
        try:
            for name in changed:
                if name in wanted:
                    _write(self._place(name), wanted[name], mode=0o644)
                else:
                    self._place(name).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self._config, error) from error
        return changed

    def write_to(self, version: Version, config: Path, prompts: Path) -> None:
        """That version's files into other, empty folders."""
        elsewhere = History(self._folder, config, prompts)
        try:
            for name, content in self.contents(version).items():
                _write(elsewhere._place(name), content)
        except OSError as error:
            raise _unusable(config, error) from error

    def contents(self, version: Version) -> dict[str, bytes]:
        try:
            return {name: self._content(kept).read_bytes() for name, kept in version.files.items()}
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def _content(self, digest: str) -> Path:
        return self._folder / "contents" / digest

    def _place(self, name: str) -> Path:
        top, _, rest = name.partition("/")
        return (self._config if top == CONFIG else self._prompts) / rest

    def _forget(self, versions: list[Version]) -> None:
        for old in versions[:-KEPT]:
            (self._folder / "versions" / f"{old.number:08d}.json").unlink(missing_ok=True)
        used = {digest for version in versions[-KEPT:] for digest in version.files.values()}
        for content in self._folder.glob("contents/*"):
            if content.name not in used:
                content.unlink(missing_ok=True)


def _manifest(version: Version) -> bytes:
    written: dict[str, Any] = {
        "number": version.number,
        "at": version.at.isoformat(),
        "applied": version.applied,
        "files": dict(version.files),
    }
    return json.dumps(written, indent=1).encode()


def _version(file: Path) -> Version | None:
    """``None`` for what is no version: somebody else's file, or one damaged."""
    try:
        read = json.loads(file.read_bytes())
        files = {str(name): str(digest) for name, digest in read["files"].items()}
        if not all(_NAME.fullmatch(n) and ".." not in n and _HASH.fullmatch(d) for n, d in files.items()):
            return None
        return Version(int(read["number"]), datetime.fromisoformat(read["at"]), bool(read["applied"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _lines(name: str, before: bytes | None, after: bytes | None) -> Iterator[str]:
    if before == after:
        return
    texts = [_text(content) for content in (before, after)]
    old, new = (text.splitlines() if text is not None else None for text in texts)
    if old is None or new is None:
        what = "is new" if before is None else "is gone" if after is None else "is another recording"
        yield f"{name}: {what}"
        return
    names = "/dev/null" if before is None else name, "/dev/null" if after is None else name
    yield from difflib.unified_diff(old, new, *names, lineterm="")


def _text(content: bytes | None) -> str | None:
    """``None``: not a text."""
    try:
        return (content or b"").decode("utf-8-sig") if b"\0" not in (content or b"") else None
    except UnicodeDecodeError:
        return None


def _write(place: Path, content: bytes, mode: int = 0o600) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)


def _unusable(place: Path, error: OSError) -> ConfigError:
    return ConfigError(
        error.filename or place, None, f"cannot be used: {error.strerror}", "give this user the folder"
    )
