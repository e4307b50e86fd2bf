"""The event socket of a real Asterisk: what a slow request does to those behind it, and being replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiohttp import web

from ivr_engine.asterisk.ari_client import AriClient, Replaced
from ivr_engine.asterisk.ari_operations import Asterisk as Operations
from ivr_engine.asterisk.ari_operations import Channels
from scripts.stack import Asterisk
from tests.integration.sip import eventually
from tests.integration.test_ari_calls import engine


class Tarpit:
    """A web server that answers when told. Reading it blocks whichever thread of Asterisk does."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.release = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.set()
        await self.release.wait()
        return web.Response(text="at last")

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[str]:
        """The dialplan function that reads it."""
        app = web.Application()
        app.router.add_get("/", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"CURL(http://127.0.0.1:{runner.addresses[0][1]}/)"
        finally:
            self.release.set()
            await runner.cleanup()


@pytest.mark.parametrize("slow_over", ["socket", "http"])
async def test_a_slow_request_holds_up_those_behind_it_on_the_socket_but_not_from_http(
    asterisk: Asterisk, slow_over: str
) -> None:
    tarpit = Tarpit()
    async with asyncio.timeout(30), engine(asterisk) as one, tarpit.open() as function:
        client: AriClient = one.telephony._client  # pyright: ignore[reportPrivateUsage]
        name, channel = one.telephony.name, f"still-{uuid4().hex[:6]}"
        await client.channels.create(endpoint="Local/700@ivr-in", app=name, channel_id=channel)
        over_http = Channels(client.slow)
        slow_way = client.channels if slow_over == "socket" else over_http
        slow = asyncio.create_task(slow_way.get_channel_var(channel_id=channel, variable=function))
        await tarpit.asked.wait()
        behind = asyncio.create_task(client.asterisk.ping())
        if slow_over == "socket":
            assert await over_http.list()
            done, _ = await asyncio.wait((behind,), timeout=1)
            assert not done, "Asterisk reads the socket one request after the other"
        else:
            assert (await behind).ping == "pong"
            assert not slow.done()
        tarpit.release.set()
        assert (await slow).value == "at last"
        assert (await behind).ping == "pong"
        await one.telephony.end_leg(channel)


async def test_names_with_any_character_reach_asterisk_over_both_transports(asterisk: Asterisk) -> None:
    name, value = "IVR TEST/ü&%41", "a,b +%41=ü"
    async with engine(asterisk) as one:
        client: AriClient = one.telephony._client  # pyright: ignore[reportPrivateUsage]
        for operations in (client.asterisk, Operations(client.slow)):
            await operations.set_global_var(variable=name, value=value)
            assert (await operations.get_global_var(variable=name)).value == value
        await one.telephony.end_bridge("no/such bridge%")
        await client.bridges.create_with_id(bridge_id="a/b c%", type="mixing")
        assert (await client.bridges.get(bridge_id="a/b c%")).id == "a/b c%"
        await one.telephony.end_bridge("a/b c%")


async def test_the_watchdog_can_read_that_the_engine_lives(asterisk: Asterisk) -> None:
    async with engine(asterisk) as one:
        client: AriClient = one.telephony._client  # pyright: ignore[reportPrivateUsage]
        variable = f"IVR_ALIVE_{one.telephony.name}"
        alive = await client.asterisk.get_global_var(variable=variable)
        assert int(alive.value) > 1_700_000_000


async def test_a_second_engine_of_the_same_name_fences_the_first(asterisk: Asterisk) -> None:
    name = f"ivr-{uuid4().hex[:6]}"
    async with engine(asterisk, name) as first, engine(asterisk, name) as second:

        async def fenced() -> bool:
            return first.telephony.replaced and not first.telephony.connected

        await eventually(fenced)
        with pytest.raises(Replaced):
            await first.telephony.run()
        assert second.telephony.connected


async def test_an_asterisk_that_restarts_is_found_again(own_asterisk: Asterisk) -> None:
    async with engine(own_asterisk) as one:
        await asyncio.to_thread(own_asterisk.kill)

        async def lost() -> bool:
            return not one.telephony.connected

        await eventually(lost)
        await asyncio.to_thread(own_asterisk.restart)

        async def found() -> bool:
            return one.telephony.connected and len(one.snapshots) > 1

        await eventually(found, 20)
        assert not one.snapshots[-1].all
