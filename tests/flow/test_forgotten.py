"""An engine was renamed, or never comes back: its calls end, and those of the living are left alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog
from structlog.testing import capture_logs

from ivr_engine.callflow.forgotten import SIGN_EVERY_S, SILENT_S, leave_sign, look_after
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import EndReason
from ivr_engine.errors import Unreachable
from ivr_engine.sim.people import answers
from ivr_engine.sim.switch import SimSwitch
from tests.flow.centre import Engine, contact_centre, virtual


@asynccontextmanager
async def looking(engine: Engine) -> AsyncGenerator[None]:
    """The engine looks after forgotten calls, as ``bootstrap`` lets it."""
    await leave_sign(engine.house)
    task = asyncio.create_task(look_after(engine.house))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@virtual
async def test_calls_of_a_renamed_engine_end_and_its_agents_are_free() -> None:
    async with contact_centre() as centre:
        old = centre.engine("ivr-old")
        centre.phone("anna", answers(1.0))
        async with looking(old):
            await old.desk.sign_in("anna")
            talking = await centre.call()
            await talking.hears_prompt("agent")
            waiting = await centre.call(caller="+4915112345601")
            await waiting.hears_prompt("position.1")
        await old.crash()
        talking.hang_up()
        waiting.hang_up()
        new = centre.engine("ivr-new")
        async with looking(new):
            await asyncio.sleep(SILENT_S - 2 * SIGN_EVERY_S)
            assert (await centre.row(waiting)).ended_at is None, "it may still come back"
            await asyncio.sleep(3 * SIGN_EVERY_S)
        for caller in (talking, waiting):
            assert (await centre.row(caller)).end_reason is EndReason.GONE_DURING_OUTAGE
        assert (await centre.agent("anna")).state is AgentState.AVAILABLE
        await centre.nothing_left()


@virtual
async def test_a_caller_of_the_old_name_who_is_still_there_keeps_the_call_and_the_place() -> None:
    async with contact_centre() as centre:
        old = centre.engine("ivr-old")
        async with looking(old):
            caller = await centre.call()
            await caller.hears_prompt("music")
        await old.crash()
        new = centre.engine("ivr-new")
        async with looking(new):
            await asyncio.sleep(SILENT_S + 2 * SIGN_EVERY_S)
            before = await centre.row(caller)
            assert before.ended_at is None
            centre.switch.give_to_fallback(centre.switch.channels[caller.channel_id])
            await caller.hears_prompt("position.1")
        row = await centre.row(caller)
        assert (row.id, row.entered_at, row.engine) == (before.id, before.entered_at, "ivr-new")


@virtual
async def test_calls_of_a_living_engine_beside_another_asterisk_are_none_of_ours() -> None:
    async with contact_centre() as centre:
        here = centre.engine("ivr-here")
        centre.switch = SimSwitch()
        there = centre.engine("ivr-there")
        async with looking(here), looking(there):
            caller = await centre.call()
            await asyncio.sleep(2 * SILENT_S)
            row = await centre.row(caller)
            assert (row.engine, row.ended_at) == ("ivr-there", None)
            assert caller.connected


@virtual
async def test_a_store_that_is_away_is_named_once_and_asked_again() -> None:
    async with contact_centre() as centre:
        old = centre.engine("ivr-old")
        caller = await centre.call()
        await caller.hears_prompt("music")
        await old.crash()
        caller.hang_up()
        new = centre.engine("ivr-new")
        await asyncio.sleep(1)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with capture_logs() as lines:
            task = asyncio.create_task(look_after(new.house))
            new.store.faults.extend(Unreachable("away") for _ in range(5))
            await asyncio.sleep(6.5 * SIGN_EVERY_S)
        task.cancel()
        assert [line["event"] for line in lines if line["event"].startswith("call")] == [
            "calls.not_looked_after",
            "call.forgotten",
            "calls.looked_after_again",
        ]
        assert (await centre.row(caller)).end_reason is EndReason.GONE_DURING_OUTAGE
