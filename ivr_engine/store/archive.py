"""A backup as one file: a plain tar whose manifest comes last, so that one cut short has none.

What is read back is not trusted. Only plain files under names this program gives are taken, each exactly as
the manifest has it, and none is unpacked by the names or the rights that the file asks for.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

import msgspec

from ivr_engine.errors import ExternalError, Refused

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"

MEDIA: Final = "media/"
TABLES: Final = "tables/"
SQLITE: Final = "database/ivr.sqlite3"

_NAME: Final = re.compile(r"(?:database|tables|media)/[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_MANIFEST_BYTES: Final = 256 * 1024 * 1024
"""Room for a million pictures."""
_BLOCK: Final = 1024 * 1024


class File(msgspec.Struct, frozen=True):
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of, and each of its files. ``rows``: how many a table has."""

    format: int = FORMAT
    made_at: str
    engine: str
    database: Literal["sqlite", "postgresql"]
    schema: str
    rows: dict[str, int]
    files: dict[str, File] = msgspec.field(default_factory=dict[str, File])


class Writer:
    """Adds files; ``finish`` makes it a backup."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._tar = tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)
        self._files: dict[str, File] = {}

    def add(self, name: str, path: Path) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name in a backup")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            reader = _Hashing(file)
            self._tar.addfile(_entry(name, size), reader)  # type: ignore[arg-type]
        self._files[name] = File(size, reader.sha256)

    def finish(self, manifest: Manifest) -> Manifest:
        """Durable afterwards. Returns the manifest with its files."""
        whole = msgspec.structs.replace(manifest, files=self._files)
        text = msgspec.json.format(msgspec.json.encode(whole), indent=1)
        self._tar.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
        self._tar.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return whole


@contextmanager
def writing(target: Path) -> Generator[Writer]:
    """The file is there under its name once all went well; readable by this user alone."""
    if target.exists():
        raise Refused(f"{target} exists: name another file, or remove it")
    unfinished = target.with_name(f".{target.name}.part")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            yield Writer(stream)
        unfinished.replace(target)
    except OSError as error:
        raise ExternalError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def unpacked(source: Path, folder: Path) -> Manifest:
    """Every file of the backup below ``folder``, verified. ``Refused`` for what is not a sound backup."""
    try:
        with tarfile.open(source, "r:") as tar:
            members = _members(source, tar)
            manifest = _manifest(source, tar, members)
            for name, wanted in manifest.files.items():
                _unpack(source, tar, members[name], wanted, folder / name)
    except tarfile.TarError as error:
        raise _unsound(source, f"it is not a tar file ({error})") from error
    except OSError as error:
        raise ExternalError(f"{source} cannot be unpacked: {error.strerror or error}") from error
    return manifest


def _members(source: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        if member.name != MANIFEST and not _NAME.fullmatch(member.name):
            raise _unsound(source, f"it has a file by the name {member.name[:200]!r}")
        if not member.isreg() or member.name in members:
            raise _unsound(source, f"{member.name} is not a plain file, or is there twice")
        members[member.name] = member
    return members


def _manifest(source: Path, tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> Manifest:
    member = members.pop(MANIFEST, None)
    if member is None:
        raise _unsound(source, "it has no manifest: it was cut short, or is something else")
    if member.size > _MANIFEST_BYTES:
        raise _unsound(source, "its manifest is too long")
    try:
        manifest = msgspec.json.decode(_content(tar, member).read(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise _unsound(source, f"its manifest cannot be read ({error})") from error
    if manifest.format > FORMAT:
        raise Refused(f"{source} was made by a newer version of this program: restore it with that one")
    if manifest.files.keys() != members.keys():
        odd = sorted(manifest.files.keys() ^ members.keys())
        raise _unsound(source, f"its files are not those of its manifest: {', '.join(odd[:3])}")
    return manifest


def _unpack(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, wanted: File, to: Path) -> None:
    to.parent.mkdir(exist_ok=True)
    reader = _Hashing(_content(tar, member))
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        while block := reader.read(_BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if (member.size, reader.sha256) != (wanted.size, wanted.sha256):
        raise _unsound(source, f"{member.name} is not what was backed up")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.TarError(f"{member.name} has no content")
    return content


def _unsound(source: Path, why: str) -> Refused:
    return Refused(f"{source} is not a sound backup: {why}")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


class _Hashing:
    """Reads, and knows the hash of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        return block

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
