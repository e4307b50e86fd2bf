"""The disk is full, or the database cannot be written, with callers on the line: they stay where they are
and hear music, nothing is promised, and all goes on when there is room again."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.callflow.endings import RETRY_S
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.sim.people import answers
from tests.flow.centre import contact_centre, virtual

FULL = ExternalError("the disk is full: nothing can be written; make room on it")


@pytest.mark.parametrize("trouble", [FULL, Unreachable("locked")], ids=["full", "locked"])
@virtual
async def test_a_caller_hears_music_and_no_promise_for_as_long_as_it_takes(trouble: ExternalError) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        second = await centre.call(caller="+4915112345601")
        await caller.hears_prompt("consent")
        engine.store.faults.extend(trouble for _ in range(200))
        caller.press("1")
        await asyncio.sleep(20 * RETRY_S[-1])
        assert caller.hears_now == second.hears_now == "music"
        engine.store.faults.clear()
        await caller.hears_times("consent", 2, within_s=60)
        for each in (caller, second):
            assert "fallback" not in each.ears.sounds
            assert "sms_sent" not in each.ears.sounds
        assert await centre.messages(caller) == []
        assert await centre.position(caller) == 1
        caller.press("1")
        await caller.hears_prompt("sms_sent")


@virtual
async def test_two_who_talk_go_on_talking() -> None:
    async with contact_centre() as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        caller = await centre.call()
        await caller.hears_prompt("agent")
        engine.store.faults.extend(FULL for _ in range(4))
        await asyncio.sleep(60)
        assert caller.hears_now == "agent"
        caller.hang_up()
        await phone.is_free(within_s=60)
        await centre.nothing_left()


@virtual
async def test_the_log_names_a_trouble_once_a_call_not_once_a_try() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with capture_logs() as lines:
            engine.store.faults.extend(FULL for _ in range(50))
            await asyncio.sleep(20 * RETRY_S[-1])
            engine.store.faults.clear()
        assert len([line for line in lines if line["event"] == "call.outage"]) == 1
