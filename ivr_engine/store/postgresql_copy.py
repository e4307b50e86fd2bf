"""Single tables of PostgreSQL into files and back, by ``COPY``: CSV whose first line names the columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, inspect

from ivr_engine.errors import Refused

_BLOCK: Final = 1024 * 1024
_HEADER_BYTES: Final = 65_536
_COLUMN: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def table_out(connection: Connection, name: str, file: Path) -> int:
    """Returns its rows."""
    query = sql.SQL("COPY {} TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(sql.Identifier(name))
    with _driver(connection).cursor() as cursor, file.open("wb") as out:
        with cursor.copy(query) as copy:
            for block in copy:
                out.write(block)
        return cursor.rowcount


def table_in(connection: Connection, name: str, file: Path) -> int:
    """Returns the rows that were added; its numbering goes on after the highest."""
    with file.open("rb") as rows:
        columns = _columns(name, rows.readline(_HEADER_BYTES), inspect(connection).get_columns(name))
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')").format(
            sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with _driver(connection).cursor() as cursor:
            with cursor.copy(query) as copy:
                while block := rows.read(_BLOCK):
                    copy.write(block)
            added = cursor.rowcount
            for column in columns:
                _go_on_counting(cursor, name, column)
    return added


def _go_on_counting(cursor: psycopg.Cursor[Any], table: str, column: str) -> None:
    [sequence] = cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, column]).fetchone() or [None]
    if sequence is not None:
        count = sql.SQL("SELECT setval(%s, max({0})) FROM {1} HAVING max({0}) > 0")
        cursor.execute(count.format(sql.Identifier(column), sql.Identifier(table)), [sequence])


def _columns(table: str, header: bytes, known: Iterable[Any]) -> list[str]:
    columns = header.decode("ascii", errors="replace").rstrip("\r\n").split(",")
    names = {column["name"] for column in known}
    if not all(_COLUMN.fullmatch(column) and column in names for column in columns):
        raise Refused(f"the backup's table {table} has columns that the program has not")
    return columns


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
