"""What a backup is made of and restored from: the whole database in files, and back, for either kind.

SQLite is copied by itself (``VACUUM INTO``), while an engine writes. Of PostgreSQL every table is read in
one transaction, so all of the same moment, by ``COPY``. Not by pg_dump: it would have to be installed and be
as new as the server, and to restore its file is to run whatever SQL stands in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, cast

from sqlalchemy import URL, Connection, Engine, false, inspect, text

from ivr_engine.domain.messages import Direction, MessageStatus
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.store import archive, database, postgresql_copy, schema
from ivr_engine.store.failures import STORE_ERRORS, translated
from ivr_engine.store.guards import GUARDS
from ivr_engine.store.tables import checks, engines, messages, metadata, wait_watch
from ivr_engine.store.upgrade import upgrade

Kind = Literal["sqlite", "postgresql"]

VERSION_TABLE: Final = "alembic_version"
PASSING: Final = frozenset({VERSION_TABLE, checks.name, engines.name, wait_watch.name})
"""Tables whose rows are of the moment: with these alone a database is empty."""

Rows = dict[str, int]


class Database:
    """One database, as something to be copied. Use it in a ``with``."""

    def __init__(self, url: str) -> None:
        self._url = database.parsed(url)
        self.place = database.place(self._url)
        if database.is_in_memory(self._url):
            raise Refused(f"{self.place} ends with its engine: there is nothing to back up or restore")
        self.kind: Kind = "postgresql" if database.is_postgresql(self._url) else "sqlite"
        self._engine = database.engine(self._url)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    def copy_out(self, folder: Path) -> tuple[str, Rows]:
        """Everything into files below ``folder``; returns the schema's version and each table's rows."""
        with self._errors():
            if self.kind == "sqlite":
                return self._sqlite_out(folder / archive.SQLITE)
            return self._postgresql_out(folder)

    def _sqlite_out(self, copy: Path) -> tuple[str, Rows]:
        self._must_exist()
        copy.parent.mkdir(parents=True)
        with _raw(self._engine) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return _looked_through(copy)

    def _postgresql_out(self, folder: Path) -> tuple[str, Rows]:
        (folder / archive.TABLES).mkdir()
        snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._engine.connect().execution_options(**snapshot) as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            version = _sound_version(connection, self.place)
            names = _table_names(connection)
            if version == schema.newest():
                names = [name for name in names if name in metadata.tables]  # others' are not ours to take
            return version, {
                name: postgresql_copy.table_out(connection, name, folder / _file_of(name)) for name in names
            }

    def _must_exist(self) -> None:
        path = Path(self._url.database or "")
        if not (self._url.database or "").startswith("file:") and not path.is_file():
            raise Refused(f"{self.place} is not there; see IVR_DATABASE_URL and IVR_STATE", missing=True)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    def refuse_to_overwrite(self) -> None:
        """``Refused`` while an engine has it open, and when there is something in it."""
        with self._errors():
            if self._is_held():
                raise Refused(f"an engine has {self.place} open: stop it first")
            full = self._tables_in_use()
        if full:
            raise Refused(f"{self.place} is not empty: it has rows in {', '.join(full)}")

    def copy_in(self, manifest: archive.Manifest, folder: Path) -> None:
        """In place of what is there: whole, or not at all; at the newest schema afterwards."""
        if manifest.database != self.kind:
            raise Refused(
                f"the backup is one of {manifest.database}, and {self.place} is one of {self.kind}: "
                "set IVR_DATABASE_URL"
            )
        wanted = [archive.SQLITE] if self.kind == "sqlite" else map(_file_of, manifest.rows)
        if missing := set(wanted) - manifest.files.keys():
            raise Refused(f"the backup lacks {min(missing)[:80]}")
        if not schema.knows(manifest.schema):
            raise Refused(
                f"the backup has schema {manifest.schema}, which this version of the program does not know: "
                "install the one that made it"
            )
        with self._errors():
            if self.kind == "sqlite":
                self._sqlite_in(manifest, folder / archive.SQLITE)
            else:
                self._postgresql_in(manifest, folder)

    def _sqlite_in(self, manifest: archive.Manifest, copy: Path) -> None:
        if _looked_through(copy) != (manifest.schema, manifest.rows):
            raise Refused("the backup's database is not what its manifest says")
        upgrade(f"sqlite:///{copy}")
        with _opened(copy) as connection, connection.begin():
            _ask_the_provider_first(connection)
        with _raw(self._engine) as connection:
            source = sqlite3.connect(copy)
            try:
                source.backup(connection)
            finally:
                source.close()

    def _postgresql_in(self, manifest: archive.Manifest, folder: Path) -> None:
        with schema.migrating(self._engine, self.place) as connection:
            before = schema.version(connection)
            if before is not None and not schema.knows(before):
                raise Refused(f"{self.place} was made by a newer version of this program: name an empty one")
            metadata.drop_all(connection)
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")
            schema.to(connection, manifest.schema)
            tables = _table_names(connection)
            unknown = manifest.rows.keys() - set(tables)
            if unknown:
                raise Refused(f"the backup has a table {min(unknown)[:80]!r}, which the program has not")
            for name in tables:
                if name in manifest.rows:
                    rows = postgresql_copy.table_in(connection, name, folder / _file_of(name))
                    if rows != manifest.rows[name]:
                        raise Refused(f"the backup's table {name} is not what its manifest says")
            schema.to(connection, schema.HEAD)
            _ask_the_provider_first(connection)

    # ── what is there ────────────────────────────────────────────────────────────────────────────

    def _is_held(self) -> bool:
        if self.kind == "postgresql":
            with self._engine.connect() as connection:
                return bool(connection.execute(_OTHER_ENGINES).scalar_one())
        path = self._url.database or ""
        return Path(path).exists() and _is_open_elsewhere(path)

    def _tables_in_use(self) -> list[str]:
        with self._engine.connect() as connection:
            names = [name for name in _table_names(connection) if name not in PASSING]
            return [name for name in names if _has_rows(connection, name)]

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except STORE_ERRORS as error:
            raise translated(error, self.place) from None


_OTHER_ENGINES: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name = current_setting('application_name')"
)


@contextmanager
def _raw(engine: Engine) -> Generator[sqlite3.Connection]:
    fairy = engine.raw_connection()
    try:
        yield cast("sqlite3.Connection", fairy.driver_connection)
    finally:
        fairy.close()


def _is_open_elsewhere(path: str) -> bool:
    """Whoever has a database in WAL mode open keeps a shared lock on it, also when idle."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return True
    finally:
        connection.close()
    return False


def _looked_through(copy: Path) -> tuple[str, Rows]:
    """The schema's version and each table's rows, of a file of SQLite's that is sound and holds no code
    but the program's."""
    with _opened(copy) as connection:
        said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if said != ["ok"]:
            raise ExternalError(f"the copy of the database is damaged: {said[0]}")
        if set(connection.exec_driver_sql(_CODE).scalars()) - set(GUARDS):
            raise Refused("the database has triggers or views, which are not the program's")
        rows = {name: _count(connection, name) for name in _table_names(connection)}
        return _sound_version(connection, "the copy of the database"), rows


_CODE: Final = "SELECT sql FROM sqlite_master WHERE type NOT IN ('table', 'index')"


@contextmanager
def _opened(copy: Path) -> Generator[Connection]:
    engine = database.engine(URL.create("sqlite", database=str(copy)))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _ask_the_provider_first(connection: Connection) -> None:
    """What was still to be sent when the backup was made may have been sent since: as with a message whose
    engine died over it, the provider's list is asked before it is sent (again)."""
    waiting = (messages.c.direction == Direction.OUTBOUND) & (messages.c.status == MessageStatus.QUEUED)
    connection.execute(
        messages.update().where(waiting).values(status=MessageStatus.SENDING.value, ready=false())
    )


def _sound_version(connection: Connection, place: str) -> str:
    version = schema.version(connection)
    if version is None:
        raise Refused(f"{place} has no tables of this program: there is nothing to back up")
    return version


def _table_names(connection: Connection) -> list[str]:
    """Referred-to tables before those that refer to them."""
    ordered = inspect(connection).get_sorted_table_and_fkc_names()
    return [name for name, _ in ordered if name is not None and name != VERSION_TABLE]


def _file_of(table: str) -> str:
    return f"{archive.TABLES}{table}.csv"


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _count(connection: Connection, table: str) -> int:
    counted = connection.exec_driver_sql(f"SELECT count(*) FROM {_quoted(connection, table)}")  # noqa: S608
    return int(counted.scalar_one())


def _has_rows(connection: Connection, table: str) -> bool:
    found = connection.exec_driver_sql(f"SELECT 1 FROM {_quoted(connection, table)} LIMIT 1")  # noqa: S608
    return found.first() is not None
