"""A backup's file is not trusted: nothing of it is written anywhere but where this program wants it."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.errors import Refused
from ivr_engine.store import upgrade
from ivr_engine.store.archive import FORMAT, MANIFEST, SQLITE, Manifest, unpacked, writing
from ivr_engine.store.backup import backup, restore

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
PICTURE = b"a picture"

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = PICTURE, kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    return info, content


def manifest(*entries: Entry, **changes: Any) -> Entry:
    """One that fits the entries, but for ``changes``."""
    files = {
        info.name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for info, content in entries
    }
    what = {
        "format": FORMAT,
        "made_at": "2025-03-01T12:00:00+00:00",
        "engine": "0.1.0",
        "database": "sqlite",
        "schema": "0001",
        "rows": {},
        "files": files,
    }
    return entry(MANIFEST, json.dumps(what | changes).encode())


def archive(folder: Path, *entries: Entry) -> Path:
    path = folder / "hostile.tar"
    with tarfile.open(path, "w") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


def test_what_was_written_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    with writing(tmp_path / "b.tar") as writer:
        writer.add("media/a.png", tmp_path / "a.png")
        made = writer.finish(Manifest(made_at="now", engine="1", database="sqlite", schema="1", rows={}))
    (tmp_path / "out").mkdir()
    assert unpacked(tmp_path / "b.tar", tmp_path / "out") == made
    assert (tmp_path / "out" / "media" / "a.png").read_bytes() == PICTURE
    assert (tmp_path / "out" / "media" / "a.png").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "media/../../escaped",
        "media/..",
        "/tmp/escaped",
        "media/sub/escaped",
        "media//escaped",
        "./media/escaped",
        "media/.hidden",
        "media/a\nb",
        "secrets/api_token",
        "tables",
        "media/" + "x" * 300,
    ],
)
def test_a_name_that_leads_elsewhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    bad = entry(name)
    path = archive(tmp_path / "in", bad, manifest(bad))
    with pytest.raises(Refused, match="not a sound backup"):
        unpacked(path, tmp_path / "out")
    assert list((tmp_path / "out").rglob("*")) == []
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_what_is_no_plain_file(kind: bytes, tmp_path: Path) -> None:
    bad = entry("media/a.png", b"", kind, link="/etc/passwd")
    with pytest.raises(Refused, match="not a plain file"):
        unpacked(archive(tmp_path, bad, manifest(bad)), tmp_path)


def test_the_same_name_twice(tmp_path: Path) -> None:
    one, other = entry("media/a.png"), entry("media/a.png", b"another")
    with pytest.raises(Refused, match="twice"):
        unpacked(archive(tmp_path, one, other, manifest(one)), tmp_path)


MISFITS: dict[str, tuple[Callable[[Entry], list[Entry]], str]] = {
    "none": (lambda one: [one], "no manifest"),
    "empty": (lambda one: [one, manifest()], "not those of its manifest"),
    "too much": (lambda one: [manifest(one)], "not those of its manifest"),
    "changed": (lambda one: [entry(one[0].name, b"a pictur3"), manifest(one)], "not what was backed up"),
    "broken": (lambda one: [one, entry(MANIFEST, b"{")], "manifest cannot be read"),
    "of other types": (lambda one: [one, manifest(one, rows={"calls": "many"})], "manifest cannot be read"),
    "other database": (lambda one: [one, manifest(one, database="mysql")], "manifest cannot be read"),
    "newer": (lambda one: [one, manifest(one, format=FORMAT + 1)], "newer version"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_manifest_that_does_not_fit(name: str, tmp_path: Path) -> None:
    change, said = MISFITS[name]
    with pytest.raises(Refused, match=said):
        unpacked(archive(tmp_path, *change(entry("media/a.png"))), tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1024, 4000])
def test_a_file_that_was_cut_short(cut: int, tmp_path: Path) -> None:
    one = entry("media/a.png", b"x" * 5000)
    path = archive(tmp_path, one, manifest(one))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Refused, match="not a sound backup"):
        unpacked(path, tmp_path)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A backup of an empty database."""
    upgrade(f"sqlite:///{tmp_path}/used.db")
    backup(f"sqlite:///{tmp_path}/used.db", tmp_path / "media", tmp_path / "sound.tar", NOW)
    return tmp_path / "sound.tar"


def restored(path: Path) -> None:
    restore(f"sqlite:///{path.parent}/new.db", path.parent / "media", path)


def database(folder: Path, *statements: str) -> bytes:
    path = folder / "changed.db"
    upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("statements", "changes", "said"),
    [
        (["CREATE TRIGGER t AFTER INSERT ON calls BEGIN DELETE FROM calls; END"], {}, "triggers or views"),
        (["UPDATE alembic_version SET version_num = '9999'"], {"schema": "9999"}, "does not know"),
        ([], {"schema": "head"}, "does not know"),
        ([], {"rows": {"calls": 3}}, "not what its manifest says"),
    ],
    ids=["trigger", "newer schema", "no schema", "other rows"],
)
def test_a_database_that_is_not_ours(
    statements: list[str], changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    one = entry(SQLITE, database(tmp_path, *statements))
    with pytest.raises(Refused, match=said):
        restored(archive(tmp_path, one, manifest(one, **changes)))


def test_a_backup_without_its_database(tmp_path: Path) -> None:
    one = entry("media/a.png")
    with pytest.raises(Refused, match=r"lacks database/ivr\.sqlite3"):
        restored(archive(tmp_path, one, manifest(one)))


def test_a_sound_one_is_restored(sound: Path) -> None:
    restored(sound)
    assert (sound.parent / "new.db").exists()
