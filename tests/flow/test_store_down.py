"""The disk is full, or the database is away, with callers on the line: they stay where they are and hear
music, nothing is promised, and all goes on when it is back."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.callflow.endings import RETRY_S
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.sim.people import answers
from tests.flow.centre import contact_centre, virtual
from tests.postgresql import Server

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


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_half_a_minute_without_postgresql(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server really stops, in mid-call, and starts again."""
    monkeypatch.setattr("ivr_engine.store.postgresql.RETRY_CONNECT_S", 0.0)  # its clock is the real one
    try:
        _half_a_minute_without(postgresql)
    finally:
        postgresql.start()


@virtual
async def _half_a_minute_without(server: Server) -> None:
    queue = {"label": "Support", "wrap_up": 120, "wait_time_sms": {"requires_over_capacity": False}}
    async with contact_centre(support=queue) as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        talking = await centre.call(caller="+4915112345601")
        await talking.hears_prompt("agent")
        asked, waiting = await centre.call(), await centre.call(caller="+4915112345602")
        await asked.hears_prompt("consent")
        await asyncio.sleep(0.5)

        server.crash()
        asked.press("1")
        late = await centre.call(caller="+4915112345603")
        await asyncio.sleep(15)
        talking.hang_up()
        await asyncio.sleep(15)
        assert asked.hears_now == waiting.hears_now == "music"
        assert "sms_sent" not in asked.ears.sounds
        assert late.connected
        assert late.hears_now == "fallback"

        server.start()
        await phone.is_free(within_s=10)
        await late.hears_prompt("music", within_s=10)
        assert [await centre.position(caller) for caller in (asked, waiting, late)] == [1, 2, 3]
        await asked.hears_times("consent", 2)
        assert await centre.messages(asked) == []
        asked.press("1")
        await asked.hears_prompt("sms_sent")
        assert len(await centre.messages(asked)) == 1
        assert (await centre.row(asked)).consent.status is WaitTimeSmsStatus.ALLOWED
        assert (await centre.row(talking)).ended_at is not None
        await asked.hears_prompt("agent", within_s=180)
        for caller in (asked, waiting):
            assert "fallback" not in caller.ears.sounds
            caller.hang_up()
        await centre.nothing_left()
