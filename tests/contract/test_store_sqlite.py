"""What is particular to SQLite: faults of the file, settings of the connection, use of the indexes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.errors import ExternalError, Refused, Unreachable
from ivr_engine.ports import Tx
from ivr_engine.store import connect, store, upgrade
from tests.contract.store_examples import NOW, adding, call, message, writing

FULL = "the disk is full"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/engine.db"


@pytest.fixture
def connections() -> Iterator[list[sqlite3.Connection]]:
    """Those that a store opens while the test runs, newest last."""
    opened: list[sqlite3.Connection] = []

    def remember(connection: sqlite3.Connection, _record: object) -> None:
        opened.append(connection)

    event.listen(Engine, "connect", remember)
    yield opened
    event.remove(Engine, "connect", remember)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_locked_database(url: str, tmp_path: Path) -> None:
    one = connect(url, lock_timeout_s=0.05)
    with closing(sqlite3.connect(tmp_path / "engine.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match=r"engine\.db is locked by another program; close"):
            await one.run(adding(call()))
        with pytest.raises(Unreachable, match="locked"):
            await one.check()
        with pytest.raises(Unreachable, match="locked"):
            connect(url, lock_timeout_s=0.05)
        other.execute("ROLLBACK")
    await one.check()
    assert await one.run(lambda tx: tx.calls.search()) == []
    await one.close()


async def test_a_database_locked_for_a_moment_is_waited_for(url: str, tmp_path: Path) -> None:
    one = connect(url)
    with closing(sqlite3.connect(tmp_path / "engine.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(one.run(adding(call())))
        await asyncio.sleep(0)
        other.execute("COMMIT")
    await asyncio.wait_for(waiting, 20)
    await one.close()


async def test_health_does_not_wait_as_long_as_a_call(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHECK_TIMEOUT_S", 0.05)
    one = connect(url)
    with closing(sqlite3.connect(tmp_path / "engine.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="did not answer"):
            await one.check()
        other.execute("ROLLBACK")
    await one.close()


async def test_a_full_disk(url: str, connections: list[sqlite3.Connection]) -> None:
    one = connect(url)
    await one.check()
    [pages] = connections[-1].execute("PRAGMA page_count").fetchone()
    connections[-1].execute(f"PRAGMA max_page_count={pages + 20}")
    stored: list[str] = []

    async def fill() -> None:
        while True:
            big = message(text="x" * 5000)
            await one.run(writing(big))
            stored.append(big.id)

    with pytest.raises(ExternalError, match=FULL):
        await fill()
    assert stored
    together = [one.run(writing(message(text="x" * 50_000))) for _ in range(5)]
    for result in await asyncio.gather(*together, return_exceptions=True):
        assert isinstance(result, ExternalError)
        assert FULL in str(result)
    found = await one.run(lambda tx: tx.messages.search(limit=1000))
    assert {each.id for each in found} == set(stored)

    connections[-1].execute("PRAGMA max_page_count=1000000")
    assert await one.run(writing(message(text="x" * 50_000))) == [True]
    await one.close()


async def test_a_disk_that_became_read_only(url: str, connections: list[sqlite3.Connection]) -> None:
    one = connect(url)
    await one.check()
    connections[-1].execute("PRAGMA query_only=ON")
    with pytest.raises(ExternalError, match=r"engine\.db cannot be written; let this user write"):
        await one.check()
    await one.check()  # over a new connection, to a disk that is writable again
    await one.close()


async def test_a_file_that_is_read_only(url: str, tmp_path: Path) -> None:
    read_only = f"sqlite:///file:{tmp_path}/engine.db?mode=ro&uri=true"
    with pytest.raises(Unreachable, match="cannot be opened"):
        connect(read_only)
    upgrade(url)
    one = connect(read_only)
    with pytest.raises(ExternalError, match="cannot be written"):
        await one.check()
    with pytest.raises(ExternalError, match="cannot be written"):
        await one.run(adding(call()))
    await one.close()


def test_a_file_that_is_no_database(url: str, tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_bytes(b"Dear diary" * 1000)
    with pytest.raises(ExternalError, match=r"not a sound database .*; restore a backup"):
        connect(url)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExternalError, match=r"file/engine\.db"):
        connect(f"sqlite:///{tmp_path}/file/engine.db")


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be opened"):
        connect(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    "bad", ["engine.db", "mysql://user:secret@host/db", "postgresql+asyncpg://u:secret@h/d"]
)
def test_a_url_of_something_else(bad: str) -> None:
    with pytest.raises(Refused, match="sqlite:////folder") as caught:
        connect(bad)
    assert "secret" not in str(caught.value)


async def test_errors_hold_no_numbers_and_no_texts(url: str) -> None:
    one = connect(url, inline=True)
    again = message(text="private", recipient="+4915112345678")
    await one.run(writing(again))
    with pytest.raises(Refused) as caught:
        await one.run(writing(again))
    error: BaseException | None = caught.value
    while error is not None:
        assert "private" not in str(error)
        assert "+4915112345678" not in str(error)
        error = error.__cause__
    await one.close()


# ── the connection and the schema ────────────────────────────────────────────────────────────────


async def test_what_is_committed_survives_a_power_cut(
    url: str, connections: list[sqlite3.Connection]
) -> None:
    one = connect(url)
    await one.check()
    settings = ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]
    found = [connections[-1].execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert found == ["wal", 2, 1, 30_000]
    await one.close()


def _schema(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """What each table and index is made of, in no particular order."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    schema = {name: sorted(" ".join(sql.rstrip(")").split()).split(", ")) for name, sql in rows}
    schema.pop("alembic_version", None)
    return {name: sorted(part.removesuffix(" )") for part in parts) for name, parts in schema.items()}


async def test_the_migrations_make_the_tables_of_the_code(
    url: str, connections: list[sqlite3.Connection]
) -> None:
    upgrade(url)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as migrated:
        by_migration = _schema(migrated)
    in_memory = connect("sqlite://")
    by_code = _schema(connections[-1])
    await in_memory.close()
    assert by_migration == by_code


async def test_starting_again_keeps_everything(url: str) -> None:
    one = call()
    for _ in range(2):
        upgrade(url)
        first = connect(url)
        if not await first.run(lambda tx: tx.calls.search()):
            await first.run(adding(one))
        await first.close()
    last = connect(url)
    assert await last.run(lambda tx: tx.calls.search()) == [one]
    await last.close()


def test_a_database_of_a_newer_version(url: str, tmp_path: Path) -> None:
    upgrade(url)
    with closing(sqlite3.connect(tmp_path / "engine.db")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ExternalError, match=r"newer version .*install that version"):
        connect(url)


# ── indexes ──────────────────────────────────────────────────────────────────────────────────────

_CALL = call(entered_at=NOW)
_QUERIES: dict[str, tuple[Callable[[Tx], object], set[str]]] = {
    "get": (lambda tx: tx.calls.get(_CALL.id), {"sqlite_autoindex_calls_1"}),
    "open_on": (lambda tx: tx.calls.open_on("c"), {"uq_calls_open_channel"}),
    "open": (lambda tx: tx.calls.open(), {"ix_calls_open"}),
    "open in queue": (lambda tx: tx.calls.open(queue="q"), {"ix_calls_open_queue"}),
    "ahead": (lambda tx: tx.calls.ahead(_CALL), {"ix_calls_line"}),
    "to call back": (lambda tx: tx.calls.callbacks("+49"), {"ix_calls_back"}),
    "in line": (lambda tx: tx.calls.in_line("q"), {"ix_calls_line"}),
    "calls": (lambda tx: tx.calls.search(), {"ix_calls_started_at"}),
    "calls of": (lambda tx: tx.calls.search(caller="+49"), {"ix_calls_caller_started_at"}),
    "message": (
        lambda tx: tx.messages.by_provider_id("p", "i"),
        {"sqlite_autoindex_messages_2"},
    ),
    "due": (
        lambda tx: tx.messages.due(NOW, frozenset({MessageStatus.UNSETTLED}), 9),
        {"ix_messages_due"},
    ),
    "senders waiting": (lambda tx: tx.messages.senders_waiting(), {"ix_messages_ready"}),
    "to send": (lambda tx: tx.messages.to_send("+49", 9), {"ix_messages_ready"}),
    "left in sending": (
        lambda tx: tx.messages.left_in_sending("ivr-1", 9),
        {"ix_messages_status_created_at"},
    ),
    "last of stream": (lambda tx: tx.messages.last_of_stream("s"), {"ix_messages_stream"}),
    "pending media": (lambda tx: tx.messages.with_pending_media(9), {"ix_messages_pending_media"}),
    "of call": (lambda tx: tx.messages.of_call("c"), {"ix_messages_call_id"}),
    "exchanged": (lambda tx: tx.messages.exchanged(["c", "d"]), {"ix_messages_call_id"}),
    "last to": (
        lambda tx: tx.messages.last_outbound_to("+49", "+50"),
        {"ix_messages_recipient_created_at"},
    ),
    "messages": (lambda tx: tx.messages.search(), {"ix_messages_created_at"}),
    "messages in doubt": (
        lambda tx: tx.messages.search(status=MessageStatus.UNKNOWN),
        {"ix_messages_status_created_at"},
    ),
    "messages of": (
        lambda tx: tx.messages.search(number="+49"),
        {"ix_messages_recipient_created_at", "ix_messages_sender_created_at"},
    ),
    "tickets of": (lambda tx: tx.tickets.search(caller="+49"), {"ix_tickets_caller_opened_at"}),
    "tickets": (lambda tx: tx.tickets.search(), {"ix_tickets_opened_at"}),
    "consents of": (lambda tx: tx.consents.search(number="+49"), {"ix_consents_number_at"}),
    "consent given": (lambda tx: tx.consents.given("+49", "x"), {"ix_consents_number_at"}),
    "consents, a page": (lambda tx: tx.consents.page((NOW, "c"), 9), {"ix_consents_at_id"}),
    "opted out": (lambda tx: tx.opt_outs.is_opted_out("+49"), {"uq_opt_outs_standing"}),
    "opt-outs, a page": (lambda tx: tx.opt_outs.page((NOW, "c"), 9), {"ix_opt_outs_since_id"}),
    "erasures": (lambda tx: tx.erasures.open(), {"ix_erasures_open"}),
    "old messages": (lambda tx: tx.privacy.old_messages(NOW, 9), {"ix_messages_created_at"}),
    "old media": (lambda tx: tx.privacy.old_media(NOW, 9), {"ix_messages_media"}),
    "old calls": (
        lambda tx: tx.privacy.old_calls(NOW, 9),
        {"ix_calls_started_at", "ix_recordings_call_id"},
    ),
    "old tickets": (
        lambda tx: tx.privacy.old_tickets(NOW, 9),
        {"ix_tickets_opened_at", "ix_recordings_call_id"},
    ),
    "old files": (
        lambda tx: tx.privacy.old_files(NOW, 9),
        {"ix_ticket_files_at", "sqlite_autoindex_recordings_1"},
    ),
    "newest event": (lambda tx: tx.events.newest_id(), set()),
    "events of": (lambda tx: tx.events.of_call("c"), {"ix_events_call_id"}),
    "events of who has a ticket": (
        lambda tx: tx.events.after(5, ticketed=True),
        {"sqlite_autoindex_calls_1"},
    ),
    "tickets of a contact": (lambda tx: tx.tickets.search(contact="c"), {"ix_tickets_contact"}),
    "contacts of": (
        lambda tx: tx.contacts.with_number("+49"),
        {"ix_contact_numbers_number_contact_id", "sqlite_autoindex_contacts_1"},
    ),
    "contact elsewhere": (
        lambda tx: tx.contacts.with_external("s", "x"),
        {"ix_contact_externals_system_external_id", "sqlite_autoindex_contacts_1"},
    ),
    "contacts": (lambda tx: tx.contacts.search(), {"ix_contacts_updated_at_id"}),
    "deliveries due": (
        lambda tx: tx.deliveries.due("a", NOW, 9),
        {"ix_crm_deliveries_due", "ix_crm_deliveries_of_call"},
    ),
    "dead letters": (lambda tx: tx.deliveries.dead(), {"ix_crm_deliveries_dead"}),
    "dead letters of": (lambda tx: tx.deliveries.dead("a"), {"ix_crm_deliveries_dead"}),
}


@pytest.mark.parametrize("name", _QUERIES)
async def test_every_query_uses_its_index(name: str, connections: list[sqlite3.Connection]) -> None:
    query, expected = _QUERIES[name]
    one = connect("sqlite://")
    await one.run(adding(_CALL))
    seen: list[str] = []
    connections[-1].set_trace_callback(seen.append)
    await one.run(query)
    connections[-1].set_trace_callback(None)
    [sql] = [sql for sql in seen if sql.startswith(("SELECT", "WITH"))]
    plan = [row[3] for row in connections[-1].execute(f"EXPLAIN QUERY PLAN {sql}")]
    used = {word for step in plan for word in step.split() if word.startswith(("ix_", "uq_", "sqlite_"))}
    assert used == expected, plan
    await one.close()


# ── company ──────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_commit_the_next_waits_for_company(
    url: str, connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr_engine.store.lane.GATHER_S", 2.0)
    one = connect(url)
    await one.run(lambda tx: tx.calls.search())
    commits = _commits(connections[-1])
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(one.run(adding(call(id=str(number), channel_id=str(number)))))
            await asyncio.sleep(0.001)  # they come one by one
    assert len(commits) == 1
    assert len(await one.run(lambda tx: tx.calls.search())) == 5
    await one.close()


async def test_who_goes_on_from_one_transaction_to_the_next_waits_for_nobody(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr_engine.store.lane.GATHER_S", 3600.0)
    one = connect(url)
    async with asyncio.timeout(60):
        for number in range(3):
            await one.run(adding(call(id=str(number), channel_id=str(number))))
    await one.close()


def _commits(connection: sqlite3.Connection) -> list[str]:
    """Filled from now on."""
    seen: list[str] = []
    connection.set_trace_callback(lambda sql: seen.append(sql) if sql == "COMMIT" else None)
    return seen
