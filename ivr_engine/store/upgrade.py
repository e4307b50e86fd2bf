"""Brings a database to the newest schema."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

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
    """The newest schema at once, for a database that dies with its connection."""
    with connection.begin():
        metadata.create_all(connection)
        for statement in GUARDS[connection.dialect.name]:
            connection.execute(text(statement))
