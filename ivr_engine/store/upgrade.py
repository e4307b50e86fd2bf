"""Brings a database to the newest schema by the migrations that come with the package."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from ivr_engine.errors import ExternalError
from ivr_engine.store import database, postgresql
from ivr_engine.store.failures import STORE_ERRORS, translated
from ivr_engine.store.tables import metadata

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(url: str) -> None:
    """Blocking. All migrations happen, or none; ``ExternalError`` says why."""
    target = database.parsed(url)
    engine = database.engine(target)
    try:
        migrate(engine, database.place(target))
    finally:
        engine.dispose()


def migrate(engine: Engine, place: str) -> None:
    """The same, of a database that is known already."""
    try:
        with _migrating(engine) as connection:
            _run(connection)
    except CommandError as error:
        raise ExternalError(
            f"{place} was made by a newer version of this program ({error}); "
            "install that version, or restore a backup made by this one"
        ) from error
    except STORE_ERRORS as error:
        raise translated(error, place) from error


@contextmanager
def _migrating(engine: Engine) -> Generator[Connection, None, None]:
    """A transaction that no other engine's migrations overlap."""
    if engine.dialect.name == "postgresql":
        with postgresql.migrating(engine) as connection:
            yield connection
    else:
        with engine.begin() as connection:
            yield connection


def _run(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def create(connection: Connection) -> None:
    """The newest schema at once, for a database that dies with its connection."""
    with connection.begin():
        metadata.create_all(connection)
