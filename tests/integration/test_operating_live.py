"""What an admin does, or has to bear, while callers are on the line of a real Asterisk: a new configuration,
a bad one, too many callers, a locked database, and an engine that is to end. Nobody is dropped."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from ivr_engine.domain.records import replace
from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE
from scripts.stack import Asterisk
from tests.integration.engine import STOP_S, House, Site, example_site, short_prompts, with_queue
from tests.integration.test_crash_live import staged
from tests.sipp.api import until
from tests.sipp.stage import both_hear_each_other

OLD, NEW, AGENT = "7600", "7601", "operated-1"
MOST_SILENCE_S = 1.0
FALLBACK_S = 30.0
"""The fallback's sentence, in two languages, and its turns after it."""
CROWD = 12


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("operating")
    with House(asterisk, folder / "house", _site(), prompts=short_prompts(folder / "prompts")) as house:
        yield house


def _site(**more: Any) -> Site:
    site = example_site() | more
    with_queue(site, "operated", OLD, agents=1, first_announcement=0, announce_position="no")
    return site


async def test_a_change_reaches_new_callers_and_nobody_else(house: House, tmp_path: Path) -> None:
    async with (
        staged(house, tmp_path, OLD, [AGENT]) as stage,
        stage.caller("led") as talking,
        stage.phone("agent-answers", AGENT) as phone,
        stage.signed_in(AGENT),
    ):
        await phone.answers()
        async with stage.caller("led") as waiting:
            await waiting.hears("consent")
            before = await waiting.call_is(position=1)
            said = _site()
            said["flows"]["said"] = {
                "start": "say",
                "nodes": {
                    "say": {"play": {"prompt": "greeting", "then": "line"}},
                    "line": {"queue": {"name": "operated"}},
                },
            }
            said["numbers"][NEW] = {"flow": "said"}
            new = replace(stage, number=NEW)

            await _in_force(house, said)
            await _greeted(new.caller("led"))
            (house.config / "site.yaml").write_text("brand: Shop\n  country: [\n")
            refused = await asyncio.to_thread(house.command, "reload")
            assert refused.returncode == 1
            assert "site.yaml:2: is not valid YAML" in refused.stderr
            assert "site.yaml line 2" in (await _check(house, "configuration"))["detail"]
            await _greeted(new.caller("led"))

            await both_hear_each_other(talking, phone)
            after = await waiting.call_is(position=1, state="waiting")
            assert (after["id"], after["entered_at"]) == (before["id"], before["entered_at"])
            assert "fallback/wait" not in waiting.ear.heard()
            assert waiting.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, waiting.ear.story()
            await waiting.hangs_up()
        await talking.hangs_up()
        await phone.is_hung_up_on()


async def _greeted(calling: Any) -> None:
    async with calling as caller:
        await caller.hears("greeting")
        await caller.hears(MUSIC, "consent")
        await caller.hangs_up()


async def test_more_callers_than_it_can_carry_wait_and_are_taken(house: House, tmp_path: Path) -> None:
    await _in_force(house, _site(limits={"arrivals": 2}))
    async with staged(house, tmp_path, OLD) as stage, stage.crowd(CROWD) as crowd:
        await asyncio.gather(*(caller.hears("consent", within=FALLBACK_S) for caller in crowd))
        kept = [caller for caller in crowd if "fallback/wait" in caller.ear.heard()]
        assert 0 < len(kept) < CROWD
        assert await _left(house, "arrivals") >= len(kept)
        told = [line for line in _log(house) if line["event"] == "calls.left"]
        assert [(line["level"], line["limit"]) for line in told] == [("warning", "limits.arrivals")]

        await _in_force(house, _site(limits={"calls": CROWD}))
        async with stage.caller("led") as late:
            await late.ear.hears("fallback/wait")
            load = await _check(house, "load")
            assert (load["ok"], load["needed"]) == (False, False)
            for caller in crowd[:2]:
                await caller.hangs_up()
            await late.hears("consent", within=FALLBACK_S)
            assert (await _check(house, "load"))["ok"]
            await late.hangs_up()
        for caller in crowd[2:]:
            assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
            await caller.hangs_up()


async def test_a_locked_database_gets_no_new_callers(house: House, tmp_path: Path) -> None:
    await _in_force(house, _site())
    async with staged(house, tmp_path, OLD) as stage:
        with closing(sqlite3.connect(house.state / "ivr.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with stage.caller("led") as first:
                await until(lambda: _check(house, "store"), lambda check: not check["ok"], what="it is seen")
                async with stage.caller("led") as second:
                    await second.ear.hears("fallback/wait")
                    assert await _left(house, "store_lag") > 0
                    other.execute("ROLLBACK")
                    await first.hears("consent")
                    await second.hears("consent", within=FALLBACK_S)
                    await second.hangs_up()
                await first.hangs_up()


async def test_a_draining_engine_ends_after_its_last_call(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, OLD) as stage, stage.caller("led") as old:
        await old.hears("consent")
        drained = await asyncio.to_thread(house.command, "drain")
        assert drained.returncode == 0
        async with stage.caller("led") as new:
            await new.ear.hears("fallback/wait")
            assert (await _health(house))["status"] == "draining"
            assert house.engine is not None
            assert house.engine.poll() is None
            old.leaves()
            assert await asyncio.to_thread(house.engine.wait, STOP_S) == 0
            house.engine = None
            await asyncio.to_thread(house.start_engine)
            await new.hears("consent", within=FALLBACK_S)
            await old.call_is(state="ended", end_reason="caller_hung_up")
            await new.hangs_up()


async def _in_force(house: House, site: Site) -> None:
    (house.config / "site.yaml").write_text(yaml.safe_dump(site, allow_unicode=True))
    done = await asyncio.to_thread(house.command, "reload")
    assert (done.returncode, done.stderr) == (0, "")


async def _left(house: House, why: str) -> float:
    headers = {"Authorization": f"Bearer {house.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{house.url}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    [line] = [line for line in lines if line.startswith("ivr_offers_left_total") and f'"{why}"' in line]
    return float(line.rpartition(" ")[2])


async def _check(house: House, name: str) -> dict[str, Any]:
    [check] = [one for one in (await _health(house))["checks"] if one["name"] == name]
    return check


async def _health(house: House) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/health") as answer:
        return await answer.json()


def _log(house: House) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house.log().splitlines() if line.startswith("{")]
