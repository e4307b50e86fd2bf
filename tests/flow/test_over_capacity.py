"""Over capacity: the caller is asked what to do, or led on unasked; a place in line is kept meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.events import (
    ConsentAsked,
    ConsentNotOffered,
    LineLeft,
    MenuGivenUp,
    OverCapacity,
    OverCapacityChosen,
    QueueEntered,
)
from ivr_engine.sim.people import answers, does_not_answer
from tests.flow.centre import Centre, Engine, contact_centre, virtual

FLOWS: dict[str, Any] = {
    "message": {
        "start": "invite",
        "nodes": {
            "invite": {"voicemail": {"then": "bye"}},
            "bye": {"hang_up": {}},
        },
    }
}
KEYS: dict[str, Any] = {
    "1": {"wait": True},
    "2": {"flow": "message"},
    "3": {"queue": "sales"},
    "4": {"say": "goodbye"},
}


def over(**settings: Any) -> dict[str, Any]:
    """A site whose queue support has these settings under ``over_capacity``, and a second queue."""
    defaults: dict[str, Any] = {"waiting": 0, "keys": KEYS}
    if "forced" in settings:
        del defaults["keys"]
    support = {
        "label": "Support",
        "wait_time_sms": {"requires_over_capacity": True},
        "announcement_interval": 30,
        "over_capacity": defaults | settings,
    }
    sales = {"label": "Sales", "wait_time_sms": {"enabled": False}, "announce_position": False}
    agents = {
        "anna": {"label": "Anna", "queues": ["support"]},
        "ben": {"label": "Ben", "queues": ["sales"]},
    }
    return {"queues": {"support": support, "sales": sales}, "agents": agents, "flows": FLOWS}


async def somebody_waits(centre: Centre) -> None:
    """Enough for a limit of 0 others."""
    first = await centre.call(caller="+4915112345670")
    await first.hears_prompt("music")
    await asyncio.sleep(0.5)


async def chosen(centre: Centre, caller: Any) -> list[OverCapacityChosen]:
    return [h for h in await centre.happened(caller) if isinstance(h, OverCapacityChosen)]


@virtual
async def test_with_room_nobody_is_asked() -> None:
    async with contact_centre(**over()) as centre:
        centre.engine()
        caller = await centre.call()
        await asyncio.sleep(20.0)
        assert caller.hears_now == "music"
        assert "over_capacity" not in [h.what for h in caller.hears]
        row = await centre.row(caller)
        assert (row.chapter, row.over_capacity) == (Chapter.WAITING, False)
        assert not [h for h in await centre.happened(caller) if isinstance(h, OverCapacity)]


@virtual
async def test_who_chooses_to_wait_waits_on_and_is_offered_the_sms() -> None:
    async with contact_centre(**over()) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        assert (await centre.row(caller)).chapter is Chapter.CHOOSING
        assert await centre.position(caller) == 2
        caller.press("1")
        await asyncio.sleep(0.5)
        assert caller.hears_now == "music"
        row = await centre.row(caller)
        assert (row.chapter, row.over_capacity) == (Chapter.WAITING, True)
        assert await chosen(centre, caller) == [OverCapacityChosen("wait", "1")]
        assert OverCapacity("support", "waiting") in await centre.happened(caller)
        await caller.hears_prompt("position.2")
        await caller.hears_prompt("consent")
        assert [h for h in await centre.happened(caller) if isinstance(h, ConsentAsked)]


@virtual
async def test_wrong_keys_and_silence_are_as_in_a_menu_and_then_the_caller_waits_on() -> None:
    async with contact_centre(**over(wrong_keys=1, silences=1)) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        caller.press("7")
        await caller.hears_prompt("wrong_number")
        await caller.hears_times("over_capacity", 2)
        await caller.hears_times("over_capacity", 3)  # nothing pressed
        await asyncio.sleep(8.0)
        assert caller.hears_now == "music"
        row = await centre.row(caller)
        assert (row.chapter, row.over_capacity) == (Chapter.WAITING, False)
        happened = await centre.happened(caller)
        assert MenuGivenUp("over_capacity", "silences") in happened
        assert not await chosen(centre, caller)
        # Who did not choose to wait is not offered the SMS that requires it.
        await caller.hears_prompt("position.2")
        await asyncio.sleep(5.0)
        assert caller.hears_now == "music"


@pytest.mark.parametrize(("key", "option"), [("2", "flow"), ("3", "queue"), ("4", "say")])
@virtual
async def test_the_other_options_lead_out_of_the_line(key: str, option: str) -> None:
    async with contact_centre(**over()) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        caller.press(key)
        await asyncio.sleep(0.5)
        assert caller.hears_now == {"2": "voicemail", "3": "music", "4": "goodbye"}[key]
        happened = await centre.happened(caller)
        assert happened.index(OverCapacityChosen(option, key)) < happened.index(
            LineLeft("support", "over_capacity")
        )
        assert ConsentNotOffered("left_the_line", "support", "en") in happened
        if key == "3":
            assert QueueEntered("sales", 1) in happened
            assert (await centre.row(caller)).queue == "sales"
            caller.hang_up()
        else:
            await caller.ended()
        await centre.nothing_left()


@virtual
async def test_who_went_to_another_queue_gets_its_agent() -> None:
    async with contact_centre(**over()) as centre:
        engine = centre.engine()
        phone = centre.phone("ben", answers(1.0, talks_s=5.0))
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        caller.press("3")
        await caller.hears_prompt("music")
        await engine.desk.sign_in("ben")
        await phone.rings()
        await caller.hears_prompt("agent")
        await caller.ended()
        await centre.nothing_left()


@pytest.mark.parametrize(
    ("forced", "heard"),
    [({"flow": "message"}, "voicemail"), ({"say": "goodbye"}, "goodbye"), ({"queue": "sales"}, "music")],
)
@virtual
async def test_one_forced_option_needs_no_question(forced: dict[str, str], heard: str) -> None:
    async with contact_centre(**over(forced=forced)) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await asyncio.sleep(0.5)
        assert caller.hears_now == heard
        assert "over_capacity" not in [h.what for h in caller.hears]
        assert await chosen(centre, caller) == [OverCapacityChosen(next(iter(forced)), None)]
        caller.hang_up()
        await centre.nothing_left()


@virtual
async def test_made_to_wait_counts_as_having_chosen_to() -> None:
    async with contact_centre(**over(forced={"wait": True})) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("consent")
        assert (await centre.row(caller)).over_capacity


async def a_busy_agent(centre: Centre, engine: Engine) -> None:
    centre.phone("anna", answers(1.0))
    await engine.desk.sign_in("anna")
    await (await centre.call(caller="+4915112345699")).hears_prompt("agent")
    await asyncio.sleep(1.0)


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({"waiting": None, "estimate": 100}, True),
        ({"waiting": None, "estimate": 1000}, False),
        ({"waiting": None, "nobody_signed_in": True}, False),
        ({"waiting": None, "longest_wait": 60}, False),
        ({"waiting": 1}, False),
    ],
)
@virtual
async def test_limits_with_an_agent_at_work(limits: dict[str, Any], passed: bool) -> None:
    async with contact_centre(**over(**limits)) as centre:
        engine = centre.engine()
        await a_busy_agent(centre, engine)
        caller = await centre.call()
        await asyncio.sleep(1.0)
        assert (caller.hears_now == "over_capacity") is passed


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({"waiting": None, "estimate": 100}, False),  # unknown
        ({"waiting": None, "nobody_signed_in": True}, True),
        ({"waiting": None, "longest_wait": 60}, True),
    ],
)
@virtual
async def test_limits_with_nobody_there_and_somebody_waiting(limits: dict[str, Any], passed: bool) -> None:
    async with contact_centre(**over(**limits)) as centre:
        centre.engine()
        first = await centre.call(caller="+4915112345670")
        await asyncio.sleep(70.0)
        first_heard = first.hears_now
        caller = await centre.call()
        await asyncio.sleep(1.0)
        assert (caller.hears_now == "over_capacity") is passed
        assert first_heard == "music"


@virtual
async def test_an_agent_who_becomes_free_takes_the_caller_out_of_the_question() -> None:
    async with contact_centre(**over(waiting=None, nobody_signed_in=True)) as centre:
        engine = centre.engine()
        phone = centre.phone("anna", answers(1.0, talks_s=5.0))
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        await engine.desk.sign_in("anna")
        await phone.rings()
        await caller.hears_prompt("agent")
        await caller.ended()
        await centre.nothing_left()


@virtual
async def test_a_question_cut_short_by_an_agent_who_does_not_answer_is_asked_again() -> None:
    async with contact_centre(**over()) as centre:
        engine = centre.engine()
        centre.phone("anna", does_not_answer)
        first = await centre.call("701", caller="+4915112345670")
        await first.hears_prompt("music")
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        first.hang_up()
        await asyncio.sleep(0.2)
        await somebody_waits(centre)
        await engine.desk.sign_in("anna")
        await caller.hears_prompt("music")
        await caller.hears_times("over_capacity", 2)  # rona after 20 s, one other still waits
        caller.press("1")
        await asyncio.sleep(1.0)
        assert (await centre.row(caller)).over_capacity


@virtual
async def test_it_is_looked_again_at_the_interval() -> None:
    async with contact_centre(**over(again=45)) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        await asyncio.sleep(10.0)
        await somebody_waits(centre)
        await asyncio.sleep(30.0)
        assert "over_capacity" not in [h.what for h in caller.hears]
        await caller.hears_prompt("over_capacity")
        caller.press("1")
        began = caller.ears.times("over_capacity")
        await caller.hears_times("over_capacity", 2)
        assert caller.ears.times("over_capacity")[1] - began[0] == pytest.approx(45.0, abs=3.0)


@virtual
async def test_an_engine_that_comes_back_asks_again_and_counts_nothing_for_it() -> None:
    async with contact_centre(**over(wrong_keys=1, silences=0)) as centre:
        first = centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        caller.press("7")
        await caller.hears_times("over_capacity", 2)
        await first.crash()
        centre.engine("ivr-1")
        await caller.hears_times("over_capacity", 3)
        caller.press("2")
        await caller.hears_prompt("voicemail")
        assert await chosen(centre, caller) == [OverCapacityChosen("flow", "2")]
        assert len([h for h in await centre.happened(caller) if isinstance(h, OverCapacity)]) == 1


@virtual
async def test_hanging_up_over_the_question_leaves_nothing_behind() -> None:
    async with contact_centre(**over()) as centre:
        centre.engine()
        await somebody_waits(centre)
        caller = await centre.call()
        await caller.hears_prompt("over_capacity")
        caller.hang_up()
        await asyncio.sleep(1.0)
        assert (await centre.row(caller)).chapter is Chapter.ENDED
        await centre.nothing_left()
