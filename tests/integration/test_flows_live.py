"""Flows on a real Asterisk: an engine killed in a menu, and callers transferred outside.

The menus themselves are among the branches of ``test_journey_live``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.sipp.ears import MUSIC
from scripts.stack import Asterisk
from tests.integration.engine import House, example_site, with_queue
from tests.integration.test_crash_live import staged
from tests.sipp.api import Item, until
from tests.sipp.stage import CALLER_VOICE, Caller, both_hear_each_other

OUTSIDE = "+4930901820"
AGENT = "outside-1"
"""The account whose endpoint stands in for a trunk."""


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    site = example_site()
    with_queue(site, "outside", "7300", agents=1)
    site["transfers"] = {"trunk": AGENT, "allow": ["+4930"]}
    site["flows"]["message"] = {
        "start": "message",
        "nodes": {"message": {"voicemail": {"then": "bye"}}, "bye": {"hang_up": {}}},
    }
    site["numbers"]["7302"] = {"flow": "message"}
    nodes: dict[str, Any] = {
        "out": {"transfer": {"number": OUTSIDE, "ring_time": 5, "otherwise": "bye"}},
        "bye": {"hang_up": {}},
    }
    site["flows"]["out"] = {"start": "out", "nodes": nodes}
    site["numbers"]["7301"] = {"flow": "out"}
    with House(asterisk, tmp_path_factory.mktemp("flows") / "house", site) as house:
        yield house


async def _in_sales_menu(caller: Caller) -> None:
    await caller.hears("choose_language")
    await caller.presses("1")
    await caller.hears("main_menu")
    await caller.presses("2")
    await caller.hears("sales_menu")


async def test_killed_in_a_menu_the_menu_goes_on(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "100") as stage, stage.caller("wait") as caller:
        await _in_sales_menu(caller)
        house.kill_engine()
        await asyncio.to_thread(house.start_engine)
        await caller.hears("sales_menu")
        await caller.call_is(state="menu", node="sales-menu")
        await caller.presses("*")
        await caller.hears("main_menu")
        await caller.presses("2")
        await caller.hears("sales_menu")
        await caller.presses("1")
        await caller.hears(MUSIC)
        await caller.call_is(state="waiting", queue="sales")
        await caller.hangs_up()


async def test_transferred_to_a_number_outside(house: House, tmp_path: Path) -> None:
    async with (
        staged(house, tmp_path, "7301") as stage,
        stage.phone("agent-answers", AGENT) as outside,
        stage.caller("wait") as caller,
    ):
        await outside.answers()
        await caller.call_is(state="transferred")
        await both_hear_each_other(caller, outside)
        await outside.hangs_up()
        await caller.is_hung_up_on(within=10)
        await caller.call_is(state="ended", end_reason="transfer_over")


async def test_nobody_answers_outside(house: House, tmp_path: Path) -> None:
    async with (
        staged(house, tmp_path, "7301") as stage,
        stage.phone("agent-no-answer", AGENT) as outside,
        stage.caller("wait") as caller,
    ):
        await outside.rings()
        await caller.hears(MUSIC)
        await caller.hears("goodbye", within=20)
        await outside.stops_ringing()
        await caller.is_hung_up_on(within=10)


async def test_a_message_outlives_engine_and_caller(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7302") as stage, stage.caller("wait") as caller:
        invitation = await caller.hears("voicemail")
        await caller.ear.hears_past(invitation)
        caller.ear.speaks(CALLER_VOICE)
        await caller.ear.listens(2.5)  # recorded from a moment after the invitation
        house.kill_engine()
        caller.leaves()
        await asyncio.to_thread(house.start_engine)

        async def on_ticket() -> list[Item]:
            return [file for ticket in await stage.api.tickets(caller.number) for file in ticket["files"]]

        [file] = await until(on_ticket, within=30, what="the message on a ticket")
        assert file["content_type"] == "audio/wav"
        assert file["size"] > 16_000
