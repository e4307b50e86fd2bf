"""The engine on PostgreSQL with callers on the line of a real Asterisk: the journey, a kill, and a database
that goes away in mid-call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE
from ivr_engine.sipp.process import Server as SipServer
from scripts.stack import Asterisk
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import STARTER, House, example_site, with_queue
from tests.integration.short_fallback import short_fallback
from tests.postgresql import Server
from tests.sipp.api import Item, api_of, until
from tests.sipp.stage import Caller, Stage, both_hear_each_other, library_of

NUMBER, QUEUE, AGENT = "7300", "shared", "shared-1"
AWAY_S = 30.0
MOST_SILENCE_S = 1.0


@pytest.fixture(scope="module")
def house(
    asterisk: Asterisk, postgresql: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    site = example_site()
    with_queue(site, QUEUE, NUMBER, agents=1, first_announcement=0, announce_position="no")
    folder = tmp_path_factory.mktemp("postgresql")
    with (
        postgresql.database() as url,
        House(asterisk, folder / "house", site, database_url=url) as house,
    ):
        yield house


@asynccontextmanager
async def staged(house: House, folder: Path) -> AsyncGenerator[Stage]:
    others = {"fallback/wait": short_fallback() / "wait.alaw"}
    library = await library_of(house.config, house.prompts, house.sounds, others)
    async with api_of(house.url, house.token) as api:
        server = SipServer(house.asterisk.sip_port)
        yield Stage(server=server, api=api, library=library, folder=folder, number=NUMBER, agents=[AGENT])
        await nothing_left(house.asterisk)


async def test_consent_a_kill_an_answer_and_the_ticket(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path) as stage, stage.caller("led") as caller:
        await caller.hears("consent")
        await caller.presses("1")
        await caller.hears("sms_sent")
        before = await caller.call_is(wait_time_sms_status="allowed", state="waiting", position=1)
        await caller.gets_one_sms()

        await asyncio.to_thread(house.kill_engine)
        await asyncio.to_thread(house.start_engine)
        after = await caller.call_is(state="waiting", position=1)
        assert (after["id"], after["entered_at"]) == (before["id"], before["entered_at"])
        await stage.api.answer_from_handset(caller.number, "It is the red one")

        async with stage.phone("agent-answers", AGENT) as phone, stage.signed_in(AGENT):
            await phone.answers()
            await caller.call_is(state="talking", agent=AGENT)
            await both_hear_each_other(caller, phone)
            await _ticket_says(caller, "It is the red one")
            await caller.gets_one_sms()
            await phone.hangs_up()
            await caller.is_hung_up_on()
        await caller.call_is(state="ended", end_reason="agent_hung_up")
        assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()


async def test_stopped_upgraded_and_started_with_a_caller_waiting(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path) as stage, stage.caller("led") as caller:
        await caller.hears("consent")
        before = await caller.call_is(position=1)
        await asyncio.to_thread(house.stop_engine)
        for command in (("backup", str(tmp_path)), ("upgrade",)):
            done = await asyncio.to_thread(house.command, "db", *command)
            assert (done.returncode, done.stderr) == (0, ""), done
        await asyncio.to_thread(house.start_engine)
        after = await caller.call_is(position=1)
        assert (after["id"], after["entered_at"]) == (before["id"], before["entered_at"])
        assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
        await caller.hangs_up()


async def test_the_database_goes_away_in_mid_call(house: House, postgresql: Server, tmp_path: Path) -> None:
    async with staged(house, tmp_path) as stage, stage.caller("led") as talking:
        async with stage.phone("agent-answers", AGENT) as phone, stage.signed_in(AGENT):
            await phone.answers()
            await talking.call_is(state="talking")
            async with stage.caller("led") as waiting:
                await waiting.hears("consent")
                log_before = len(house.log())
                try:
                    await _without_database(house, postgresql, stage, waiting)
                finally:
                    postgresql.start()
                await until(stage.api.healthy, what="calls can be taken again")
                await both_hear_each_other(talking, phone)

                await waiting.hears("consent", within=30)
                await waiting.got_no_sms()
                await waiting.presses("1")
                await waiting.hears("sms_sent")
                await waiting.gets_one_sms()
                assert waiting.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, waiting.ear.story()
                assert "fallback/wait" not in waiting.ear.heard(), waiting.ear.story()
                await waiting.hangs_up()
            await talking.hangs_up()
            await phone.is_hung_up_on()
        _told_once(house.log()[log_before:])


async def _without_database(house: House, postgresql: Server, stage: Stage, waiting: Caller) -> None:
    """Nothing is promised to who is there, and who comes is kept by the fallback until it is back."""
    postgresql.crash()
    await waiting.presses("1")
    await waiting.hears(MUSIC)
    store = await until(
        lambda: _store_check(house), lambda check: not check["ok"], what="health says no", within=20
    )
    assert store["needed"]
    assert "store cannot be written" in store["detail"]
    async with stage.caller("led") as late:
        await late.ear.hears("fallback/wait")
        await asyncio.sleep(AWAY_S)  # the outage itself
        # It ends with the thread that started it; in this one nothing would be heard meanwhile.
        await asyncio.wrap_future(STARTER.submit(postgresql.start))
        await late.hears("consent", within=30)
        await late.hangs_up()
    assert "en/sms_sent" not in waiting.ear.heard(), waiting.ear.story()


def _told_once(log: str) -> None:
    events = [json.loads(line).get("event") for line in log.splitlines() if line.startswith("{")]
    assert [events.count(name) for name in ("store.lost", "store.back")] == [1, 1], events


async def _store_check(house: House) -> Item:
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/health") as answer:
        checks = (await answer.json())["checks"]
    return next(check for check in checks if check["name"] == "store")


async def _ticket_says(caller: Caller, text: str) -> None:
    async def comments() -> list[str]:
        tickets = await caller.stage.api.tickets(caller.number)
        return [comment["text"] for ticket in tickets for comment in ticket["comments"]]

    await until(comments, lambda found: text in found, what=f"a ticket with {text!r}")
