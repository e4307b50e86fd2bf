"""What callers hear and reach when no engine takes them, on a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE, Ear
from ivr_engine.sipp.sounds import Library
from scripts.stack import Asterisk, ports
from scripts.stack.fallback import fallback_sounds
from tests.integration.asterisk_now import nothing_left
from tests.integration.short_fallback import short_fallback
from tests.integration.sip import Sipp, caller, eventually, phone, phone_that_answers, refused

AGENT = "agent-anna"
TOO_LATE = (404, 409)
"""What Asterisk says to a claim when the time is over; on later tries that is a tenth of a second."""


@dataclass
class Engine:
    """The least an engine is: claims what is offered, remembers what it is told. What it claims too late it
    is offered again."""

    session: aiohttp.ClientSession
    asterisk: Asterisk
    app: str
    claims: bool = True
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def ask(
        self, method: str, path: str, body: object = None, also: Collection[int] = (), **query: str
    ) -> Any:
        """``also``: answers that are none of ours to complain about."""
        url = f"{self.asterisk.ari_url}/{path}"
        async with self.session.request(method, url, params=query, json=body) as answer:
            fine = answer.status < 300 or answer.status in also
            assert fine, (method, path, answer.status, await answer.text())
            return await answer.json() if answer.content_length else None

    async def seen(self, kind: str, within_s: float = 15) -> dict[str, Any]:
        """The first event of this kind, once it came."""

        async def came() -> bool:
            return any(event["type"] == kind for event in self.events)

        await eventually(came, within_s)
        return next(event for event in self.events if event["type"] == kind)

    @property
    def took_at_once(self) -> bool:
        """The one call there was, when it was offered first: the fallback has not answered it. A test that
        the machine kept waiting for too long has missed that."""
        return len(self.offered_at) == 1

    @property
    def offered_at(self) -> list[datetime]:
        return [
            datetime.fromisoformat(event["timestamp"])
            for event in self.events
            if event["type"] == "CallBroadcast"
        ]

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            self.events.append(event)
            if event["type"] == "CallBroadcast" and self.claims:
                channel = event["channel"]["id"]
                await self.ask("POST", "events/claim", also=TOO_LATE, channelId=channel, application=self.app)


@asynccontextmanager
async def engine(
    asterisk: Asterisk, app: str | None = None, *, claims: bool = True
) -> AsyncGenerator[Engine]:
    """``app``: else one of its own; the engine before may be switched off late, and with it its name."""
    app = app or f"ivr-{uuid4().hex[:6]}"
    headers = {"Authorization": aiohttp.encode_basic_auth(asterisk.ari_user, asterisk.ari_password)}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{asterisk.ari_url}/events", params={"app": app}) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        one = Engine(session, asterisk, app, claims)
        reading = tasks.create_task(one.read(socket))
        yield one
        reading.cancel()


async def push_phone(one: Engine, name: str, password: str) -> None:
    """A phone's account as the engine pushes it: auth and aor before the endpoint that names them."""
    objects = {
        "auth": {"auth_type": "userpass", "username": name, "password": password},
        "aor": {"max_contacts": "1", "remove_existing": "yes"},
        "endpoint": {
            "context": "ivr-agents",
            "transport": "transport-udp",
            "auth": name,
            "aors": name,
            "identify_by": "username",
            "disallow": "all",
            "allow": "alaw,ulaw,g722,opus",
            "direct_media": "no",
            "rtp_symmetric": "yes",
            "force_rport": "yes",
            "rewrite_contact": "yes",
            "media_address": "127.0.0.1",
            "bind_rtp_to_media_address": "yes",
            "allow_subscribe": "no",
            "allow_transfer": "no",
        },
    }
    for kind, fields in objects.items():
        body = {"fields": [{"attribute": key, "value": value} for key, value in fields.items()]}
        path = f"asterisk/config/dynamic/res_pjsip/{kind}/{name}"
        await one.ask("PUT", path, body)


@pytest.fixture
def sipp(asterisk: Asterisk, tmp_path: Path) -> Sipp:
    return Sipp(asterisk.sip_port, tmp_path)


@asynccontextmanager
async def fallback_ear(folder: Path | None = None) -> AsyncGenerator[Ear]:
    """An ear that knows the sentences of the fallback, ``wait`` and ``goodbye``, from ``folder``."""
    folder = folder or short_fallback()
    names = ("wait", "goodbye")
    one = await Ear.open(Library.of_files({name: folder / f"{name}.alaw" for name in names}))
    try:
        yield one
    finally:
        one.close()


def sounds(ear: Ear) -> list[str]:
    """What it heard, one after the other, pauses left out."""
    heard = [label for label in ear.heard(0.3) if label not in (NOTHING, SILENCE)]
    return [label for label, _ in groupby(heard)]


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    async with fallback_ear() as one:
        yield one


async def test_without_an_engine_the_caller_hears_the_sentence_then_music(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    async with sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port):
        await ear.hears("wait", whole=True)
        await ear.hears(MUSIC)
        await ear.listens(5)
    await asyncio.to_thread(asterisk.cli, "channel request hangup all")
    await nothing_left(asterisk)
    assert sounds(ear) == ["wait", MUSIC]
    assert sum(segment.seconds for segment in ear.segments if segment.kind == MUSIC) > 4, ear.story()
    # An Asterisk that is kept waiting pauses once; one that pauses at each offer does twice or more.
    assert sum(segment.kind == NOTHING for segment in ear.segments) < 2, ear.story()
    assert ear.longest(SILENCE, NOTHING) < 1, ear.story()


async def test_after_the_limit_the_caller_hears_goodbye_and_is_hung_up(
    own_asterisk: Asterisk, tmp_path: Path
) -> None:
    """In all the words of both sentences."""
    sipp = Sipp(own_asterisk.sip_port, tmp_path)
    async with (
        fallback_ear(fallback_sounds()) as ear,
        sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call,
    ):
        await ear.hears("goodbye", whole=True, within=40)
        await call.ended()
    assert sounds(ear) == ["wait", MUSIC, "goodbye"]


async def test_an_engine_that_comes_later_gets_the_caller_and_the_number_dialled(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    """Offered every two seconds, until one claims the call."""
    async with sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call:
        await ear.hears(MUSIC)
        async with engine(asterisk, claims=False) as late:

            async def offered_three_times() -> bool:
                return len(late.offered_at) >= 3

            await eventually(offered_three_times)
            late.claims = True
            offered = await late.seen("CallBroadcast")
            start = await late.seen("StasisStart")
            channel = start["channel"]["id"]
            await late.ask("DELETE", f"channels/{channel}")
            await call.ended()
    apart = [(later - earlier).total_seconds() for earlier, later in pairwise(late.offered_at)]
    # None sooner; a busy machine makes one or the other late.
    assert 1.9 < min(apart) < 2.5, apart
    assert offered["caller"] == "+4915112345678"
    assert start["args"] == ["700"]
    assert start["channel"]["dialplan"]["exten"] == "s"


async def test_an_engine_that_is_there_gets_the_call_at_once_unanswered(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    async with (
        engine(asterisk) as one,
        sipp.plays(caller(60), caller="anonymous", number="+49301234", ear=ear.port) as call,
    ):
        start = await one.seen("StasisStart")
        channel = start["channel"]["id"]
        await one.ask("POST", f"channels/{channel}/answer")
        await one.ask("DELETE", f"channels/{channel}")
        await call.ended()
    assert start["args"] == ["+49301234"]
    if one.took_at_once:
        assert start["channel"]["state"] == "Ring"
        assert start["channel"]["dialplan"]["exten"] == "+49301234"
        assert ear.packets == 0, ear.story()


async def test_a_caller_sent_to_the_fallback_is_offered_again_and_comes_back_clean(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    """Also: no music of the fallback sounds on under the holding bridge's (50 packets a second, not 100)."""
    async with (
        engine(asterisk) as one,
        sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call,
    ):
        first = await one.seen("StasisStart")
        channel = first["channel"]["id"]
        await one.ask("POST", f"channels/{channel}/answer")
        one.events.clear()
        await one.ask("POST", f"channels/{channel}/continue", context="ivr-fallback", extension="s")
        await ear.hears("wait", whole=True)
        again = await one.seen("StasisStart")
        bridge = await one.ask("POST", "bridges", type="holding")
        await one.ask("POST", f"bridges/{bridge['id']}/moh")
        await one.ask("POST", f"bridges/{bridge['id']}/addChannel", channel=channel)
        await ear.hears(MUSIC)
        await ear.listens(0)
        began, before = ear.now, ear.packets
        await ear.listens(3)
        rate = (ear.packets - before) / (ear.now - began)
        await one.ask("DELETE", f"channels/{channel}")
        await one.ask("DELETE", f"bridges/{bridge['id']}")
        await call.ended()
    assert again["args"] == ["700"]
    assert 25 < rate < 75


async def test_an_engine_that_gives_a_caller_back_at_once_does_not_make_the_sentence_come_again(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    async with sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call:
        await ear.hears("wait", whole=True)
        await ear.hears(MUSIC)
        async with engine(asterisk) as one:
            channel = (await one.seen("StasisStart"))["channel"]["id"]
            for _ in range(2):
                one.events.clear()
                await one.ask("POST", f"channels/{channel}/continue", context="ivr-fallback", extension="s")
                await one.seen("StasisStart")
            await one.ask("DELETE", f"channels/{channel}")
            await call.ended()
    assert sounds(ear) == ["wait", MUSIC]


async def test_a_withheld_number_is_withheld_from_us(asterisk: Asterisk, sipp: Sipp, ear: Ear) -> None:
    """Also when the carrier tells it."""
    asks = "Max-Forwards: 70\nP-Asserted-Identity: <sip:+4915133334444@127.0.0.1>"
    for app, privacy, number in (
        ("ivr-shown", "", "+4915133334444"),
        ("ivr-withheld", "\nPrivacy: id", ""),
    ):
        scenario = caller(60).replace("Max-Forwards: 70", asks + privacy)
        async with (
            engine(asterisk, app) as one,
            sipp.plays(scenario, caller="anonymous", number="700", ear=ear.port) as call,
        ):
            start = await one.seen("StasisStart")
            channel = start["channel"]["id"]
            await one.ask("POST", f"channels/{channel}/answer")
            await one.ask("DELETE", f"channels/{channel}")
            await call.ended()
        offered = await one.seen("CallBroadcast")
        assert start["channel"]["caller"]["number"] == number
        assert offered.get("caller", "") == number
        assert bool(number) == ("33334444" in json.dumps(one.events))


@pytest.mark.parametrize("number", ["500&PJSIP/ivr-trunk", "7$%7BEXTEN%7D", "7)%7D%5D%22", "support"])
async def test_what_is_not_a_number_does_not_exist(
    asterisk: Asterisk, sipp: Sipp, ear: Ear, number: str
) -> None:
    async with engine(asterisk) as one:
        await sipp.play(refused(404), caller="+4915112345678", number=number, ear=ear.port)
        await nothing_left(asterisk)
    assert not one.events


async def test_an_agents_phone_registers_is_rung_and_can_dial_nothing(
    asterisk: Asterisk, sipp: Sipp, ear: Ear
) -> None:
    async with engine(asterisk) as one:
        await push_phone(one, AGENT, "secret")
        port = ports.free(socket.SOCK_DGRAM)
        await sipp.play(phone(), local_port=port, caller=AGENT, password="secret")
        # The name alone is worth nothing, from the very same address.
        await sipp.play(refused(401), caller=AGENT, number="700", ear=ear.port)
        async with sipp.plays(phone_that_answers(60), local_port=port, ear=ear.port) as call:
            await one.ask(
                "POST", "channels/agent-leg-1", endpoint=f"PJSIP/{AGENT}", app=one.app, callerId="+4930"
            )
            await one.seen("StasisStart")
            await one.ask("POST", "channels/agent-leg-1/play", media="sound:ivr-fallback/wait")
            await ear.hears("wait")
            await one.ask("DELETE", "channels/agent-leg-1")
            await call.ended()
        # A caller from that address is still just a caller.
        one.events.clear()
        async with sipp.plays(caller(60), caller="+4915112345678", number="700", ear=ear.port) as call:
            start = await one.seen("StasisStart")
            await one.ask("POST", f"channels/{start['channel']['id']}/answer")
            await one.ask("DELETE", f"channels/{start['channel']['id']}")
            await call.ended()
    await nothing_left(asterisk)
