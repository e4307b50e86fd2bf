"""The engine killed, ended and started again with callers on the line of a real Asterisk.

What callers hear comes from their RTP; what the engine knows from its API, before and after; what was sent
from the SMS simulator's own ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE
from ivr_engine.sipp.process import Server
from ivr_engine.sipp.sounds import Kind
from scripts.stack import Asterisk
from scripts.stack.fallback import fallback_sounds
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import STOP_S, House, example_site, short_prompts, with_queue
from tests.integration.short_fallback import short_fallback
from tests.sipp.api import Api, Item, api_of, until
from tests.sipp.stage import Caller, Stage, both_hear_each_other, library_of

CALLERS = 50
ADOPTED_S = 10.0
"""Everybody is in the hands of the new engine, counted from when it was started."""
OUTAGE_S = 3.0
INTERVAL_S = 30.0
ANNOUNCED_WITHIN_S = 2.0
MOST_SILENCE_S = 1.0

CONSENT = "Press 1 for a text message, 2 for none. To withdraw, answer stop."
THIRD_VOICE = "a third voice"
"""To be heard where neither the caller's nor the agent's will do: it lasts eight seconds."""
FAULTY = Path(__file__).with_name("faulty_engine.py")


@pytest.fixture(scope="module")
def house(asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    site = example_site()
    # The consent message at once, so that everybody has answered (or not) before the engine dies.
    with_queue(
        site,
        "crowd",
        "7200",
        announcement_interval=INTERVAL_S,
        first_announcement=0,
        announce_position="no",
    )
    with_queue(site, "stopping", "7201", agents=2, ring_time="60")
    with_queue(site, "faulty", "7202")
    with_queue(site, "closing", "7203")
    folder = tmp_path_factory.mktemp("crash")
    prompts = short_prompts(folder / "prompts", consent=CONSENT, sms_sent="Thank you. Look at your phone.")
    with House(asterisk, folder / "house", site, prompts=prompts, program=(str(FAULTY),)) as house:
        yield house


@asynccontextmanager
async def staged(
    house: House, folder: Path, number: str, agents: Sequence[str] = ()
) -> AsyncGenerator[Stage]:
    """The house's stage at ``number``; afterwards no channel and no talk is left in Asterisk."""
    others = {f"fallback/{name}": short_fallback() / f"{name}.alaw" for name in ("wait", "goodbye")}
    others[THIRD_VOICE] = fallback_sounds() / "wait.alaw"
    library = await library_of(house.config, house.prompts, house.sounds, others)
    async with api_of(house.url, house.token) as api:
        yield Stage(
            server=Server(house.asterisk.sip_port),
            api=api,
            library=library,
            folder=folder,
            number=number,
            agents=agents,
        )
        await nothing_left(house.asterisk)


async def test_killed_with_fifty_callers_waiting(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7200") as stage, stage.crowd(CALLERS) as crowd:
        allow, refuse, leave, stay = crowd[:10], crowd[10:20], crowd[20:25], crowd[25:]
        # At the same time: an answer counts until ten seconds after the message.
        await asyncio.gather(
            *(_answers(caller, "1") for caller in allow), *(_answers(caller, "2") for caller in refuse)
        )
        await asyncio.gather(*(caller.call_is(wait_time_sms_status="no_response") for caller in leave + stay))
        before = await _by_caller(stage.api)
        assert len(before) == CALLERS

        async with stage.crowd(5) as in_message:
            await asyncio.gather(*(caller.hears("consent") for caller in in_message))
            for caller in in_message:
                await caller.ear.presses("1")
            await asyncio.to_thread(house.kill_engine)
            for caller in leave:
                caller.leaves()
            await asyncio.sleep(OUTAGE_S)
            started = time.time()
            await asyncio.to_thread(house.start_engine)
            after = await until(
                lambda: _by_caller(stage.api),
                lambda calls: len(calls) == CALLERS - len(leave) + len(in_message),
                what="who left is ended, everybody else is there",
            )
            looked_at = time.time()
            assert await _all_adopted_at(stage.api, after) - started < ADOPTED_S

            _same_as_before(before, after, looked_at, left={caller.number for caller in leave})
            for caller in leave:
                await caller.call_is(state="ended", end_reason="gone_during_outage")
            await asyncio.gather(*(_sms_as_promised(caller) for caller in in_message))
            for caller in in_message:
                caller.leaves()

        await asyncio.gather(*(caller.gets_one_sms() for caller in allow))
        await asyncio.gather(*(caller.got_no_sms() for caller in refuse + stay))
        await _asked_again_on_time(stay[:3], before)
        for caller in allow + refuse + stay:
            assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
            caller.leaves()
        await crowd[0].sipp.done()
        await until(lambda: _by_caller(stage.api), lambda calls: not calls, what="every call is ended")


async def test_whoever_comes_after_everybody_has_left_hears_music(house: House, tmp_path: Path) -> None:
    """Asterisk ends the music of a holding bridge with its last caller."""
    async with staged(house, tmp_path, "7201") as stage:
        for _ in range(2):
            async with stage.caller("led") as caller:
                await caller.hears(MUSIC)
                # With the first announcement it would come back.
                assert not [one for one in caller.ear.segments if one.kind is Kind.CLIP], caller.ear.story()
                await caller.hangs_up()
            await nothing_left(house.asterisk)


async def test_stopped_with_callers_waiting_ringing_and_talking(house: House, tmp_path: Path) -> None:
    agents = ["stopping-1", "stopping-2"]
    async with staged(house, tmp_path, "7201", agents) as stage, stage.crowd(10) as crowd:
        await asyncio.gather(*(caller.hears(MUSIC) for caller in crowd))
        # Also the fallback has music.
        await until(lambda: _by_caller(stage.api), lambda calls: len(calls) == len(crowd), what="all wait")
        first = (await _by_caller(stage.api, position=1)).popitem()[0]
        talking = next(caller for caller in crowd if caller.number == first)
        waiting = [caller for caller in crowd if caller is not talking]
        async with (
            stage.phone("agent-answers", "stopping-1") as phone,
            stage.phone("agent-no-answer", "stopping-2") as bell,
            stage.signed_in(*agents),
        ):
            await phone.answers()
            await talking.call_is(state="talking")
            await both_hear_each_other(talking, phone)
            await bell.rings()
            before = await _by_caller(stage.api)
            assert {call["state"] for call in before.values()} == {"talking", "ringing", "waiting"}

            assert await asyncio.to_thread(house.stop_engine) < STOP_S
            await asyncio.sleep(OUTAGE_S)
            await asyncio.to_thread(house.start_engine)

            after = await _by_caller(stage.api)
            assert {n: _place(c) for n, c in after.items()} == {n: _place(c) for n, c in before.items()}
            assert (await stage.api.agent("stopping-1"))["state"] == "on_contact"
            talking.ear.hushes()
            talking.ear.speaks(THIRD_VOICE)
            await phone.ear.hears(THIRD_VOICE)
            for caller in waiting:
                assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
                caller.leaves()
            await bell.stops_ringing()
            await talking.hangs_up()
            await phone.is_hung_up_on()
        await talking.sipp.done()


async def test_a_bug_in_a_call_sends_the_caller_to_the_fallback_and_back(
    house: House, tmp_path: Path
) -> None:
    async with staged(house, tmp_path, "7202") as stage, stage.caller("led") as caller:
        before = await caller.call_is(state="waiting", position=1)
        await caller.ear.hears("fallback/wait", whole=True, within=20)
        await caller.hears(MUSIC)
        # faulty_engine.py makes the first announcement of each call fail; the second is said.
        assert await caller.hears_position(within=20) == 1
        after = await caller.call_is(state="waiting", position=1)
        assert (after["id"], after["entered_at"]) == (before["id"], before["entered_at"])
        kinds = [event["kind"] for event in await stage.api.timeline(after["id"])]
        assert kinds.count("call_fell_back") == 1, kinds
        assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
        await caller.hangs_up()


async def test_a_queue_taken_out_while_a_caller_waits_in_it(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7203") as stage, stage.caller("led") as caller:
        await caller.hears(MUSIC)
        await caller.call_is(state="waiting")
        file = house.config / "site.yaml"
        before = file.read_text()
        site = yaml.load(before, yaml.BaseLoader)
        del site["queues"]["closing"], site["numbers"]["7203"]
        await asyncio.to_thread(house.stop_engine)
        try:
            file.write_text(yaml.safe_dump(site, allow_unicode=True))
            await asyncio.to_thread(house.start_engine)
            await caller.hears("apology", whole=True)
            await caller.is_hung_up_on()
            await caller.call_is(state="ended", end_reason="queue_removed")
            assert "fallback/wait" not in caller.ear.heard(), caller.ear.story()
            assert await _counted(house, "call.queue_removed") == 1
        finally:
            file.write_text(before)
            await asyncio.to_thread(house.stop_engine)
            await asyncio.to_thread(house.start_engine)


async def test_killed_while_a_phone_rings_and_while_two_talk(house: House, tmp_path: Path) -> None:
    async with staged(house, tmp_path, "7201", ["stopping-1"]) as stage, stage.caller("led") as caller:
        await caller.hears(MUSIC)
        async with stage.phone("agent-answers", "stopping-1") as phone, stage.signed_in("stopping-1"):
            await phone.rings()
            await asyncio.to_thread(house.kill_engine)
            await phone.answers()  # with no engine there
            await asyncio.to_thread(house.start_engine)
            await caller.call_is(state="talking", agent="stopping-1")
            await both_hear_each_other(caller, phone)
            await asyncio.to_thread(house.kill_engine)
            caller.ear.speaks(THIRD_VOICE)
            await phone.ear.hears(THIRD_VOICE)
            await asyncio.to_thread(house.start_engine)
            await caller.call_is(state="talking", agent="stopping-1")
            await phone.hangs_up()
            await caller.is_hung_up_on()
            await caller.call_is(state="ended", end_reason="agent_hung_up")


async def _answers(caller: Caller, key: str) -> None:
    await caller.hears("consent")
    await caller.presses(key)
    status = {"1": "allowed", "2": "denied"}[key]
    await caller.call_is(wait_time_sms_status=status, state="waiting")


async def _by_caller(api: Api, **wanted: object) -> dict[str, Item]:
    calls = await api.open_calls()
    return {c["caller"]: c for c in calls if all(c[name] == value for name, value in wanted.items())}


async def _all_adopted_at(api: Api, calls: dict[str, Item]) -> float:
    """When the last of them was, by the engine's own record."""

    async def adopted() -> list[float]:
        timelines = await asyncio.gather(*(api.timeline(call["id"]) for call in calls.values()))
        each = [[_at(e["at"]) for e in line if e["kind"] == "call_adopted"] for line in timelines]
        return [times[0] for times in each if times]

    return max(await until(adopted, lambda times: len(times) == len(calls), what="every call is adopted"))


async def _counted(house: House, event: str) -> int:
    """How often it stands in the engine's log, where it comes a moment later."""

    async def count() -> int:
        return house.log().count(event)

    return await until(count, what=event)


def _place(call: Item) -> tuple[object, ...]:
    same = ("id", "queue", "state", "position", "entered_at", "language", "wait_time_sms_status")
    return tuple(call[name] for name in same)


def _same_as_before(
    before: dict[str, Item], after: dict[str, Item], looked_at: float, *, left: set[str]
) -> None:
    """Same order without those who left, same consents, next announcement within two seconds (unless it was
    due meanwhile)."""
    expected = sorted((c for n, c in before.items() if n not in left), key=lambda call: call["position"])
    for position, call in enumerate(expected, start=1):
        now = after[call["caller"]]
        assert _place(now) == _place({**call, "position": position})
        due = _at(call["next_announcement_at"])
        drift = _at(now["next_announcement_at"]) - due
        assert abs(drift) <= ANNOUNCED_WITHIN_S or due < looked_at, (drift, call, now)


async def _sms_as_promised(caller: Caller) -> None:
    """Pressed 1 in the very moment of the crash: an SMS if that was stored, none if it was not."""
    call = await caller.call_is()
    if call["wait_time_sms_status"] == "allowed":
        await caller.gets_one_sms()
    else:
        await caller.got_no_sms()


async def _asked_again_on_time(callers: Sequence[Caller], before: dict[str, Item]) -> None:
    """Those who never answered hear the message again when it was due before the crash."""

    async def heard_at(caller: Caller) -> float:
        await caller.hears("consent", within=5)
        again = await caller.hears("consent", within=INTERVAL_S + 15)
        return time.time() - (caller.ear.now - again.start)

    for caller, at in zip(callers, await asyncio.gather(*map(heard_at, callers)), strict=True):
        late = at - _at(before[caller.number]["next_announcement_at"])
        assert -1 < late <= ANNOUNCED_WITHIN_S, late


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
