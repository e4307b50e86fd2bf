"""No statement and no table is for SQLite alone. (That PostgreSQL runs them, a real one must show.)"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from ivr_engine.store import agents, calls, consents, engines, events, messages, store, tickets
from ivr_engine.store.tables import metadata

MODULES = (agents, calls, consents, engines, events, messages, store, tickets)
FIRST = "ivr_engine.store.migrations.versions.v0001_first_schema"


def _statements(module: ModuleType) -> Iterator[tuple[str, ClauseElement]]:
    for name, value in vars(module).items():
        found = cast("Mapping[Any, Any]", value).values() if isinstance(value, dict) else [value]
        for one in found:
            if isinstance(one, Executable) and isinstance(one, ClauseElement) and name.startswith("_"):
                yield name, one


def _sql(module: ModuleType) -> Iterator[tuple[str, str]]:
    return ((name, _postgresql(statement)) for name, statement in _statements(module))


def _postgresql(element: ClauseElement) -> str:
    return " ".join(str(element.compile(dialect=postgresql.dialect())).split())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_statements(module: ModuleType) -> None:
    assert len(dict(_sql(module))) >= 2


def test_engines_leave_each_other_their_messages() -> None:
    for name in ("_LEFT_IN_SENDING", "_TO_SEND"):
        assert dict(_sql(messages))[name].endswith("FOR UPDATE SKIP LOCKED")


def test_tables() -> None:
    for table in metadata.sorted_tables:
        assert "TIMESTAMP WITHOUT TIME ZONE" not in _postgresql(CreateTable(table))
        for index in table.indexes:
            assert " 1" not in _postgresql(CreateIndex(index))


def test_the_first_migration() -> None:
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        importlib.import_module(FIRST).upgrade()
    sql = written.getvalue()
    assert "CREATE UNIQUE INDEX uq_calls_open_channel ON calls (channel_id) WHERE is_open IS true" in sql
    assert sql.count("BIGSERIAL") == 4
