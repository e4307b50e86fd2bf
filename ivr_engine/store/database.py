"""From a URL to an engine of SQLAlchemy; SQLite's with each connection set up to be safe."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection

from ivr_engine.errors import ExternalError, Refused
from ivr_engine.observability.masking import hide
from ivr_engine.store import postgresql

LOCK_TIMEOUT_S: Final = 30.0
"""How long a transaction waits for another program that holds the database."""

_EXAMPLES: Final = "sqlite:////folder/engine.db or postgresql://user:password@host/database"
_HINTS: Final = (
    " (in a password, %40 for @, %3A for :, %2F for /; several hosts as ?host=one:5432&host=two:5432)"
)

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",  # readers (a backup, an admin's shell) never stop the writer
    "PRAGMA synchronous=FULL",  # what was committed survives a power cut
    "PRAGMA foreign_keys=ON",
)


def parsed(url: str) -> URL:
    """``Refused`` for what is not a URL of a database this program can use; quotes nothing of it, because
    a password in the wrong place would be quoted as well."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise Refused(f"IVR_DATABASE_URL is not a database URL; write {_EXAMPLES}{_HINTS}") from None
    if "@" in (parsed.host or "") or not 0 < (5432 if parsed.port is None else parsed.port) < 65_536:
        raise Refused(f"IVR_DATABASE_URL has no proper host or port; write {_EXAMPLES}{_HINTS}")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise Refused(f"no support for {parsed.drivername}; write {_EXAMPLES}")


def is_postgresql(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


def is_in_memory(url: URL) -> bool:
    return not is_postgresql(url) and url.database in (None, "", ":memory:")


def place(url: URL) -> str:
    """The database as an admin would name it; never with a password."""
    if is_in_memory(url):
        return "the database in memory"
    if is_postgresql(url):
        hosts = url.host or url.query.get("host") or "this machine"
        name = url.database or url.username
        return f"the database {name} on {hosts if isinstance(hosts, str) else ', '.join(hosts)}"
    return f"the database {url.database}"


def engine(url: URL, *, lock_timeout_s: float = LOCK_TIMEOUT_S, looking: bool = False) -> Engine:
    """No pool: each thread of the store opens one connection and keeps it. ``looking``: for transactions
    that only read; they begin also while another writes."""
    _hide_password(url)
    if is_postgresql(url):
        made = postgresql.engine(url, lock_timeout_s=lock_timeout_s)
        return made.execution_options(postgresql_readonly=True) if looking else made
    _make_folder(url)
    # A connection is used by one thread at a time; only the first, made by ``connect``, changes hands.
    arguments: dict[str, Any] = {"timeout": lock_timeout_s, "check_same_thread": False}
    result = create_engine(
        url,
        poolclass=NullPool,
        connect_args=arguments,
        hide_parameters=True,  # phone numbers and texts have no place in an error message
    )
    event.listen(result, "connect", _prepare)
    # The documented way is a listener for "begin"; one listener of an engine slows each of its statements.
    result.dialect.do_begin = _begin_to_look if looking else _begin
    return result


def _hide_password(url: URL) -> None:
    """From the log, wherever it may turn up."""
    given = url.query.get("password", ())
    for password in (url.password, *((given,) if isinstance(given, str) else given)):
        if password:
            hide(str(password))


def _make_folder(url: URL) -> None:
    if is_in_memory(url) or not url.database or url.database.startswith("file:"):
        return
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExternalError(f"no folder for {place(url)} ({error.strerror}); name another place") from error


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Python's sqlite3 would begin transactions by itself, and only before the first write: what was
    # read until then could have changed.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(dbapi_connection: PoolProxiedConnection) -> None:
    dbapi_connection.cursor().execute("BEGIN IMMEDIATE")


def _begin_to_look(dbapi_connection: PoolProxiedConnection) -> None:
    dbapi_connection.cursor().execute("BEGIN")
