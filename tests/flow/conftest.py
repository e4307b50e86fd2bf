"""The database under a flow test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.flow.databases import new_database
from tests.postgresql import Server


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    """SQLite in memory, or what ``databases.on_both`` asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    server: Server = request.getfixturevalue("postgresql")
    with ExitStack() as made:
        before = new_database.set(lambda: made.enter_context(server.tables()))
        yield
        new_database.reset(before)
