"""What several folders of tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import configuration

from tests.figures import figure, pytest_terminal_summary
from tests.postgresql import Server

# With everything else that is made.
configuration.set_hypothesis_home_dir(Path(__file__).parents[1] / ".ivr" / "cache" / "hypothesis")
# A suite that is run by several test files says as much as they do when it fails.
pytest.register_assert_rewrite("tests.contract.leg")
# How long an example takes says how busy the machine is, not whether the program is right.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# As in the engine (``bootstrap.start``): what is loaded stays and need not be looked through again and again.
gc.set_threshold(20_000, 20, 50)

__all__ = ["figure", "postgresql", "pytest_terminal_summary"]


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One for the whole session, started when first asked for; each test makes a database of its own."""
    with Server() as server:
        yield server
