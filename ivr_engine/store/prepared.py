"""Statements compiled once and then given to the driver as they are.

SQLAlchemy builds the SQL and converts the values; what it does besides at each execution costs three
times what SQLite does, and every call in the system pays it some twenty times (docs/0002).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, Row, Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]

KEPT: Final = 1024
"""Compiled statements; the program has some two hundred."""


_FLOAT8: Final = 701
"""PostgreSQL's number for its type of floats."""


class Cursor(Protocol):
    """The part of a driver's cursor (PEP 249) that is used."""

    rowcount: int

    def execute(self, sql: str, values: Any, /) -> object: ...  # noqa: ANN401 - a tuple or a dict

    def executemany(self, sql: str, values: Sequence[Any], /) -> object: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...

    def fetchall(self) -> Sequence[tuple[Any, ...]]: ...

    def close(self) -> object: ...


class Opened:
    """A connection until its next commit, whose statements share a cursor: making one costs a third of what
    running a small statement does. ``close`` it before the commit."""

    __slots__ = ("_cursor", "connection", "dialect")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = _one_for_all(connection.dialect)
        self._cursor: Cursor | None = None

    def cursor(self) -> Cursor:
        if self._cursor is None:
            self._cursor = cast("Cursor", self.connection.connection.cursor())
        return self._cursor

    def close(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()


def rows(opened: Opened, statement: Executable, values: Values) -> Sequence[Row[Any]]:
    """Every row of a query; its columns are attributes."""
    ready = _prepared(statement, tuple(values), opened.dialect)
    if ready is None:
        return opened.connection.execute(statement, values).all()
    return ready.rows(opened.cursor(), values)


def first(opened: Opened, statement: Executable, values: Values) -> Row[Any] | None:
    """The first row of a query, if it has one."""
    ready = _prepared(statement, tuple(values), opened.dialect)
    if ready is None:
        return opened.connection.execute(statement, values).first()
    return ready.first(opened.cursor(), values)


def write(opened: Opened, statement: Executable, values: Values) -> int:
    """How many rows it changed."""
    ready = _prepared(statement, tuple(values), opened.dialect)
    if ready is None:
        return opened.connection.execute(statement, values).rowcount
    return ready.write(opened.cursor(), values)


def write_all(opened: Opened, statement: Executable, values: Sequence[Values]) -> None:
    """One statement for many rows, which all have the same names."""
    if not values:
        return
    ready = _prepared(statement, tuple(values[0]), opened.dialect)
    if ready is None:
        opened.connection.execute(statement, values)
    else:
        ready.write_all(opened.cursor(), values)


class Prepared:
    """One statement for one set of values' names. Rows have their columns as attributes."""

    __slots__ = ("_bound", "_converting", "_in_order", "_row", "_shaped", "_sql")

    def __init__(self, statement: Select[Any] | UpdateBase, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._sql = str(compiled)
        fixed = compiled.params
        self._in_order = compiled.positiontup is not None
        names = list(compiled.positiontup or compiled.binds)
        self._bound = [(name, fixed.get(name)) for name in names]
        self._converting = [
            (place, convert)
            for place, name in enumerate(names)
            if (convert := _binding(compiled.binds[name].type, dialect)) is not None
        ]
        columns: list[ColumnElement[Any]] = list(
            statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
        )
        self._shaped = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := _shaping(column.type, dialect)) is not None
        ]
        keys = [column.key or "" for column in columns]
        self._row: Callable[[tuple[Any, ...]], Any] = _row_class(keys)._make

    def rows(self, cursor: Cursor, values: Values) -> Sequence[Row[Any]]:
        cursor.execute(self._sql, self._converted(values))
        return [self._shape(row) for row in cursor.fetchall()]

    def first(self, cursor: Cursor, values: Values) -> Row[Any] | None:
        cursor.execute(self._sql, self._converted(values))
        row = cursor.fetchone()
        return None if row is None else self._shape(row)

    def write(self, cursor: Cursor, values: Values) -> int:
        cursor.execute(self._sql, self._converted(values))
        return cursor.rowcount

    def write_all(self, cursor: Cursor, rows: Sequence[Values]) -> None:
        """Each of ``rows`` has the same names."""
        cursor.executemany(self._sql, [self._converted(row) for row in rows])

    def _converted(self, values: Values) -> tuple[Any, ...] | dict[str, Any]:
        taken = [values.get(name, fixed) for name, fixed in self._bound]
        for place, convert in self._converting:
            if taken[place] is not None:
                taken[place] = convert(taken[place])
        if self._in_order:
            return tuple(taken)
        return {name: value for (name, _), value in zip(self._bound, taken, strict=True)}

    def _shape(self, row: tuple[Any, ...]) -> Row[Any]:
        if self._shaped:
            shaped = list(row)
            for place, convert in self._shaped:
                if shaped[place] is not None:
                    shaped[place] = convert(shaped[place])
            row = tuple(shaped)
        return cast("Row[Any]", self._row(row))


_dialects: Final[dict[tuple[str, str, tuple[Any, ...] | None], Dialect]] = {}


def _one_for_all(dialect: Dialect) -> Dialect:
    """Each engine of SQLAlchemy has a dialect of its own: those for the same kind and version of database say
    the same, and what one of them has compiled is good for all."""
    return _dialects.setdefault((dialect.name, dialect.driver, dialect.server_version_info), dialect)


@lru_cache(KEPT)
def _prepared(statement: Executable, names: tuple[str, ...], dialect: Dialect) -> Prepared | None:
    """``None`` for a statement whose text depends on its values: SQLAlchemy has to run that itself."""
    if not isinstance(statement, (Select, UpdateBase)):
        return None
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    depends = compiled.post_compile_params or compiled.insert_prefetch or compiled.update_prefetch
    return None if depends else Prepared(cast("Select[Any] | UpdateBase", statement), compiled, dialect)


def _row_class(names: Sequence[str]) -> Any:  # noqa: ANN401 - a class made of the columns' names
    return namedtuple("Row", names, rename=True)  # pyright: ignore[reportUntypedNamedTuple]


def _binding(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _shaping(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    # SQLAlchemy asks for PostgreSQL's number of the type only where it is a float's.
    return kind.dialect_impl(dialect).result_processor(dialect, _FLOAT8)
