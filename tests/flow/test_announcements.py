"""What callers hear while they wait: place, wait, messages; and the SMS offered by how long it will take."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.events import ConsentAsked, ConsentNotOffered, PositionAnnounced, WaitAnnounced
from ivr_engine.sim.people import Caller, answers
from tests.flow.centre import Centre, Engine, contact_centre, virtual

QUIET: dict[str, Any] = {"wait_time_sms": {"enabled": False}}


def prompts(caller: Caller) -> list[str]:
    return [heard.what for heard in caller.hears if heard.what not in ("ringing", "music", "silence")]


async def busy(centre: Centre, engine: Engine, ahead: int = 0) -> None:
    """One agent in a talk without end, and so many callers in line."""
    centre.phone("anna", answers(1.0))
    await engine.desk.sign_in("anna")
    numbers = (f"+49151987654{n:02}" for n in itertools.count())
    await (await centre.call(caller=next(numbers))).hears_prompt("agent")
    for _ in range(ahead):
        await (await centre.call(caller=next(numbers))).hears_prompt("music")


@virtual
async def test_place_then_wait_then_the_messages_in_turn() -> None:
    rules = {"announce_wait": True, "messages": ["website", "hours"]} | QUIET
    async with contact_centre(support=rules) as centre:
        engine = centre.engine()
        await busy(centre, engine, ahead=1)
        caller = await centre.call()
        await caller.hears_times("position.2", 3)
        await asyncio.sleep(7.0)
        first, second, third = (prompts(caller)[n : n + 3] for n in (0, 3, 6))
        assert first[0] == second[0] == third[0] == "position.2"
        assert first[1].startswith("wait.")
        assert (first[2], second[2], third[2]) == ("website", "hours", "website")
        [told, *_] = [h for h in await centre.happened(caller) if isinstance(h, WaitAnnounced)]
        # Two steps of 240 s for one agent, less who gives up.
        assert told.said == first[1]
        assert 200 < told.p50_s < told.expected_s < told.p80_s < 800


@virtual
async def test_the_wait_gets_shorter_when_agents_sign_in_and_nothing_is_said_while_it_is_unknown() -> None:
    async with contact_centre(support={"announce_wait": True, "announce_position": False} | QUIET) as centre:
        engine = centre.engine()
        caller = await centre.call()
        await asyncio.sleep(20.0)
        assert prompts(caller) == []
        await busy_agents(centre, engine, ["ben"])
        await asyncio.sleep(10.0)
        one = prompts(caller)[-1]
        await busy_agents(centre, engine, ["anna", "cleo"])
        await asyncio.sleep(10.0)
        three = prompts(caller)[-1]
        told = [h for h in await centre.happened(caller) if isinstance(h, WaitAnnounced)]
        assert (told[0].said, told[-1].said) == (one, three)
        assert told[-1].expected_s < told[0].expected_s / 2


async def busy_agents(centre: Centre, engine: Engine, names: list[str]) -> None:
    """Signed in, and each with a caller who came through another number and has a higher priority."""
    for number, name in enumerate(names):
        centre.phone(name, answers(1.0))
        other = await centre.call("701", caller=f"+4915198760{ord(name[0])}{number}")
        await asyncio.sleep(0.2)
        await engine.desk.sign_in(name)
        await other.hears_prompt("agent")


@virtual
async def test_nothing_is_said_above_the_limits() -> None:
    rules = {"announce_wait": True, "announce_wait_up_to": 60, "announce_position_up_to": 1} | QUIET
    async with contact_centre(support=rules) as centre:
        engine = centre.engine()
        await busy(centre, engine)
        first = await centre.call(caller="+4915112345671")
        await first.hears_prompt("music")
        second = await centre.call()
        await asyncio.sleep(20.0)
        assert set(prompts(first)) == {"position.1"}
        assert prompts(second) == []
        assert not [h for h in await centre.happened(second) if isinstance(h, PositionAnnounced)]


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"wait_minimum": 20}, None),
        ({"wait_minimum": 1000}, NotOffered.WAIT_TOO_SHORT),
        ({"wait_maximum": 3000}, None),
        ({"wait_maximum": 60}, NotOffered.WAIT_TOO_LONG),
        ({"wait_minimum": 20, "wait_maximum": 3000}, None),
    ],
)
@virtual
async def test_the_sms_is_offered_to_those_whose_wait_is_likely_within_the_window(
    window: dict[str, float], reason: NotOffered | None
) -> None:
    rules = {"wait_time_sms": {"requires_over_capacity": False} | window}
    async with contact_centre(support=rules) as centre:
        engine = centre.engine()
        await busy(centre, engine)
        caller = await centre.call()
        await caller.hears_prompt("position.1")
        await asyncio.sleep(4.0)
        happened = await centre.happened(caller)
        assert [h for h in happened if isinstance(h, ConsentNotOffered)][:1] == (
            [ConsentNotOffered(reason, "support", "en")] if reason else []
        )
        assert bool([h for h in happened if isinstance(h, ConsentAsked)]) is (reason is None)


@virtual
async def test_with_nobody_signed_in_no_maximum_is_kept() -> None:
    async with contact_centre(
        support={"wait_time_sms": {"requires_over_capacity": False, "wait_maximum": 3000}}
    ) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("position.1")
        await asyncio.sleep(4.0)
        assert ConsentNotOffered(NotOffered.WAIT_UNKNOWN, "support", "en") in await centre.happened(caller)


@virtual
async def test_an_engine_that_comes_back_in_a_round_says_it_anew_and_keeps_the_turn() -> None:
    rules = {"messages": ["website", "hours"]} | QUIET
    async with contact_centre(support=rules) as centre:
        first = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("website")
        await first.crash()
        centre.engine("ivr-1")
        await caller.hears_prompt("hours")
        assert [p for p in prompts(caller) if p in ("website", "hours")] == ["website", "website", "hours"]
