"""What a database says when it fails, in this program's errors and in words that help."""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from ivr_engine.errors import ExternalError, IvrError, Refused, Unreachable
from ivr_engine.store.postgresql_failures import Conflict, Lost, Taken, cannot_connect, postgresql

__all__ = ["STORE_ERRORS", "Conflict", "Lost", "Taken", "cause_to_show", "translated"]

_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def translated(error: Exception, place: str) -> Exception:
    """The error to raise for ``error``; ``place`` is the database, as an admin would name it."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig if isinstance(error.orig, Exception) else error  # a value of ours: a mistake
    if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.Error):
        if error.statement is None and _unborn(error):
            return cannot_connect(error.orig, place)
        return postgresql(error.orig, place, lost=error.connection_invalidated)
    if isinstance(error, psycopg.Error):
        return postgresql(error, place, lost=False)
    if isinstance(error, (IntegrityError, sqlite3.IntegrityError)):
        return Refused(f"the store refuses this row: {getattr(error, 'orig', error)}")
    if isinstance(error, UnicodeError):
        return Refused(f"the store refuses this text: {_reason(error)}")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, place)
    return ExternalError(f"{place} failed: {cause}")


STORE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error, psycopg.Error, UnicodeError)
"""Everything a statement may raise for which the data or the database is to blame."""


def cause_to_show(error: Exception) -> Exception | None:
    """``error`` as the cause of what is raised, unless its text would quote a row (PostgreSQL's does)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return None if isinstance(cause, psycopg.Error) else error


def _unborn(error: DBAPIError) -> bool:
    """There was no connection yet: libpq gives no code then."""
    return (
        isinstance(error.orig, psycopg.Error)
        and error.orig.sqlstate is None
        and not error.connection_invalidated
    )


def _reason(error: UnicodeError) -> str:
    """Without the text itself, which ``str(error)`` may quote and which is nobody's business in a log."""
    return error.reason if isinstance(error, (UnicodeEncodeError, UnicodeDecodeError)) else "not text"


def _sqlite(cause: sqlite3.Error, place: str) -> IvrError:
    # The low byte is the kind, the rest says more (SQLITE_READONLY_DBMOVED, SQLITE_IOERR_FSYNC, …).
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in _LOCKED:
        return Unreachable(
            f"{place} is locked by another program; close what holds it open "
            "(an sqlite3 shell, a backup, a second engine)"
        )
    if code == sqlite3.SQLITE_FULL:
        return ExternalError(f"the disk is full: nothing can be written to {place}; make room on it")
    if code == sqlite3.SQLITE_READONLY:
        return ExternalError(
            f"{place} cannot be written; let this user write the file and its folder, "
            "and see whether the disk was mounted read-only"
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return Unreachable(
            f"{place} cannot be opened; see that its folder exists and that this user may write there"
        )
    if code in _DAMAGED:
        return ExternalError(f"{place} is not a sound database ({cause}); restore a backup")
    if code == sqlite3.SQLITE_IOERR:
        return ExternalError(f"the disk under {place} fails ({cause}); look at the system log")
    return ExternalError(f"{place} failed: {cause}")
