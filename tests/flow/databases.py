"""Which database a flow test runs on: SQLite in memory; with ``on_both``, once more on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import pytest

new_database: ContextVar[Callable[[], str]] = ContextVar("new_database", default=lambda: "sqlite://")
"""Gives the URL of an empty database; set for a test by the fixture ``database``."""

on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
"""For the few tests that ask the most of the store: each takes a tenth of a second for its database."""
