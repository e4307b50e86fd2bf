"""A real Asterisk for the tests in this folder; see ``scripts/stack`` for what it offers."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from scripts.stack import Asterisk, Ports, from_environment
from tests.integration import engine
from tests.integration.engine import House
from tests.integration.short_fallback import SHORT_TEXTS

ORDER = (
    *("caller_scripts_live", "postgresql_live", "vanished_live", "sms_kill", "lines_live"),
    *("secure_lines_live", "flows_live", "fallback", "operating_live", "journey_live", "scripts_live"),
    *("crash_live", "leg_ari", "dialplan_live", "ari_calls", "in_call_live", "watchdog_live", "hang_up_live"),
)
"""Files whose tests take long begin, so that those who test side by side end together. Those with many
callers at once come one after the other, beside what is mostly waited for: no ear is deaf for want of a
processor. Others follow."""

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")
ROOM = 2**30
"""Bytes free there, for all who test side by side."""
LINES = 60
"""Of each program's log, shown with a test that failed."""
OFFER_MS = 2000
"""A new call is offered for so long: engines that share the machine with many others are kept waiting longer
than half a second at times, and whom the fallback answers is behind the times that SIPp goes by alone."""
LAST_CALL_S = 15.0
"""A caller who hung up as the last test ended is gone by then; SIPp may wait for an answer to its BYE."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    turns = {HERE / f"test_{name}.py": turn for turn, name in enumerate(ORDER)}
    items.sort(key=lambda item: turns.get(item.path, len(turns) if HERE in item.path.parents else -1))


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every Asterisk of this run plays from: a prompt is rendered once, whoever needs it first."""
    run = tmp_path_factory.getbasetemp()
    # Those who test side by side each have a folder of their own in that of the run.
    return (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "sounds"


@pytest.fixture(scope="session", autouse=True)
def states_in_memory() -> Iterator[None]:
    """Where there is room: no call and no registration waits for a disk that others keep busy."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="ivr-engine-tests-", dir=MEMORY) as folder:
        engine.in_memory = Path(folder)
        yield
        engine.in_memory = None


@pytest.fixture(scope="session")
def asterisk(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Iterator[Asterisk]:
    """One Asterisk for the whole session: a test that kills it restarts it."""
    named = from_environment()
    if named is not None:
        yield named
        return
    ports = Ports.free()
    with Asterisk.start(
        folder=_folder("asterisk", tmp_path_factory),
        ports=ports,
        sounds_dir=sounds,
        fallback_texts=SHORT_TEXTS,
        offer_ms=OFFER_MS,
    ) as started:
        yield started


@pytest.fixture
def own_asterisk(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Iterator[Asterisk]:
    """An Asterisk for one test alone, with a fallback that ends soon (6 s until the goodbye)."""
    folder, ports = _folder("own-asterisk", tmp_path_factory), Ports.free()
    with Asterisk.start(folder=folder, ports=ports, sounds_dir=sounds, fallback_limit_s=6) as started:
        yield started


@pytest.fixture(autouse=True, scope="module")
def no_call_is_left(asterisk: Asterisk) -> Iterator[None]:
    """Every file leaves Asterisk as empty as it found it: a call left behind would disturb the next one."""
    yield
    deadline = time.monotonic() + LAST_CALL_S
    while left := _calls(asterisk):
        assert time.monotonic() < deadline, f"calls left behind: {left}"
        time.sleep(0.1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What failed once and not again is found in what the programs said then."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, given in item.funcargs.items():
            if isinstance(given, House):
                report.sections.append((f"the engine's log ({name})", _end(given.log())))
            if isinstance(given, Asterisk):
                report.sections.append((f"Asterisk's log ({name})", _end(given.log())))
    return report


def _folder(name: str, factory: pytest.TempPathFactory) -> Path:
    if engine.in_memory is None:
        return factory.mktemp(name)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=engine.in_memory))


def _end(log: str) -> str:
    return "\n".join(log.splitlines()[-LINES:])


def _calls(asterisk: Asterisk) -> list[str]:
    """Without the channels that Asterisk plays music from into a bridge: those stay with their bridge."""
    channels = asterisk.cli("core show channels concise").splitlines()
    return [line for line in channels if line and not line.startswith("Announcer/")]
