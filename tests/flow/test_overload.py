"""More callers than the engine can carry: it leaves them to the fallback, which brings them back, and whoever
is there notices nothing."""

from __future__ import annotations

import asyncio
import logging

import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.overload import NotTaken
from ivr_engine.sim.people import answers
from ivr_engine.sim.switch import RETRY_S
from tests.flow.centre import Centre, contact_centre, virtual


async def taken(centre: Centre, count: int) -> None:
    async def there() -> bool:
        return len(await centre.all_calls()) == count

    await centre.until(there, f"{count} calls are taken")


@virtual
async def test_three_hundred_at_once_are_all_taken_at_the_rate_that_is_set() -> None:
    async with contact_centre(limits={"arrivals": 20}) as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        talking = await centre.call(caller="+4915112340000")
        await talking.hears_prompt("agent")
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with capture_logs() as lines:
            crowd = [await centre.call(caller=f"+49151123{n:05}") for n in range(300)]
            await asyncio.sleep(1.0)
            assert 40 <= engine.reception.calls <= 60
            assert talking.hears_now == "agent"
            await taken(centre, 301)
        assert all(caller.connected for caller in crowd)
        assert talking.hears_now == "agent"
        assert engine.admission.left[NotTaken.ARRIVALS] > 240
        assert len([line for line in lines if line["event"] == "calls.left"]) == 1
        # 40 at once, then 20 a second; each waits for its turn to be offered.
        assert asyncio.get_running_loop().time() < 300 / 20 + 4 * RETRY_S + 10
        for caller in (talking, *crowd):
            caller.hang_up()
        await phone.is_free(within_s=10)
        await centre.nothing_left()


@virtual
async def test_more_than_the_most_calls_wait_in_the_fallback_until_others_are_gone() -> None:
    async with contact_centre(limits={"calls": 10}) as centre:
        engine = centre.engine()
        inside = [await centre.call(caller=f"+49151123{n:05}") for n in range(10)]
        await taken(centre, 10)
        late = await centre.call()
        await asyncio.sleep(5 * RETRY_S)
        assert late.hears_now == "fallback"
        assert all("fallback" not in caller.ears.sounds for caller in inside)
        assert engine.admission.overloaded is NotTaken.CALLS
        inside[0].hang_up()
        await late.hears_prompt("music", within_s=2 * RETRY_S)
        assert engine.admission.overloaded is None


@virtual
async def test_a_slow_store_gets_no_new_calls_and_those_there_stay() -> None:
    async with contact_centre(limits={"store_lag": 0.5}) as centre:
        engine = centre.engine()
        before = await centre.call(caller="+4915112340000")
        await before.hears_prompt("music")
        engine.store.slower_s = 3.0
        await before.hears_prompt("consent", within_s=60)
        before.press("1")
        await asyncio.sleep(1.0)
        late = await centre.call()
        await asyncio.sleep(1.0)
        assert late.hears_now == "fallback"
        assert engine.admission.overloaded is NotTaken.STORE_LAG
        engine.store.slower_s = 0.0
        await late.hears_prompt("music", within_s=10)
        await before.hears_times("music", 4, within_s=20)
        assert "sms_sent" in before.ears.sounds
        assert "fallback" not in before.ears.sounds


@virtual
async def test_a_draining_engine_leaves_new_calls_to_the_others() -> None:
    async with contact_centre() as centre:
        first = centre.engine("ivr-1")
        old = await centre.call(caller="+4915112340000")
        await old.hears_prompt("music")
        first.admission.drain()
        new = await centre.call()
        await asyncio.sleep(1.0)
        assert new.hears_now == "fallback"
        second = centre.engine("ivr-2")
        await new.hears_prompt("music", within_s=2 * RETRY_S)
        assert (first.reception.calls, second.reception.calls) == (1, 1)
        assert first.admission.left[NotTaken.DRAINING] > 0
        drained = asyncio.create_task(first.reception.empty())
        await asyncio.sleep(60)
        assert not drained.done()
        old.hang_up()
        async with asyncio.timeout(5):
            await drained
        assert (await centre.row(old)).end_reason is EndReason.CALLER_HUNG_UP
        new.hang_up()
        await centre.nothing_left()
