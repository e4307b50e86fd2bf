"""What PostgreSQL says when it fails, in this program's errors.

Its messages quote values (``Key (recipient)=(+49…) already exists``), so only those parts are passed on
that cannot: see https://www.postgresql.org/docs/current/errcodes-appendix.html for the codes.
"""

from __future__ import annotations

from typing import Final

import psycopg

from ivr_engine.errors import ExternalError, Refused, Unreachable


class Conflict(Unreachable):
    """Two transactions got into each other's way and this one was undone: it may run again."""


class Lost(Unreachable):
    """The connection broke."""


class Taken(Refused):
    """A row of that name is there: perhaps since a moment ago, and a second run will find it."""


_SERIALIZATION: Final = frozenset({"40001", "40P01"})
_UNIQUE: Final = "23505"
_OUT_OF_RANGE: Final = "22003"

_REMEDIES: Final[dict[str, tuple[type[ExternalError], str]]] = {
    "55P03": (Unreachable, "is locked by another program; close what holds it open (see pg_stat_activity)"),
    "57014": (Unreachable, "took too long over a statement; see its load, or who cancelled it"),
    "57P03": (Unreachable, "is starting or stopping; it will be asked again"),
    "53100": (ExternalError, "has a full disk; make room on it"),
    "53300": (Unreachable, "takes no more connections; raise max_connections, or stop what holds them"),
    "3D000": (ExternalError, "does not exist; make it with createdb"),
    "28P01": (ExternalError, "does not accept the user or the password; see IVR_DATABASE_URL"),
    "28000": (ExternalError, "does not let this user in; see IVR_DATABASE_URL and pg_hba.conf"),
    "42501": (ExternalError, "does not let this user do that; make the user its owner"),
    "25006": (ExternalError, "is read-only (a standby?); name the primary"),
    "42P01": (ExternalError, "lacks a table; run the migrations, or restore a backup"),
}


def postgresql(cause: psycopg.Error, place: str, *, lost: bool) -> Exception:
    """``lost``: the connection is of no more use."""
    code = cause.sqlstate
    if code in _SERIALIZATION:
        return Conflict(f"{place} could not fit this between what others wrote; try again")
    if code in _REMEDIES:
        kind, what = _REMEDIES[code]
        return kind(f"{place} {what}")
    if lost or code is None or code.startswith(("08", "57P")):
        return Lost(f"{place} went away; start it again, or see the network: it will be asked again")
    if code == _UNIQUE:
        return Taken(f"the store refuses this row: {cause.diag.constraint_name or 'it is there already'}")
    if code.startswith("23"):
        return Refused(f"the store refuses this row: {cause.diag.constraint_name or _words(cause)}")
    if code == _OUT_OF_RANGE:
        return OverflowError("a number is too large for its column")
    return ExternalError(f"{place} failed: {_words(cause)}")


def cannot_connect(cause: psycopg.Error, place: str) -> Exception:
    """libpq gives no code when it never got in; what it says is in English unless the server says it."""
    said = str(cause)
    first = said.partition("\n")[0]
    if not isinstance(cause, psycopg.OperationalError) or "connection is bad: invalid" in said:
        return ExternalError(f"{place} cannot be asked ({first}); see IVR_DATABASE_URL")
    if any(sign in said for sign in _TLS):
        return ExternalError(
            f"{place} and this program agree on no encryption ({first}); see sslmode and sslrootcert in "
            "IVR_DATABASE_URL, and ssl in postgresql.conf"
        )
    for code, sign in (("28P01", "password"), ("28000", "pg_hba"), ("3D000", "does not exist")):
        if sign in said and "Connection refused" not in said and "No such file" not in said:
            kind, what = _REMEDIES[code]
            return kind(f"{place} {what}")
    return Unreachable(f"{place} does not answer ({first}); start it, or see IVR_DATABASE_URL")


_TLS: Final = ("SSL", "certificate", "no encryption")


def _words(cause: psycopg.Error) -> str:
    """By name and code, never by message: those of classes 22 and 23 quote values."""
    quoting = (cause.sqlstate or "").startswith(("22", "23"))
    said = None if quoting else cause.diag.message_primary
    return said or f"{type(cause).__name__} ({cause.sqlstate})"
