"""Who vanishes without a BYE is noticed, in every state, and whoever is still there is left in peace.

What takes five minutes is made to take 45 s, the least there is; all cases live through it together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ivr_engine.sipp.ears import MUSIC
from ivr_engine.sipp.process import Server, Sipp
from scripts.stack import Asterisk
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import House, example_site, with_queue
from tests.integration.short_sessions import SHORTEST_S
from tests.sipp.api import Api, api_of, until
from tests.sipp.stage import AgentPhone, Caller, Stage, library_of

PROGRAM = Path(__file__).with_name("short_sessions.py")
T1_MS = 100
"""SIP's own pace; nobody answered within 64 of it (6.4 s) is nobody there. 500 outside tests."""
NOTICED_S = SHORTEST_S / 2 + 64 * T1_MS / 1000 + 10


@pytest.fixture
def house(own_asterisk: Asterisk, tmp_path: Path) -> Iterator[House]:
    site = example_site()
    with_queue(site, "waiting", "7300")
    with_queue(site, "left", "7301", agents=1)
    with_queue(site, "leaving", "7302", agents=1)
    with_queue(site, "staying", "7303", agents=1)
    _shorten(own_asterisk)
    with House(own_asterisk, tmp_path / "house", site, program=(str(PROGRAM),)) as house:
        yield house


def _shorten(asterisk: Asterisk) -> None:
    assert asterisk.folder is not None
    file = asterisk.folder / "etc" / "pjsip.conf"
    text = file.read_text()
    for before, after in (
        ("timers_sess_expires = 600\n", f"timers_sess_expires = {SHORTEST_S}\n"),
        ("type = system\n", f"type = system\ntimer_t1 = {T1_MS}\ntimer_b = {64 * T1_MS}\n"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    file.write_text(text)
    asterisk.restart()


async def test_whoever_vanishes_is_noticed_and_nobody_else(house: House, tmp_path: Path) -> None:
    library = await library_of(house.config, house.prompts, house.sounds)
    async with api_of(house.url, house.token) as api, AsyncExitStack() as stack:

        def stage(number: str, *agents: str) -> Stage:
            server = Server(house.asterisk.sip_port)
            return Stage(
                server=server, api=api, library=library, folder=tmp_path, number=number, agents=agents
            )

        async def waits() -> Caller:
            caller = await stack.enter_async_context(stage("7300").caller("led"))
            await caller.hears(MUSIC)
            return caller

        async def talks(number: str, agent: str) -> tuple[Caller, AgentPhone]:
            here = stage(number, agent)
            phone = await stack.enter_async_context(here.phone("agent-answers", agent))
            await api.sign_in(agent)
            caller = await stack.enter_async_context(here.caller("led"))
            await caller.call_is(state="talking")
            return caller, phone

        patient, vanished = await waits(), await waits()
        left, dead_phone = await talks("7301", "left-1")
        dead_caller, alone = await talks("7302", "leaving-1")
        staying, phone = await talks("7303", "staying-1")
        for sipp in (vanished.sipp, dead_phone.sipp, dead_caller.sipp):
            sipp.process.kill()

        await asyncio.gather(
            vanished.call_is(within=NOTICED_S, state="ended", end_reason="caller_hung_up"),
            left.call_is(within=NOTICED_S, state="ended", end_reason="agent_hung_up"),
            left.is_hung_up_on(within=NOTICED_S),
            dead_caller.call_is(within=NOTICED_S, state="ended", end_reason="caller_hung_up"),
            alone.sipp.logs("hung-up-on", within=NOTICED_S),
        )
        for agent in ("left-1", "leaving-1"):
            await _is_free(api, agent)
        for asked in (patient.sipp, staying.sipp, phone.sipp):
            await _was_asked(asked)
        await patient.call_is(state="waiting", position=1)
        await patient.hears(MUSIC)
        await patient.hangs_up()
        await staying.call_is(state="talking", agent="staying-1")
        await staying.hangs_up()
    await nothing_left(house.asterisk)


async def _is_free(api: Api, agent: str) -> None:
    await until(lambda: api.agent(agent), lambda it: it["state"] == "available", what=f"{agent} is free")


async def _was_asked(sipp: Sipp) -> None:
    await sipp.logs("asked", within=NOTICED_S)
    assert sipp.process.returncode is None, sipp.errors()
