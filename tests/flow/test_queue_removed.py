"""The site changes while callers wait: what was taken out of it ends nobody's call in confusion."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.errors import Rejected
from ivr_engine.sim.people import Caller, answers, does_not_answer
from tests.flow.centre import Centre, contact_centre, site, virtual

OTHER_QUEUE = site(queues={"sales": {"label": "Sales"}}, numbers={"700": {"queue": "sales"}}, agents={})
OTHER_NUMBER = site(numbers={"702": {"queue": "support"}})


async def _apologised_to(centre: Centre, caller: Caller) -> None:
    """The caller hears why, once, and is hung up on; never the fallback."""
    await caller.hears_prompt("apology", within_s=5)
    await caller.ended(within_s=5)
    await centre.nothing_left()
    assert caller.ears.sounds.count("apology") == 1
    assert "fallback" not in caller.ears.sounds
    row = await centre.row(caller)
    assert (row.chapter, row.end_reason) == (Chapter.ENDED, EndReason.QUEUE_REMOVED)


@pytest.mark.parametrize("chapter", ["position.1", "consent", "music"])
@virtual
async def test_a_queue_taken_out_during_a_restart_ends_its_calls_with_an_apology(chapter: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt(chapter)
        await engine.stop()
        centre.site = OTHER_QUEUE
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with capture_logs() as lines:
            centre.engine()
            await _apologised_to(centre, caller)
        [line] = lines
        assert (line["event"], line["queue"]) == ("call.queue_removed", "support")
        assert line["remedy"]


@virtual
async def test_an_agent_whose_phone_rang_for_it_is_free_again() -> None:
    async with contact_centre() as centre:
        engine, phone = centre.engine(), centre.phone("anna", does_not_answer)
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await phone.rings()
        await engine.stop()
        centre.site = OTHER_QUEUE
        centre.engine()
        await _apologised_to(centre, caller)
        await phone.stops_ringing()
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE


@virtual
async def test_who_comes_back_from_the_fallback_to_a_queue_taken_out() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await engine.crash()
        centre.switch.give_to_fallback(centre.switch.channels[caller.channel_id])
        await caller.hears_prompt("fallback")
        centre.site = OTHER_QUEUE
        centre.engine()
        await caller.hears_prompt("apology", within_s=10)
        await caller.ended(within_s=5)
        assert (await centre.row(caller)).end_reason is EndReason.QUEUE_REMOVED


@virtual
async def test_an_apology_that_cannot_be_played_ends_the_call_all_the_same() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        await engine.stop()
        centre.site = OTHER_QUEUE
        engine = centre.engine()
        engine.telephony.faults["play"] = [Rejected("no such sound")]
        await caller.ended(within_s=10)
        assert (await centre.row(caller)).end_reason is EndReason.QUEUE_REMOVED
        await centre.nothing_left()


@virtual
async def test_a_number_taken_out_changes_nothing_for_those_who_came_by_it() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await engine.stop()
        centre.site = OTHER_NUMBER
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        await caller.hears_times("consent", 2)
        await engine.desk.sign_in("anna")
        await caller.hears_prompt("agent")
        turned_away = await centre.call()
        await turned_away.hears_prompt("not_in_service")
        await turned_away.ended()
        await asyncio.sleep(0.1)
        assert caller.hears_now == "agent"
