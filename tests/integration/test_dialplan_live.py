"""A real Asterisk's own dialplan: ``AGI()`` to the engine, then ``Queue()``, with and without an engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr_engine.sipp.ears import MUSIC
from ivr_engine.sipp.process import Server
from scripts.stack import Asterisk
from tests.integration.engine import House, example_site, free_tcp_port, short_prompts
from tests.integration.pbx import AMI_PASSWORD, Pbx, pbx
from tests.sipp.api import api_of, until
from tests.sipp.stage import Caller, Stage, library_of

DIALPLAN = """
exten => _[+0-9]!,1,AGI(agi://127.0.0.1:{port}/wait-sms?queue=support&key={secret})
 same => n,Log(NOTICE,visited ${{CALLERID(num)}} ${{AGISTATUS}} ${{IVR_WAIT_SMS_STATUS}} "${{IVR_WAIT_SMS_REASON}}" ${{IVR_WAIT_SMS_POSITION}} "${{IVR_WAIT_SMS_MESSAGE_ID}}")
 same => n,Answer()
 same => n,Queue(support)

[agents]
exten => s,1,Answer()
 same => n,Wait(60)
"""  # noqa: E501
SECRET = "0123456789abcdef"
SHORT = "For a text, press 1. For none, press 2. Write STOP to end it."


@dataclass
class Scene:
    own: Pbx
    house: House
    stage: Stage

    async def told(self, caller: Caller) -> list[str]:
        """What stands in the caller's variables: AGISTATUS, status, reason, position, message."""

        async def look() -> list[str] | None:
            found = re.search(rf"visited {re.escape(caller.number)} (.*)\n", self.own.asterisk.log())
            return re.findall(r'"[^"]*"|\S+', found[1]) if found else None

        return [word.strip('"') for word in await until(look, what=f"{caller.number} has gone on", within=25)]

    async def waits(self, caller: Caller) -> None:
        """In ``Queue()``, and hears its music."""
        await caller.hears(MUSIC)
        assert "PJSIP/" in await asyncio.to_thread(self.own.asterisk.cli, "queue show support")


@pytest.fixture(scope="module")
def places(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pbx, House]]:
    port, folder = free_tcp_port(), tmp_path_factory.mktemp("pbx")
    with pbx(folder, DIALPLAN.format(port=port, secret=SECRET), asterisk.sounds_dir) as own:
        variables = {
            "IVR_AGI_PORT": str(port),
            "IVR_AGI_SECRET": SECRET,
            "IVR_AGI_AMI_PORT": str(own.ami_port),
            "IVR_AGI_AMI_USER": "pbx",
            "IVR_AGI_AMI_PASSWORD": AMI_PASSWORD,
        }
        texts = short_prompts(folder / "prompts", consent=SHORT, sms_sent="It is sent.")
        house = House(own.asterisk, folder / "house", example_site(), prompts=texts, variables=variables)
        with house:
            yield own, house


@asynccontextmanager
async def scene(places: tuple[Pbx, House], folder: Path) -> AsyncGenerator[Scene]:
    own, house = places
    library = await library_of(house.config, house.prompts, house.sounds)
    async with api_of(house.url, house.token) as api:
        server = Server(own.asterisk.sip_port)
        yield Scene(
            own,
            house,
            Stage(server=server, api=api, library=library, folder=folder, number="700", agents=[]),
        )


async def test_every_answer_leads_into_the_queue(places: tuple[Pbx, House], tmp_path: Path) -> None:
    async with scene(places, tmp_path) as on, on.stage.crowd(4) as (allows, refuses, silent, leaves):

        async def allow() -> None:
            await allows.hears("consent")
            await allows.presses("1")
            await allows.hears("sms_sent")
            status = await on.told(allows)
            message = await allows.gets_one_sms()
            assert status == ["SUCCESS", "allowed", "", "1", message["id"]]
            await on.waits(allows)
            await allows.call_is(state="dialplan", wait_time_sms_status="allowed", position=None)

        async def refuse() -> None:
            await refuses.hears("consent")
            await asyncio.sleep(0.5)
            await refuses.presses("2")
            assert (await on.told(refuses))[:2] == ["SUCCESS", "denied"]
            await on.waits(refuses)

        async def say_nothing() -> None:
            await silent.hears("consent", whole=True)
            assert (await on.told(silent))[:2] == ["SUCCESS", "no_response"]
            await on.waits(silent)

        async def leave() -> None:
            await leaves.hears("consent")
            leaves.leaves()
            await leaves.call_is(state="ended", end_reason="caller_hung_up")

        await asyncio.gather(allow(), refuse(), say_nothing(), leave())
        for caller in (refuses, silent, leaves):
            await caller.got_no_sms()

        # An agent of the PBX answers the first of them, who has written meanwhile.
        await on.stage.api.answer_from_handset(allows.number, "It is the red one")
        await asyncio.to_thread(on.own.asterisk.cli, "queue add member Local/s@agents to support")
        await until(lambda: on.stage.api.tickets(allows.number), what="the agent has a ticket")
        await asyncio.to_thread(on.own.asterisk.cli, "queue remove member Local/s@agents from support")
        await on.stage.api.answer_from_handset(allows.number, "With a crack")
        [ticket] = await on.stage.api.tickets(allows.number)

        async def said() -> set[str]:
            comments = (await on.stage.api.get(f"tickets/{ticket['id']}"))["comments"]
            return {comment["text"] for comment in comments}

        both = {"It is the red one", "With a crack"}
        await until(said, lambda texts: both <= texts, what="both texts are on the ticket")
        for caller in (allows, refuses, silent):
            caller.leaves()
        for caller in (allows, refuses, silent):
            await caller.call_is(state="ended", end_reason="caller_hung_up")


async def test_an_engine_that_is_killed_loses_nobody(places: tuple[Pbx, House], tmp_path: Path) -> None:
    async with scene(places, tmp_path) as on, on.stage.crowd(3) as (stays, goes, later):
        await asyncio.gather(*(caller.hears("consent") for caller in (stays, goes, later)))
        await later.presses("2")
        await on.told(later)
        await asyncio.to_thread(on.house.kill_engine)
        for caller in (stays, goes):
            assert (await on.told(caller))[:3] == ["SUCCESS", "failed", "engine_gone"]
        await on.waits(stays)
        goes.leaves()
        async with on.stage.caller("led") as nobody_there:
            assert (await on.told(nobody_there))[0] == "FAILURE"
            await on.waits(nobody_there)
            nobody_there.leaves()
        await asyncio.to_thread(on.house.start_engine)
        await goes.call_is(state="ended", end_reason="gone_during_outage")
        await stays.call_is(state="dialplan", wait_time_sms_rounds=0)
        await later.call_is(state="dialplan", wait_time_sms_status="denied")
        for caller in (stays, later):
            caller.leaves()
            await caller.call_is(state="ended", end_reason="caller_hung_up")
