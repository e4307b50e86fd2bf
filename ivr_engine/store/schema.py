"""Versions of the schema, and the migrations between them that come with the package."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from ivr_engine.errors import ExternalError
from ivr_engine.store import postgresql
from ivr_engine.store.failures import STORE_ERRORS, translated

MIGRATIONS: Final = Path(__file__).parent / "migrations"

HEAD: Final = "head"


@contextmanager
def migrating(engine: Engine, place: str) -> Generator[Connection, None, None]:
    """A transaction that no other engine's migrations overlap; what it raises is for people."""
    try:
        if engine.dialect.name == "postgresql":
            with postgresql.migrating(engine) as connection:
                yield connection
        else:
            with engine.begin() as connection:
                yield connection
    except CommandError as error:
        raise ExternalError(
            f"{place} was made by a newer version of this program ({error}); "
            "install that version, or restore a backup made by this one"
        ) from error
    except STORE_ERRORS as error:
        raise translated(error, place) from error


def version(connection: Connection) -> str | None:
    """Of the schema that is there."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The version of the schema that this program works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def knows(revision: str) -> bool:
    """Whether there is a migration to that version."""
    every = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == revision for script in every)


def to(connection: Connection, revision: str) -> None:
    """Migrate upwards, to this version of the schema."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
