"""A real Asterisk for the tests in this folder; see ``scripts/stack`` for what it offers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.stack import Asterisk, Ports, from_environment


@pytest.fixture(scope="session")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """One Asterisk for the whole session: a test that kills it restarts it."""
    named = from_environment()
    if named is not None:
        yield named
        return
    with Asterisk.start(folder=tmp_path_factory.mktemp("asterisk"), ports=Ports.free()) as started:
        yield started


@pytest.fixture
def own_asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """An Asterisk for one test alone, with a short fallback (6 s until the goodbye)."""
    folder = tmp_path_factory.mktemp("own-asterisk")
    with Asterisk.start(folder=folder, ports=Ports.free(), fallback_limit_s=6) as started:
        yield started
