"""The whole journey on a real Asterisk with real SIP and RTP, every branch of it.

All branches are played at the same time, each on a queue, a number and agents of its own; each is then a
test of its own. What is played is in ``tests/sipp/branches.py``. The callers' branches are played once
more "by hand": by SIPp alone, as a tester would run its scenarios.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ivr_engine.sipp.process import Server
from ivr_engine.sipp.sounds import Library
from scripts.stack import Asterisk
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import House, example_site, with_queue
from tests.sipp.api import Api, api_of
from tests.sipp.branches import BRANCHES, Branch
from tests.sipp.scenarios import CALLERS
from tests.sipp.stage import Stage, library_of

RING_S: Final = 4
TOGETHER_S: Final = 240.0
STAGGER_S: Final = 0.4
"""Between two branches' beginnings: SIPp's starts and agents' rings do not all fall together."""

Outcome = BaseException | None


@dataclass(frozen=True)
class Play:
    """A branch with a number and a queue of its own."""

    branch: Branch
    number: str
    by_hand: bool

    @property
    def name(self) -> str:
        return f"{self.branch.name}{'-by-hand' if self.by_hand else ''}"

    @property
    def agents(self) -> list[str]:
        return [f"{self.name}-{which}" for which in range(1, self.branch.agents + 1)]


def _plays() -> dict[str, Play]:
    led = [(branch, False) for branch in BRANCHES.values()]
    by_hand = [(branch, True) for branch in BRANCHES.values() if branch.name in CALLERS]
    plays = [Play(branch, str(7100 + n), hand) for n, (branch, hand) in enumerate([*led, *by_hand])]
    return {play.name: play for play in plays}


PLAYS: Final = _plays()


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    site = example_site()
    for play in PLAYS.values():
        with_queue(site, play.name, play.number, agents=play.branch.agents, ring_time=RING_S)
    with House(asterisk, tmp_path_factory.mktemp("house") / "house", site) as house:
        yield house


@pytest.fixture(scope="module")
def outcomes(house: House, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Every branch played; what each ended with."""
    return asyncio.run(_play_all(house, tmp_path_factory.mktemp("sipp")))


@pytest.mark.parametrize("name", PLAYS)
def test_branch(outcomes: Mapping[str, Outcome], name: str) -> None:
    if PLAYS[name].by_hand and not _sipp_can_send_keys():
        pytest.skip("SIPp sends keys by a raw socket, which needs root")
    outcome = outcomes[name]
    if outcome is not None:
        raise outcome


async def test_nothing_is_left_in_asterisk(outcomes: Mapping[str, Outcome], house: House) -> None:
    await nothing_left(house.asterisk)


async def _play_all(house: House, folder: Path) -> Mapping[str, Outcome]:
    library = await library_of(house.config, house.prompts, house.sounds)
    async with api_of(house.url, house.token) as api:
        plays = [
            _play(play, _stage(play, house, api, library, folder), after_s=number * STAGGER_S)
            for number, play in enumerate(PLAYS.values())
        ]
        ended = await asyncio.gather(*plays)
    return dict(zip(PLAYS, ended, strict=True))


def _stage(play: Play, house: House, api: Api, library: Library, folder: Path) -> Stage:
    return Stage(
        server=Server(house.asterisk.sip_port),
        api=api,
        library=library,
        folder=folder,
        number=play.number,
        agents=play.agents,
        by_hand=play.by_hand,
    )


async def _play(play: Play, stage: Stage, *, after_s: float) -> Outcome:
    await asyncio.sleep(after_s)
    try:
        async with asyncio.timeout(TOGETHER_S):
            await play.branch.play(stage)
    except Exception as error:
        return error
    return None


def _sipp_can_send_keys() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        return False
    return True
