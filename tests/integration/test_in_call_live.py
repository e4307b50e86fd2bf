"""What agents do with a caller on a real Asterisk, and who hears whom then, told from the RTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.rehearsal.voices import AGENT_VOICE, CALLER_VOICE
from ivr_engine.sipp.ears import MUSIC, Ear
from scripts.stack import Asterisk
from tests.integration.engine import House, example_site, short_prompts, with_queue
from tests.integration.test_crash_live import THIRD_VOICE, staged
from tests.sipp.api import until
from tests.sipp.stage import AgentPhone, Caller, Stage

NOTICE = "This call is recorded."
CUSTOMER = "lines-1"
"""The account whose endpoint stands in for a trunk, and its phone for the customer's."""


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    site = example_site()
    recorded = {"when": "always", "ask": "announcement"}
    with_queue(site, "desk", "7300", agents=1, recording=recorded)
    with_queue(site, "back", "7301", agents=1)
    with_queue(site, "lines", "7303", agents=1)
    site["transfers"] = {"trunk": CUSTOMER, "allow": ["+49"]}
    site["flows"]["back"] = {"start": "q", "nodes": {"q": {"queue": {"name": "desk", "callback": "yes"}}}}
    site["numbers"]["7302"] = {"flow": "back"}
    folder = tmp_path_factory.mktemp("in-call")
    words = {"recording_notice": NOTICE, "callback_this_number": "Press 1.", "callback_arranged": "Goodbye."}
    prompts = short_prompts(folder / "prompts", **words)
    with House(asterisk, folder / "house", site, prompts=prompts) as house:
        yield house


async def do(stage: Stage, caller: Caller, verb: str, **body: str) -> Any:
    call = await stage.api.call(caller.number)
    return await stage.api.post(f"calls/{call['id']}/{verb}", json=dict(body))


async def says(voice: str, speaker: Ear, *hearers: Ear) -> None:
    """One at a time: where three are mixed, two voices at once are neither."""
    for hearer in hearers:
        hearer.forgets()
    speaker.speaks(voice)
    for hearer in hearers:
        await hearer.hears(voice)
    speaker.hushes()


async def hears_no_more(hearer: Ear, voice: str) -> None:
    """For half a second; a command is answered before the telephone system has followed it."""

    async def lately() -> list[str]:
        before = len(hearer.segments)
        await hearer.listens(0.5)
        return [segment.label for segment in hearer.segments[before - 1 :]]

    await until(lately, lambda labels: voice not in labels, what=f"{voice} is no longer heard")


async def third_party_is(stage: Stage, caller: Caller, wanted: str) -> None:
    async def stage_of() -> str:
        third = (await stage.api.call(caller.number))["talk"]["third_party"]
        return third["stage"] if third else "none"

    await until(stage_of, lambda now: now == wanted, what=f"third party is {wanted}")


async def connected(caller: Caller, anna: AgentPhone) -> None:
    await anna.answers()
    await caller.call_is(state="talking")
    await says(CALLER_VOICE, caller.ear, anna.ear)
    await says(AGENT_VOICE, anna.ear, caller.ear)


async def test_hold_mute_an_attended_transfer_and_its_recordings(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7300", ["desk-1"]) as stage, stage.caller("led") as caller:
        await caller.hears("recording_notice")
        async with (
            stage.phone("agent-answers", "desk-1") as anna,
            stage.phone("agent-answers", "back-1") as ben,
            stage.signed_in("desk-1", "back-1"),
        ):
            await connected(caller, anna)
            await do(stage, caller, "hold")
            await caller.hears(MUSIC)
            await do(stage, caller, "resume")
            await says(AGENT_VOICE, anna.ear, caller.ear)
            await do(stage, caller, "mute")
            anna.ear.speaks(AGENT_VOICE)
            await says(CALLER_VOICE, caller.ear, anna.ear)
            await hears_no_more(caller.ear, AGENT_VOICE)
            caller.ear.forgets()
            await do(stage, caller, "unmute")
            await caller.ear.hears(AGENT_VOICE)
            anna.ear.hushes()

            await do(stage, caller, "consult", agent="back-1")
            await caller.hears(MUSIC)
            await ben.answers()
            await third_party_is(stage, caller, "private")
            await says(AGENT_VOICE, anna.ear, ben.ear)
            await says(THIRD_VOICE, ben.ear, anna.ear)
            await asyncio.to_thread(house.kill_engine)
            await asyncio.to_thread(house.start_engine)
            await caller.call_is(state="talking", agent="desk-1")
            await do(stage, caller, "complete")
            await anna.is_hung_up_on()
            await says(THIRD_VOICE, ben.ear, caller.ear)
            await says(CALLER_VOICE, caller.ear, ben.ear)
            await ben.hangs_up()
            await caller.is_hung_up_on()
        call = await caller.call_is(state="ended", agent="back-1")

        async def kept() -> list[dict[str, Any]]:
            return (await stage.api.get(f"calls/{call['id']}/recordings"))["items"]

        made = await until(
            kept,
            lambda rows: all(r["status"] in ("kept", "empty") for r in rows),
            what="recordings",
            within=30,
        )
        assert [r["agent"] for r in made] == ["desk-1", "desk-1", "back-1"], made


async def test_a_supervisor_listens_whispers_and_joins(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7300", ["desk-1"]) as stage, stage.caller("led") as caller:
        async with (
            stage.phone("agent-answers", "desk-1") as anna,
            stage.phone("agent-answers", "back-1") as ben,
            stage.signed_in("desk-1", "back-1"),
        ):
            await connected(caller, anna)
            await do(stage, caller, "listen", agent="back-1", mode="listen")
            await ben.answers()
            await says(CALLER_VOICE, caller.ear, anna.ear, ben.ear)
            await says(AGENT_VOICE, anna.ear, caller.ear, ben.ear)
            await do(stage, caller, "listen", agent="back-1", mode="whisper")
            before = len(caller.ear.heard())
            anna.ear.forgets()
            ben.ear.speaks(THIRD_VOICE)
            await anna.ear.hears(MUSIC)  # a sound: mixed in by Asterisk it is no longer the same samples
            ben.ear.hushes()
            assert not {THIRD_VOICE, MUSIC} & set(caller.ear.heard()[before:]), caller.ear.story()
            await says(CALLER_VOICE, caller.ear, anna.ear, ben.ear)
            await do(stage, caller, "listen", agent="back-1", mode="barge")
            await says(THIRD_VOICE, ben.ear, anna.ear, caller.ear)
            await says(CALLER_VOICE, caller.ear, anna.ear, ben.ear)
            await caller.hangs_up()
            await anna.is_hung_up_on()
            await ben.is_hung_up_on()
        await caller.call_is(state="ended")


async def test_three_together(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7300", ["desk-1"]) as stage, stage.caller("led") as caller:
        async with (
            stage.phone("agent-answers", "desk-1") as anna,
            stage.phone("agent-answers", "back-1") as ben,
            stage.signed_in("desk-1", "back-1"),
        ):
            await connected(caller, anna)
            await do(stage, caller, "consult", agent="back-1")
            await ben.answers()
            await third_party_is(stage, caller, "private")
            await do(stage, caller, "conference")
            await says(CALLER_VOICE, caller.ear, anna.ear, ben.ear)
            await says(AGENT_VOICE, anna.ear, caller.ear, ben.ear)
            await says(THIRD_VOICE, ben.ear, caller.ear, anna.ear)
            await anna.hangs_up()
            await caller.call_is(agent="back-1")
            await says(THIRD_VOICE, ben.ear, caller.ear)
            await caller.hangs_up()
            await ben.is_hung_up_on()
        await caller.call_is(state="ended")
