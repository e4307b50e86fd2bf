"""Backups: the database and the files of messages as one file, made while an engine runs, and put back.

The database is copied first. A file is on the disk before its row says so, so that every file named in the
copy is there to be copied after it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import ivr_engine
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.store import archive
from ivr_engine.store.archive import MEDIA, Manifest
from ivr_engine.store.copies import Database

_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in a backup, or came back from one."""

    place: str
    manifest: Manifest

    @property
    def media(self) -> int:
        return sum(name.startswith(MEDIA) for name in self.manifest.files)

    @property
    def rows(self) -> int:
        return sum(self.manifest.rows.values())


def backup(url: str, media: Path, target: Path, now: datetime) -> Kept:
    """Everything at one moment into the file ``target``. Blocking; an engine may write meanwhile.

    Raises ``Refused`` when ``target`` is there already, ``ExternalError`` for a disk or database that fails.
    """
    with Database(url) as database, archive.writing(target) as writer, _folder(target.parent) as folder:
        schema, rows = database.copy_out(folder)
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            writer.add(path.relative_to(folder).as_posix(), path)
        for path in _media_files(media):
            writer.add(f"{MEDIA}{path.name}", path)
        manifest = writer.finish(
            Manifest(
                made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                engine=ivr_engine.__version__,
                database=database.kind,
                schema=schema,
                rows=rows,
            )
        )
    return Kept(database.place, manifest)


def restore(url: str, media: Path, source: Path, *, force: bool = False) -> Kept:
    """What ``backup`` made, verified, in place of what is there. Blocking.

    The database changes last, whole or not at all. Without ``force``, ``Refused`` when there is something
    in it, when an engine has it open, and when a file would be replaced by a different one.
    """
    if not source.is_file():
        raise Refused(f"there is no file {source}", missing=True)
    with Database(url) as database, _folder(media.parent) as folder:
        manifest = archive.unpacked(source, folder)
        moves = dict(_moves(folder, media))
        if not force:
            database.refuse_to_overwrite()
            _refuse_to_replace(moves)
        with _disk(media):
            media.mkdir(parents=True, exist_ok=True)
            for unpacked, place in moves.items():
                unpacked.replace(place)
            _flush(media)
        database.copy_in(manifest, folder)
    return Kept(database.place, manifest)


def _media_files(media: Path) -> list[Path]:
    """Those that are finished; what is being written has a name with a dot in front."""
    if not media.is_dir():
        return []
    return sorted(p for p in media.iterdir() if p.name[0] != "." and p.is_file() and not p.is_symlink())


def _moves(folder: Path, media: Path) -> Iterator[tuple[Path, Path]]:
    for unpacked in _media_files(folder / MEDIA):
        yield unpacked, media / unpacked.name


def _refuse_to_replace(moves: dict[Path, Path]) -> None:
    for unpacked, place in moves.items():
        if place.exists() and not _same(unpacked, place):
            raise Refused(f"{place} is there already, and differs from the backup's")


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_BLOCK):
            if block != right.read(_BLOCK):
                return False
    return True


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _folder(beside: Path) -> Generator[Path]:
    """For copies, on the same disk as what they are copies for; gone afterwards. Of this user alone."""
    with _disk(beside):
        beside.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=beside, prefix=".ivr-backup-")
    with made as name:
        yield Path(name)


@contextmanager
def _disk(place: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ExternalError(f"{place} cannot be written: {error.strerror or error}") from error
