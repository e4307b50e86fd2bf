"""Every branch of the journey, as what a tester does and checks. Read ``stage`` first.

The same functions run in the runner (``python -m tests.sipp``, against the example site) and in the tests
(all at once, each on a queue of its own). A branch that returns has passed.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ivr_engine.domain.records import replace
from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE
from ivr_engine.sipp.sounds import Segment
from tests.sipp.api import Item, until
from tests.sipp.stage import CALLER_VOICE, AgentPhone, Caller, Stage, both_hear_each_other

MOST_SILENCE_S: Final = 1.0
"""A caller hears no longer silence than this, whatever happens."""
RING_STOPS_S: Final = 1.0
WAV_BYTES_S: Final = 16_000
"""Of a recorded message: 8000 samples of two bytes."""
TO_TEN_SECONDS_S: Final = 30.0
"""Longer than the consent message and the ten seconds after it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """``agents``: how many of the queue's agents it needs; with any it wants the queue for itself."""

    name: str
    what: str
    play: Callable[[Stage], Awaitable[None]]
    agents: int = 0


BRANCHES: Final[dict[str, Branch]] = {}

Play = Callable[[Stage], Awaitable[None]]


def branch(name: str, *, agents: int = 0) -> Callable[[Play], Play]:
    """Registers a branch; its docstring's first line says what it is about."""

    def register(play: Play) -> Play:
        what = (play.__doc__ or "").strip().splitlines()[0].rstrip(".")
        BRANCHES[name] = Branch(name, what, play, agents)
        return play

    return register


# ── what the caller says to the consent message ──────────────────────────────────────────────────


@branch("press-1")
async def allow_during_message(stage: Stage) -> None:
    """1 during the message: SMS sent once, said so, back to the music at the same place."""
    async with stage.caller("press-1") as caller:
        await _hears_consent(caller)
        await caller.presses("1")
        await caller.hears("sms_sent", whole=True)
        call = await caller.call_is(wait_time_sms_status="allowed", state="waiting")
        await caller.hears(MUSIC)
        sms = await caller.gets_one_sms()
        assert sms["call_id"] == call["id"], sms
        await _one_consent(caller, "allowed", "1")
        assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
        await caller.hangs_up()
        await caller.gets_one_sms()


@branch("press-1-after")
async def allow_after_message(stage: Stage) -> None:
    """1 in the ten seconds after the message counts as well."""
    async with stage.caller("press-1-after") as caller:
        await _hears_consent(caller, whole=True)
        await caller.hears(MUSIC)
        await caller.presses("1")
        await caller.hears("sms_sent")
        await caller.call_is(wait_time_sms_status="allowed")
        await caller.gets_one_sms()
        await caller.hangs_up()


@branch("press-2")
async def refuse(stage: Stage) -> None:
    """2: refused, no SMS, not asked again in the next round."""
    async with stage.caller("press-2") as caller:
        consent = await _hears_consent(caller)
        await caller.presses("2")
        await caller.ear.hears_past(consent)
        await caller.call_is(wait_time_sms_status="denied", state="waiting")
        await _one_consent(caller, "denied", "2")
        if not stage.by_hand:
            await caller.hears_position(within=20)
            await caller.hears(MUSIC)
        assert caller.ear.heard().count(consent.label) == 1, caller.ear.story()
        await caller.got_no_sms()
        await caller.hangs_up()


@branch("press-other")
async def wrong_key_once(stage: Stage) -> None:
    """A wrong key: "wrong number selected", the message again, then 1 counts."""
    async with stage.caller("press-other") as caller:
        await _hears_consent(caller)
        await caller.presses("5")
        await caller.hears("wrong_number", whole=True)
        await caller.hears("consent")
        await caller.presses("1")
        await caller.hears("sms_sent")
        await caller.call_is(wait_time_sms_status="allowed")
        await caller.gets_one_sms()
        await caller.hangs_up()


@branch("press-other-4")
async def wrong_key_four_times(stage: Stage) -> None:
    """Four wrong keys: the message comes again three times, then it is as if nothing was pressed."""
    async with stage.caller("press-other-4") as caller:
        await _hears_consent(caller)
        for key in "50*":
            await caller.presses(key)
            await caller.hears("wrong_number", whole=True)
            await caller.hears("consent")
        await caller.presses("#")
        await caller.hears(MUSIC)
        await caller.call_is(wait_time_sms_status="no_response", state="waiting")
        await _one_consent(caller, "no_response", "#")
        assert caller.ear.heard().count(f"{stage.language}/wrong_number") == 3, caller.ear.story()
        await caller.got_no_sms()
        await caller.hangs_up()


@branch("press-nothing")
async def no_key(stage: Stage) -> None:
    """Ten seconds of silence: no answer, music, and at the interval the message once more."""
    async with stage.caller("press-nothing") as caller:
        consent = await _hears_consent(caller, whole=True)
        await caller.call_is(wait_time_sms_status=None, state="waiting")
        call = await caller.call_is(wait_time_sms_status="no_response", within=TO_TEN_SECONDS_S)
        assert call["wait_time_sms_rounds"] == 1, call
        told = await _one_consent(caller, "no_response", None)
        ended_at = time.time() - (caller.ear.now - consent.end)
        waited_s = datetime.fromisoformat(told["at"]).timestamp() - ended_at
        assert 9.0 < waited_s < 12.0, waited_s
        await caller.hears_position(within=20)
        await caller.hears("consent")
        await caller.got_no_sms()
        assert caller.ear.longest(SILENCE, NOTHING) < MOST_SILENCE_S, caller.ear.story()
        await caller.hangs_up()


@branch("press-in-music")
async def key_in_music(stage: Stage) -> None:
    """1 during the music counts for nothing, also later when the message comes."""
    async with stage.caller("press-in-music") as caller:
        await caller.hears(MUSIC)
        await caller.presses("1")
        await caller.hears_position()
        await caller.hears("consent", whole=True)
        await caller.call_is(wait_time_sms_status=None, state="waiting")
        await caller.got_no_sms()
        await caller.hangs_up()


@branch("hidden-number")
async def hidden_number(stage: Stage) -> None:
    """A caller who hides the number hears the position and is not offered an SMS."""
    async with stage.caller("wait", signalled="anonymous") as caller:
        await caller.hears_position()
        await caller.hears(MUSIC)
        await caller.hears_position(within=20)
        assert f"{stage.language}/consent" not in caller.ear.heard(), caller.ear.story()
        caller.leaves()
        await caller.sipp.done()


# ── led through menus ────────────────────────────────────────────────────────────────────────────

MENUS: Final = "100"
"""The number of the example site that leads into a flow."""


@branch("menu")
async def by_menu(stage: Stage) -> None:
    """Number 100: greeting, language, menu, and music of the queue chosen."""
    async with replace(stage, number=MENUS).caller("menu") as caller:
        await caller.hears("greeting", whole=True)
        await caller.hears("choose_language")
        await caller.presses("1")
        await caller.hears("main_menu")
        await caller.call_is(state="menu", node="main-menu", language="en")
        await caller.presses("1")
        await caller.hears(MUSIC, within=8)
        await caller.call_is(state="waiting", queue="support")
        await caller.hangs_up()


@branch("menu-nested")
async def by_nested_menus(stage: Stage) -> None:
    """In German: into the menu for sales, back, the opening hours, and on into the queue for sales."""
    async with replace(stage, number=MENUS).caller("menu-nested") as english:
        await english.hears("choose_language")
        await english.presses("2")
        caller = replace(english, stage=replace(stage, language="de"))
        await caller.hears("main_menu")
        for key, prompt in (("2", "sales_menu"), ("*", "main_menu"), ("9", "opening_hours")):
            await caller.presses(key)
            await caller.hears(prompt)
        await caller.hears("main_menu")
        await caller.presses("2")
        await caller.hears("sales_menu")
        await caller.presses("1")
        await caller.hears(MUSIC, within=8)
        await caller.call_is(state="waiting", queue="sales", language="de")
        await caller.hangs_up()


@branch("menu-wrong")
async def wrong_keys_in_menu(stage: Stage) -> None:
    """Four wrong keys in the menu: three times "wrong number selected" and the menu again, then on."""
    async with replace(stage, number=MENUS).caller("menu-wrong") as caller:
        await caller.hears("choose_language")
        await caller.presses("1")
        await caller.hears("main_menu")
        for key in "758":
            await caller.presses(key)
            await caller.hears("wrong_number", whole=True)
            await caller.hears("main_menu")
        await caller.presses("#")
        await caller.hears(MUSIC, within=8)
        await caller.call_is(state="waiting", queue="support", node="operator")
        await caller.hangs_up()


@branch("menu-message")
async def message_left(stage: Stage) -> None:
    """3 in the menu: a message is recorded until hash, goodbye is said, and a ticket has the message."""
    async with replace(stage, number=MENUS).caller("wait") as caller:
        await caller.hears("choose_language")
        await caller.presses("1")
        await caller.hears("main_menu")
        await caller.presses("3")
        asked = await caller.hears("voicemail")
        await caller.ear.hears_past(asked)
        await caller.call_is(node="message")
        caller.ear.speaks(CALLER_VOICE)
        await caller.ear.listens(3)
        caller.ear.hushes()
        await caller.presses("#")
        longest_s = caller.ear.now - asked.end + 1
        await caller.hears("goodbye")
        await caller.is_hung_up_on()
        ticket = await _ticket_with(caller, comments=0, files=1)
        [file] = ticket["files"]
        assert file["content_type"] == "audio/wav"
        assert 2 < file["size"] / WAV_BYTES_S < longest_s, (file, longest_s)


@branch("menu-silence")
async def silence_in_menu(stage: Stage) -> None:
    """Nothing is pressed at all: each question comes three times, then the call goes on by itself."""
    async with replace(stage, number=MENUS).caller("menu-silence") as caller:
        await caller.hears("main_menu", within=90)
        await caller.hears(MUSIC, within=60)
        await caller.call_is(state="waiting", queue="support", language="en")
        said = [label for label in caller.ear.heard() if label.endswith(("choose_language", "main_menu"))]
        assert [said.count(f"en/{name}") for name in ("choose_language", "main_menu")] == [3, 3], said
        await caller.hangs_up()


# ── leaving, at any moment ───────────────────────────────────────────────────────────────────────


@branch("hang-up-in-music")
async def leave_in_music(stage: Stage) -> None:
    """Hang up before anything is said."""
    async with stage.caller("hang-up-in-music") as caller:
        await caller.hears(MUSIC)
        await caller.hangs_up()
        await _ended_without_trace(caller, status=None)


@branch("hang-up-in-message")
async def leave_in_message(stage: Stage) -> None:
    """Hang up during the message: no answer was given, no SMS."""
    async with stage.caller("hang-up-in-message") as caller:
        await _hears_consent(caller)
        await caller.hangs_up()
        await _ended_without_trace(caller, status=None)


@branch("hang-up-in-silence")
async def leave_in_ten_seconds(stage: Stage) -> None:
    """Hang up in the ten seconds: no SMS."""
    async with stage.caller("hang-up-in-silence") as caller:
        await _hears_consent(caller, whole=True)
        await caller.hears(MUSIC)
        await caller.hangs_up()
        await _ended_without_trace(caller, status=None)


@branch("hang-up-after-1")
async def leave_after_1(stage: Stage) -> None:
    """Hang up right after 1: the SMS was promised and comes, once."""
    async with stage.caller("hang-up-after-1") as caller:
        await _hears_consent(caller)
        await caller.presses("1")
        await caller.hears("sms_sent")
        await caller.hangs_up()
        await caller.call_is(wait_time_sms_status="allowed")
        await caller.gets_one_sms()


# ── agents ───────────────────────────────────────────────────────────────────────────────────────


@branch("journey", agents=1)
async def whole_journey(stage: Stage) -> None:
    """SMS, answers with text and a picture, an agent, both hear each other, a ticket with it all."""
    (anna,) = stage.agents[:1]
    async with stage.caller("wait") as caller, stage.phone("agent-answers", anna) as phone:
        await _hears_consent(caller)
        await caller.presses("1")
        await caller.gets_one_sms()
        await stage.api.answer_from_handset(caller.number, "The lamp stays red")
        await stage.api.answer_from_handset(caller.number, "Look", _picture())
        async with stage.signed_in(anna):
            await phone.answers()
            call = await caller.call_is(state="talking", agent=anna)
            await both_hear_each_other(caller, phone)
            await stage.api.answer_from_handset(caller.number, "Can you see it?")
            ticket = await _ticket_with(caller, comments=5, files=1)  # one says who was connected
            assert ticket["call_id"] == call["id"], ticket
            await caller.hangs_up()
            await phone.is_hung_up_on()
    texts = [comment["text"] for comment in ticket["comments"] if comment["source_id"]]
    assert {"The lamp stays red", "Look", "Can you see it?"} <= set(texts), ticket
    assert ticket["files"][0]["content_type"] == "image/png", ticket


@branch("agent-hangs-up", agents=1)
async def agent_hangs_up(stage: Stage) -> None:
    """The agent hangs up: so is the caller, and the call is over."""
    (anna,) = stage.agents[:1]
    # Told when, the agent does not leave earlier, by the time of the scenario.
    phones = "agent-hangs-up" if stage.by_hand else "agent-answers"
    async with stage.caller("wait") as caller, stage.phone(phones, anna) as phone:
        await caller.hears(MUSIC)
        async with stage.signed_in(anna):
            await phone.answers()
            await both_hear_each_other(caller, phone)
            await phone.hangs_up()
            await caller.is_hung_up_on()
            await caller.call_is(state="ended", end_reason="agent_hung_up")
            await phone.sipp.logs("hangs-up")


@branch("hang-up-while-ringing", agents=1)
async def leave_while_ringing(stage: Stage) -> None:
    """The caller leaves while the agent's phone rings: it stops within a second."""
    (anna,) = stage.agents[:1]
    async with stage.caller("wait") as caller, stage.phone("agent-no-answer", anna) as phone:
        await caller.hears(MUSIC)
        async with stage.signed_in(anna):
            await phone.rings()
            await caller.call_is(state="ringing", position=1)
            caller.leaves()
            left = await caller.sipp.logs("hangs-up")
            stopped = await phone.stops_ringing()
            assert stopped.at - left.at < RING_STOPS_S, stopped.at - left.at
            await caller.call_is(state="ended", end_reason="caller_hung_up")
            await _agent_is(stage, anna, "available")


@branch("agent-busy", agents=2)
async def agent_busy(stage: Stage) -> None:
    """The first agent is busy: same place, and the next agent is rung."""
    await _next_agent_takes_it(stage, "agent-busy", reason="busy")


@branch("agent-declines", agents=2)
async def agent_declines(stage: Stage) -> None:
    """The first agent declines: same place, and the next agent is rung."""
    await _next_agent_takes_it(stage, "agent-declines", reason="declined")


@branch("agent-no-answer", agents=2)
async def agent_no_answer(stage: Stage) -> None:
    """The first agent does not answer: ringing ends, same place, and the next agent is rung."""
    await _next_agent_takes_it(stage, "agent-no-answer", reason="no_answer")


@branch("agent-gone", agents=2)
async def agent_gone(stage: Stage) -> None:
    """The first agent's phone is not registered: same place, and the next agent is rung."""
    await _next_agent_takes_it(stage, None, reason="unreachable")


@branch("agent-hangs-up-at-once", agents=1)
async def agent_hangs_up_at_once(stage: Stage) -> None:
    """The agent answers and hangs up in the same moment: the caller waits on, or the call is over."""
    (anna,) = stage.agents[:1]
    async with stage.caller("wait") as caller, stage.phone("agent-hangs-up-at-once", anna) as phone:
        await caller.hears(MUSIC)
        async with stage.signed_in(anna):
            await phone.sipp.logs("hangs-up")

            async def settled() -> Item:
                return await stage.api.call(caller.number)

            call = await until(
                settled, lambda c: c["state"] in ("waiting", "ended"), what="the call waits on or is over"
            )
            await until(
                lambda: stage.api.agent(anna),
                lambda a: a["state"] in ("rona", "available"),
                what="the agent is free of the call",
            )
            if call["state"] == "waiting":
                # The music may never have stopped for the caller: then it is heard anew after a round.
                await caller.hears(MUSIC, within=TO_TEN_SECONDS_S)
                await caller.hangs_up()
            else:
                await caller.is_hung_up_on()


# ── shared ───────────────────────────────────────────────────────────────────────────────────────


async def _hears_consent(caller: Caller, *, whole: bool = False) -> Segment:
    """From the answer on: music, the right position, the consent message."""
    await caller.hears(MUSIC)
    said = await caller.hears_position()
    call = await caller.stage.api.call(caller.number)
    timeline = await caller.stage.api.timeline(call["id"])
    stored = [event["detail"]["position"] for event in timeline if event["kind"] == "position_announced"]
    assert said == stored[-1], (said, stored)
    return await caller.hears("consent", whole=whole, within=20)


async def _one_consent(caller: Caller, outcome: str, key: str | None) -> Item:
    found = await caller.stage.api.consents(caller.number)
    assert [(c["outcome"], c["key"]) for c in found] == [(outcome, key)], found
    return found[0]


async def _ended_without_trace(caller: Caller, *, status: str | None) -> None:
    call = await caller.stage.api.call(caller.number)
    assert call["wait_time_sms_status"] == status, call
    assert await caller.stage.api.consents(caller.number) == []
    await caller.got_no_sms()
    await caller.sipp.done()


async def _next_agent_takes_it(stage: Stage, first_phone: str | None, *, reason: str) -> None:
    """Two callers wait; the first agent does not take the first of them, the second agent does."""
    anna, ben = stage.agents[:2]
    async with AsyncExitStack() as callers:
        caller = await callers.enter_async_context(stage.caller("wait"))
        before = await caller.call_is(state="waiting", position=1)
        other = await callers.enter_async_context(stage.caller("wait"))
        await other.call_is(state="waiting", position=2)
        await caller.hears(MUSIC)
        async with _maybe(stage, first_phone, anna), stage.signed_in(anna):
            await until(
                lambda: stage.api.agent(anna),
                lambda a: a["state"] == "rona",
                what=f"{anna} in RONA",
                within=30,
            )
            assert (await stage.api.agent(anna))["reason"] == reason
            back = await caller.call_is(state="waiting", position=1)
            assert back["entered_at"] == before["entered_at"], back
            await other.call_is(state="waiting", position=2)
            async with stage.phone("agent-answers", ben) as phone, stage.signed_in(ben):
                await phone.answers()
                await caller.call_is(state="talking", agent=ben)
                await both_hear_each_other(caller, phone)
                await other.call_is(state="waiting", position=1)
                other.leaves()
                await other.call_is(state="ended")
                await caller.hangs_up()
                await phone.is_hung_up_on()


def _maybe(stage: Stage, scenario: str | None, agent: str) -> AbstractAsyncContextManager[AgentPhone | None]:
    return nullcontext() if scenario is None else stage.phone(scenario, agent)


async def _agent_is(stage: Stage, agent: str, state: str) -> None:
    await until(lambda: stage.api.agent(agent), lambda a: a["state"] == state, what=f"{agent} {state}")


async def _ticket_with(caller: Caller, *, comments: int, files: int) -> Item:
    async def look() -> list[Item]:
        return await caller.stage.api.tickets(caller.number)

    found = await until(
        look,
        lambda tickets: any(len(t["comments"]) >= comments and len(t["files"]) >= files for t in tickets),
        what=f"a ticket with {comments} comments and {files} files",
        within=15,
    )
    assert len(found) == 1, found
    return found[0]


def _picture() -> bytes:
    """A red PNG of 8 by 8 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\xff\0\0" * 8 for _ in range(8))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
