"""A call ended at the staff's word, on a real Asterisk: both phones are hung up on, the agent is free. And
how often phones in a call are asked whether they are still there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivr_engine.sipp.ears import MUSIC
from ivr_engine.sipp.process import Server
from scripts.stack import Asterisk
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import PROJECT, House, example_site, with_queue
from tests.sipp.api import Api, Item, api_of, until
from tests.sipp.stage import Caller, Stage, library_of


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    site = example_site()
    with_queue(site, "ended", "7320", agents=1)
    with House(asterisk, tmp_path_factory.mktemp("ended") / "house", site) as house:
        yield house


async def test_the_staff_ends_calls_that_wait_and_talk(house: House, tmp_path: Path) -> None:
    library = await library_of(house.config, house.prompts, house.sounds)
    async with api_of(house.url, house.token) as api:
        server = Server(house.asterisk.sip_port)
        stage = Stage(
            server=server, api=api, library=library, folder=tmp_path, number="7320", agents=["ended-1"]
        )
        async with stage.caller("led") as waiting:
            await waiting.hears(MUSIC)
            await _end(api, waiting)
        async with stage.phone("agent-answers", "ended-1") as phone, stage.signed_in("ended-1"):
            async with stage.caller("led") as talking:
                call = await talking.call_is(state="talking")
                assert "ended_by_staff" in await _command(house, "calls", "hang-up", call["id"])
                await talking.is_hung_up_on()
                await phone.sipp.logs("hung-up-on")

            async def agent() -> Item:
                return await api.agent("ended-1")

            await until(agent, lambda a: a["state"] == "available", what="the agent is free")
        await talking.call_is(state="ended", end_reason="ended_by_staff", agent="ended-1")
    await nothing_left(house.asterisk)


async def test_trunks_and_phones_are_asked_every_five_minutes(house: House) -> None:
    """What ``test_vanished_live`` makes shorter."""
    for endpoint in ("ivr-trunk", "ended-1"):

        async def told(name: str = endpoint) -> dict[str, str]:
            said = await asyncio.to_thread(house.asterisk.cli, f"pjsip show endpoint {name}")
            pairs = (line.partition(":") for line in said.splitlines())
            return {key.strip(): value.strip() for key, _, value in pairs}

        await until(
            told,
            lambda it: (it.get("timers"), it.get("timers_sess_expires")) == ("always", "600"),
            what=f"session timers of {endpoint}",
        )


async def _command(house: House, *words: str) -> str:
    """What ``ivr-engine`` says to them."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ivr_engine", *words),
        cwd=PROJECT,
        env=house.environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return said.decode()


async def _end(api: Api, caller: Caller) -> None:
    call = await caller.call_is(state="waiting")
    ended = await api.post(f"calls/{call['id']}/hang-up")
    assert (ended["state"], ended["end_reason"]) == ("ended", "ended_by_staff")
    await caller.is_hung_up_on()
