"""The watchdog against a real Asterisk with callers on the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.watchdog import WatchdogSettings, watch
from ivr_engine.sipp.ears import MUSIC, Ear
from ivr_engine.sipp.sounds import Kind
from scripts.stack import Asterisk
from tests.integration.asterisk_now import nothing_left
from tests.integration.sip import Sipp, caller, eventually
from tests.integration.test_fallback import Engine, engine, fallback_ear

LIMIT_S = 2.0
MOST_SILENCE_S = 1.0


@asynccontextmanager
async def watched(asterisk: Asterisk) -> AsyncGenerator[None]:
    ari = AriSettings(
        url=asterisk.ari_url, user=asterisk.ari_user, password=asterisk.ari_password, application="watchdog"
    )
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(ari, WatchdogSettings(limit_s=LIMIT_S, interval_s=0.2)))
        yield
        watching.cancel()


async def parked(one: Engine) -> str:
    """Answer the call that was claimed and park it under music; its channel id."""
    channel = (await one.seen("StasisStart"))["channel"]["id"]
    one.events.clear()
    await one.ask("POST", f"channels/{channel}/answer")
    await one.ask("POST", "bridges/waiting", type="holding")
    await one.ask("POST", "bridges/waiting/moh")
    await one.ask("POST", "bridges/waiting/addChannel", channel=channel)
    return channel


async def test_callers_of_an_engine_that_never_comes_back_reach_another(
    asterisk: Asterisk, tmp_path: Path
) -> None:
    sipp = Sipp(asterisk.sip_port, tmp_path)
    async with AsyncExitStack() as stack:
        ear: Ear = await stack.enter_async_context(fallback_ear())
        call = await stack.enter_async_context(
            sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port)
        )
        async with engine(asterisk, "ivr-dead") as dying:
            channel = await parked(dying)
            await ear.hears(MUSIC)
        # The socket is closed; nobody writes IVR_ALIVE_ivr-dead any more.
        await stack.enter_async_context(watched(asterisk))
        await ear.hears("wait", whole=True)
        other = await stack.enter_async_context(engine(asterisk, "ivr-other"))
        start = await other.seen("StasisStart")
        assert start["channel"]["id"] == channel
        assert start["args"] == ["700"]
        await other.ask("DELETE", f"channels/{channel}")
        await other.ask("DELETE", "bridges/waiting")
        await call.ended()
    await nothing_left(asterisk)
    assert ear.longest(Kind.NOTHING) < MOST_SILENCE_S, ear.story()


async def test_callers_of_a_living_engine_stay(asterisk: Asterisk, tmp_path: Path) -> None:
    sipp = Sipp(asterisk.sip_port, tmp_path)
    async with (
        fallback_ear() as ear,
        engine(asterisk, "ivr-alive") as alive,
        sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call,
        watched(asterisk),
    ):
        channel = await parked(alive)
        for beat in range(8):
            await alive.ask("POST", "asterisk/variable", variable="IVR_ALIVE_ivr-alive", value=str(beat))
            await ear.listens(LIMIT_S / 4)
        application = await alive.ask("GET", "applications/ivr-alive")
        assert application["channel_ids"] == [channel]
        await alive.ask("DELETE", f"channels/{channel}")
        await alive.ask("DELETE", "bridges/waiting")
        await call.ended()
    assert ear.heard(0.3) == [MUSIC]


async def test_a_leg_left_alone_is_ended(asterisk: Asterisk) -> None:
    """A Local channel into the fallback stands for the agent's phone."""
    async with engine(asterisk, "ivr-dead") as dying:
        await dying.ask(
            "POST",
            "channels",
            endpoint="Local/s@ivr-fallback",
            app="ivr-dead",
            channelId="agent-9",
            otherChannelId="agent-9-far",
        )
        await dying.seen("StasisStart")
    async with watched(asterisk):
        await nothing_left(asterisk)


async def test_an_asterisk_that_is_away_is_waited_for(own_asterisk: Asterisk, tmp_path: Path) -> None:
    async with watched(own_asterisk):
        await asyncio.to_thread(own_asterisk.kill)
        await asyncio.to_thread(own_asterisk.restart)
        async with engine(own_asterisk, "ivr-dead", claims=False) as dying:
            await dying.ask(
                "POST", "channels", endpoint="Local/s@ivr-fallback", app="ivr-dead", channelId="agent-1"
            )

            async def there() -> bool:
                return len(await dying.ask("GET", "channels")) > 0

            await eventually(there)
        await nothing_left(own_asterisk)
