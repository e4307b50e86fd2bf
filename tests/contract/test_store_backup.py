"""Backups: made while an engine writes, and put back so that nothing is missing and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.events import CallFinished
from ivr_engine.domain.messages import Direction, MediaStatus, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Refused, Unreachable
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect, database, schema
from ivr_engine.store.archive import unpacked
from ivr_engine.store.backup import backup, restore
from ivr_engine.store.tables import metadata
from tests.contract.store_examples import (
    NOW,
    adding,
    call,
    comment,
    consent,
    kept,
    kept_file,
    media,
    message,
    ticket,
    writing,
)
from tests.postgresql import Server

TEXT = 'Zeile 1\nZeile 2, "so" \\N ; \t ünï ☎'
PICTURE = b"\x89PNG not really"


@dataclass(frozen=True)
class Place:
    """A database, and the folder of the media that belong to it."""

    url: str
    media: Path

    def rows(self) -> dict[str, list[Any]]:
        engine = database.engine(database.parsed(self.url))
        try:
            with engine.connect() as connection:
                return {
                    name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                    for name, table in metadata.tables.items()
                }
        finally:
            engine.dispose()

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.media.iterdir()} if self.media.exists() else {}


class Places:
    """``used`` has been worked with, ``empty`` has not."""

    def __init__(self, kind: str, folder: Path, server: Server | None, made: ExitStack) -> None:
        self._kind, self._folder, self._server, self._made = kind, folder, server, made
        self.used = self.place("used")
        self.empty = self.place("empty")

    def place(self, name: str) -> Place:
        state = self._folder / name
        if self._server is None:
            return Place(f"sqlite:///{state}/ivr.db", state / "media")
        return Place(self._made.enter_context(self._server.tables()), state / "media")

    @property
    def file(self) -> Path:
        return self._folder / "backup.tar"

    def back_up(self) -> Path:
        backup(self.used.url, self.used.media, self.file, NOW)
        return self.file

    def restore(self, *, force: bool = False) -> None:
        restore(self.empty.url, self.empty.media, self.file, force=force)


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    with ExitStack() as made:
        yield Places(request.param, tmp_path, server, made)


def fill(tx: Tx) -> None:
    one = call(agent=None, queue="support")
    tx.calls.add(one)
    opened = ticket(call_id=one.id)
    tx.tickets.add(opened)
    tx.tickets.comment(opened.id, comment(1, "m1"))
    tx.tickets.attach(opened.id, kept_file(1, "m1"))
    picture = media(status=MediaStatus.STORED, file="p1.png", size=len(PICTURE))
    tx.messages.add(message(call_id=one.id, text=TEXT, media=(picture,), status=MessageStatus.SENT))
    tx.messages.add(message(text="", error_code="", status=MessageStatus.FAILED))
    tx.agents.save(Agent(name="anna", state=AgentState.AVAILABLE, since=NOW))
    tx.consents.add(consent(1, "+4915112345678"))
    tx.events.add(NOW, one.id, CallFinished("x"), CallFinished("y"))


async def filled(places: Places) -> None:
    async with kept(connect(places.used.url)) as store:
        await store.run(fill)
        await store.check()
    places.used.media.mkdir(parents=True)
    (places.used.media / "p1.png").write_bytes(PICTURE)
    (places.used.media / ".p2.png.part").write_bytes(b"unfinished")


async def test_everything_comes_back(places: Places) -> None:
    await filled(places)
    made = backup(places.used.url, places.used.media, places.file, NOW)
    assert places.file.stat().st_mode & 0o777 == 0o600
    assert (made.manifest.schema, made.manifest.made_at) == (schema.newest(), "2025-03-01T12:00:00+00:00")
    places.restore()
    assert places.empty.rows() == places.used.rows()
    assert places.empty.files() == {"p1.png": PICTURE}
    left = [path.name for path in places.file.parent.rglob("*") if path.name.startswith(".ivr-backup")]
    assert left == []


async def test_an_engine_goes_on_with_what_was_restored(places: Places) -> None:
    await filled(places)
    places.back_up()
    places.restore()
    async with kept(connect(places.empty.url)) as store:
        newest = await store.run(lambda tx: tx.events.newest_id())
        await store.run(lambda tx: tx.events.add(NOW, "new", CallFinished("z")))
        after = await store.run(lambda tx: tx.events.after(newest))
        assert [event.call_id for event in after] == ["new"]
        [one] = await store.run(lambda tx: tx.tickets.search())
        await store.run(lambda tx: tx.tickets.comment(one.id, comment(2, "m2")))
        [one] = await store.run(lambda tx: tx.tickets.search())
        assert [c.text for c in one.comments] == ["1", "2"]


async def test_what_was_to_be_sent_is_looked_up_at_the_provider_first(places: Places) -> None:
    """It may have been sent since: the state of a message whose engine died over it."""
    waiting, received = message(next_attempt_at=NOW), message(direction=Direction.INBOUND)
    async with kept(connect(places.used.url)) as store:
        await store.run(writing(waiting, received))
    places.back_up()
    places.restore()
    async with kept(connect(places.empty.url)) as store:
        found = await store.run(lambda tx: [tx.messages.get(waiting.id), tx.messages.get(received.id)])
        due = await store.run(lambda tx: tx.messages.due(NOW, frozenset({MessageStatus.SENDING}), 9))
    assert found == [replace(waiting, status=MessageStatus.SENDING), received]
    assert due == found[:1]


async def test_a_backup_is_of_one_moment_while_calls_come_in(places: Places, tmp_path: Path) -> None:
    """Each transaction writes a call and its event: a backup never has one without the other."""

    def pair(tx: Tx) -> None:
        one = call()
        tx.calls.add(one)
        tx.events.add(NOW, one.id, CallFinished("x"))

    stopping = asyncio.Event()

    async def work(store: Store) -> None:
        while not stopping.is_set():
            await store.run(pair)

    async with kept(connect(places.used.url)) as store, asyncio.TaskGroup() as group:
        await store.run(pair)
        for _ in range(4):
            group.create_task(work(store))
        for number in range(3):
            file = tmp_path / f"{number}.tar"
            made = await asyncio.to_thread(backup, places.used.url, places.used.media, file, NOW)
            assert made.manifest.rows["calls"] == made.manifest.rows["events"] > 0
        stopping.set()


async def test_nothing_is_restored_over_an_engine_or_over_rows(places: Places) -> None:
    await filled(places)
    places.back_up()
    async with kept(connect(places.empty.url)) as store:
        await store.check()
        with pytest.raises(Refused, match=r"an engine has the database .* open: stop it first"):
            places.restore()
    async with kept(connect(places.empty.url)) as store:
        await store.check()  # leaves a row of its own, which is none of anybody's
        await store.run(adding(call(caller="+4915100000000")))
    with pytest.raises(Refused, match="is not empty: it has rows in calls"):
        places.restore()
    assert places.empty.files() == {}
    places.restore(force=True)
    assert places.empty.rows() == places.used.rows()


async def test_by_force_also_under_an_engine(places: Places) -> None:
    await filled(places)
    places.back_up()
    async with kept(connect(places.empty.url)) as store:
        await store.run(adding(call()))
        await asyncio.to_thread(places.restore, force=True)
        found = await store.run(lambda tx: tx.calls.search())
        assert [one.id for one in found] == [row[0] for row in places.used.rows()["calls"]]
        await store.run(adding(call()))


async def test_a_picture_that_differs_is_not_replaced(places: Places) -> None:
    await filled(places)
    places.back_up()
    places.empty.media.mkdir(parents=True)
    (places.empty.media / "p1.png").write_bytes(b"another")
    with pytest.raises(Refused, match=r"p1\.png is there already, and differs"):
        places.restore()
    (places.empty.media / "p1.png").write_bytes(PICTURE)
    places.restore()


async def test_what_fails_half_way_leaves_the_database_as_it_was(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(places)
    places.back_up()
    async with kept(connect(places.empty.url)) as store:
        await store.run(adding(call()))
    before = places.empty.rows()

    def changed(source: Path, folder: Path) -> Any:
        manifest = unpacked(source, folder)
        return msgspec.structs.replace(manifest, rows=manifest.rows | {"tickets": 7})

    monkeypatch.setattr("ivr_engine.store.archive.unpacked", changed)
    with pytest.raises(Refused, match="is not what its manifest says"):
        places.restore(force=True)
    assert places.empty.rows() == before


async def test_a_backup_of_the_other_kind_is_refused(
    places: Places, postgresql: Server, tmp_path: Path
) -> None:
    await filled(places)
    places.back_up()
    with postgresql.tables() as url:
        other = f"sqlite:///{tmp_path}/other.db" if "postgresql" in places.used.url else url
        with pytest.raises(Refused, match="the backup is one of"):
            restore(other, tmp_path / "media", places.file)


async def test_a_backup_never_replaces_a_file(places: Places) -> None:
    await filled(places)
    places.file.write_text("my thesis")
    with pytest.raises(Refused, match="exists"):
        places.back_up()
    assert places.file.read_text() == "my thesis"


async def test_a_folder_that_is_not_there(places: Places, tmp_path: Path) -> None:
    await filled(places)
    with pytest.raises(ExternalError, match="cannot be written"):
        backup(places.used.url, places.used.media, tmp_path / "nowhere" / "b.tar", NOW)


def test_a_database_that_is_not_there(tmp_path: Path, postgresql: Server) -> None:
    for url, error in (
        (f"sqlite:///{tmp_path}/none.db", Refused),
        (postgresql.url("none"), ExternalError),
        (f"postgresql://u@/none?host={tmp_path}", Unreachable),
    ):
        with pytest.raises(error):
            backup(url, tmp_path / "media", tmp_path / "b.tar", NOW)
    with pytest.raises(Refused, match="nothing to back up"):
        backup(postgresql.url(postgresql.create()), tmp_path / "media", tmp_path / "b.tar", NOW)
    with pytest.raises(Refused, match="in memory ends with its engine"):
        backup("sqlite://", tmp_path / "media", tmp_path / "b.tar", NOW)
    assert list(tmp_path.iterdir()) == []
