"""Skills, RONA, breaks, the emergency switch, a header as access point, and a phone that vanishes: on a real
Asterisk, in one story."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path

from scripts.stack import Asterisk, Ports
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import House, example_site, with_queue
from tests.integration.sip import REGISTERED_S, Sipp, caller, eventually, phone, phone_that_answers
from tests.integration.watchful_engine import LOOK_EVERY_S
from tests.sipp.api import Api, Item, api_of, until

PROGRAM = Path(__file__).with_name("watchful_engine.py")
DIALLED = "795"
FIRST, SECOND = "+4915112345601", "+4915112345602"
QUIET: dict[str, object] = {
    "announce_position": "no",
    "announcement_interval": 600,
    "ring_time": 4,
    "in_call_sms": "no",
}


async def test_a_shift(asterisk: Asterisk, tmp_path: Path) -> None:
    site = example_site()
    site["skills"] = {"billing": "Billing"}
    new, able = with_queue(site, "skilled", "796", agents=2, skills={"billing": 5}, **QUIET)
    site["agents"][new]["skills"] = {"billing": 2}
    site["agents"][able]["skills"] = {"billing": 7}
    site["numbers"][DIALLED] = {"queue": "express"}
    site["access_points"] = {"trunks": ["ivr-trunk"], "points": {"desk": {"queue": "skilled"}}}
    async with AsyncExitStack() as stack:
        house = stack.enter_context(House(asterisk, tmp_path / "house", site, program=(str(PROGRAM),)))
        sink = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        sink.bind(("127.0.0.1", 0))
        ear = sink.getsockname()[1]
        api = await stack.enter_async_context(api_of(house.url, house.token))
        sipp, here = Sipp(asterisk.sip_port, tmp_path), Ports.free().sip
        account = (await api.get(f"agents/{able}/phone"))["password"]
        registering: dict[str, str | int] = {"caller": able, "password": account, "ear": ear}
        await _plays(sipp, phone(), here, registering)

        # The one who has been idle longer has too little skill; the other one does not answer.
        await api.sign_in(new)
        await asyncio.sleep(LOOK_EVERY_S)  # the engine has seen the phone once
        await api.sign_in(able)
        by_header = caller(60).replace("Max-Forwards: 70", "Max-Forwards: 70\nX-IVR-Access: Desk", 1)
        calling = sipp.plays(by_header, caller=FIRST, number=DIALLED, ear=ear)
        first = await stack.enter_async_context(calling)
        missed = await _agent_is(api, able, "rona")
        assert missed["reason"] in ("no_answer", "unreachable")
        assert await _call_is(api, FIRST, "waiting") == ("skilled", 1)
        assert (await api.get(f"agents/{new}"))["state"] == "available"

        # Back by hand, they answer; the break asked for meanwhile begins when the call is over.
        answering = sipp.plays(phone_that_answers(60), local_port=here, ear=ear)
        await stack.enter_async_context(answering)
        await eventually(lambda: _listens(here))
        await api.post(f"agents/{able}/back")
        await _agent_is(api, able, "on_contact")
        assert (await api.post(f"agents/{able}/break", {"reason": "lunch"}))["next_break"] == "lunch"
        await api.post(f"calls/{(await api.call(FIRST))['id']}/hang-up")
        assert (await _agent_is(api, able, "on_break"))["reason"] == "lunch"
        await first.ended()

        # Closed in an emergency, whoever waits hears why and is hung up on.
        late = await stack.enter_async_context(sipp.plays(by_header, caller=SECOND, number=DIALLED, ear=ear))
        await _call_is(api, SECOND, "waiting")
        await api.post("queues/skilled/close")
        await _call_is(api, SECOND, "ended", within=30)
        await late.ended()
        kinds = [event["kind"] for event in await api.timeline((await api.call(SECOND))["id"])]
        assert "line_left" in kinds

        # The phone says goodbye to Asterisk, and its agent is out.
        gone = phone().replace(f"Expires: {REGISTERED_S}", "Expires: 0")
        await _plays(sipp, gone, here, registering)
        assert (await _agent_is(api, able, "offline", within=35))["reason"] == "phone_gone"
        assert (await api.get(f"agents/{new}"))["state"] == "available", "a phone never seen is not missed"
    await nothing_left(asterisk)


async def _plays(sipp: Sipp, scenario: str, local_port: int, keys: Mapping[str, str | int]) -> None:
    async with sipp.plays(scenario, local_port=local_port, **keys) as call:
        await call.ended()


async def _listens(port: int) -> bool:
    """Whether somebody has this UDP port; to try would be to take it."""
    _, *sockets = (await asyncio.to_thread(Path("/proc/net/udp").read_text)).splitlines()
    return any(line.split()[1].endswith(f":{port:04X}") for line in sockets)


async def _agent_is(api: Api, name: str, state: str, within: float = 15.0) -> Item:
    return await until(
        lambda: api.agent(name), lambda it: it["state"] == state, what=f"{name} is {state}", within=within
    )


async def _call_is(api: Api, number: str, state: str, within: float = 15.0) -> tuple[str, int | None]:
    async def newest() -> Item:
        found = await api.calls(number)
        return found[0] if found else {"state": None}

    call = await until(newest, lambda it: it["state"] == state, what=f"{number} is {state}", within=within)
    return call["queue"], call["position"]
