"""Brings a database to the newest schema."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from ivr_engine.store import database, schema
from ivr_engine.store.guards import GUARDS
from ivr_engine.store.tables import metadata


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The schema's version, before and after; ``before`` is ``None`` where there was none."""

    place: str
    before: str | None
    after: str


def upgrade(url: str) -> Upgraded:
    """Blocking. All migrations happen, or none; ``ExternalError`` says why."""
    target = database.parsed(url)
    engine = database.engine(target)
    try:
        return migrate(engine, database.place(target))
    finally:
        engine.dispose()


def migrate(engine: Engine, place: str) -> Upgraded:
    """The same, of a database that is known already."""
    with schema.migrating(engine, place) as connection:
        before = schema.version(connection)
        schema.to(connection, schema.HEAD)
        return Upgraded(place, before, schema.version(connection) or schema.newest())


def create(connection: Connection) -> None:
    """The newest schema at once, for a database of SQLite that dies with its connection."""
    with connection.begin():
        for statement in _schema():
            connection.exec_driver_sql(statement)


@functools.cache
def _schema() -> tuple[str, ...]:
    """As SQL: simulations and tests make one such database after another."""
    statements: list[str] = []

    def collect(ddl: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(ddl.compile(dialect=mock.dialect)))

    mock = create_mock_engine("sqlite://", collect)
    metadata.create_all(mock, checkfirst=False)
    return (*statements, *GUARDS)
