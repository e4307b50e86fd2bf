"""What only the simulator does: credentials, faults, callbacks and the handset over its own API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.errors import Refused
from ivr_engine.ports import Accepted, InboundSms, NotTaken, StatusReport
from ivr_engine.sms.faults import Fault, Faults
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.sms.simulator_server import SimulatorSettings, running
from tests.contract.sms_worlds import PHONE, SECRET, SENDER, SimulatorWorld, message, simulator_world

SIGNED_IN = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SimulatorWorld]:
    async with simulator_world(tmp_path) as world:
        yield world


@pytest.fixture
async def http(world: SimulatorWorld) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(world.server.url, headers=SIGNED_IN) as session:
        yield session


async def sent(world: SimulatorWorld, id: str = "m1") -> object:
    return await world.provider.send(message(id), world.status_url(message(id)))


async def reports(world: SimulatorWorld, count: int) -> list[MessageStatus]:
    read = [world.provider.read_webhook(hook) for hook in await world.called(count)]
    return [r.status for r in read if isinstance(r, StatusReport)]


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/control/faults", f"/handset/{PHONE}/messages", "/v1/media/x"]
)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x", f"bearer{SECRET}"])
async def test_nothing_without_the_secret(world: SimulatorWorld, path: str, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    async with (
        aiohttp.ClientSession(headers=headers) as stranger,
        stranger.get(world.server.url + path) as answer,
    ):
        assert answer.status == 401


async def test_wrong_credentials_cost_no_message_for_good(world: SimulatorWorld) -> None:
    stranger = Simulator(SimulatorAccount(url=world.server.url, secret="wrong"))
    try:
        result = await stranger.send(message(), world.status_url(message()))
    finally:
        await stranger.close()
    assert isinstance(result, NotTaken)
    assert result.retry_after_s == 30


async def test_it_takes_a_form_as_well_as_json(world: SimulatorWorld, http: aiohttp.ClientSession) -> None:
    for how in ("data", "json"):
        fields = {"from": SENDER, "to": PHONE, "text": f"by {how}"}
        async with http.post("/v1/messages", **{how: fields}) as answer:  # type: ignore[arg-type]
            assert answer.status == 201
    assert await world.accepted() == ["by data", "by json"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "123"}, "21211"),
        ({"from": "?"}, "21212"),
        ({"text": ""}, "21617"),
        ({"text": "x" * 1601}, "21617"),
        ({"status_callback": "http://169.254.169.254/"}, "21609"),
        ({"status_callback": "file:///etc/passwd"}, "21609"),
        ({"status_callback": "http://127.0.0.1:99999/"}, "21609"),
    ],
)
async def test_bad_requests_are_refused_with_a_code(
    world: SimulatorWorld, http: aiohttp.ClientSession, change: dict[str, str], code: str
) -> None:
    fields = {"from": SENDER, "to": PHONE, "text": "Hello"} | change
    async with http.post("/v1/messages", json=fields) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, code)
    assert await world.accepted() == []


async def test_the_list_comes_in_pages(world: SimulatorWorld, http: aiohttp.ClientSession) -> None:
    for n in range(5):
        await sent(world, f"m{n}")
    found: list[str] = []
    page = "0"
    while page:
        async with http.get("/v1/messages", params={"page_size": "2", "page": page, "to": PHONE}) as answer:
            listed = await answer.json()
        found += [m["reference"] for m in listed["messages"]]
        page = listed["next_page"]
    assert found == [f"m{n}" for n in range(5)]
    async with http.get("/v1/messages", params={"since": "yesterday"}) as answer:
        assert answer.status == 400


async def test_faults_are_set_shown_and_cleared_over_its_api(
    world: SimulatorWorld, http: aiohttp.ClientSession
) -> None:
    async with http.post("/control/faults", json={"on": "send", "kind": "error", "times": 1}) as answer:
        assert answer.status == 201
    assert not isinstance(await sent(world), Accepted)
    assert isinstance(await sent(world), Accepted)  # once was asked for
    async with http.post("/control/faults", json={"on": "send", "kind": "error"}) as answer:
        assert len((await answer.json())["faults"]) == 1
    async with http.delete("/control/faults") as answer:
        assert answer.status == 204
    assert isinstance(await sent(world), Accepted)


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "send", "kind": "missing"},
        {"on": "nowhere", "kind": "error"},
        {"on": "send", "kind": "error", "times": 0},
        {"on": "send", "kind": "error", "seconds": -1},
        {"on": "send", "kind": "error", "status": 200},
        {"on": "send", "kind": "error", "copy": 2},
        {"on": "callbacks", "kind": "duplicate", "copies": 100_000},
        {},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    http: aiohttp.ClientSession, fault: dict[str, object]
) -> None:
    async with http.post("/control/faults", json=fault) as answer:
        assert answer.status == 422


def test_a_fault_for_some_seconds_ends_by_itself() -> None:
    now = 0.0
    faults = Faults(clock=lambda: now)
    faults.add(Fault(on="send", kind="error", seconds=60))
    faults.add(Fault(on="list", kind="error", times=1))
    assert faults.take("send") is not None
    now = 59.9
    assert faults.take("send") is not None
    now = 60.0
    assert faults.take("send") is None
    assert faults.take("list") is not None
    assert faults.take("list") is None


async def test_callbacks_can_be_doubled_reversed_late_or_missing(world: SimulatorWorld) -> None:
    delivered, done = MessageStatus.DELIVERED, MessageStatus.SENT
    world.server.faults.add(Fault(on="callbacks", kind="duplicate", times=1, copies=3))
    await sent(world)
    assert await reports(world, 6) == [done] * 3 + [delivered] * 3
    world.sink.received.clear()
    world.server.faults.add(Fault(on="callbacks", kind="reversed", times=1))
    await sent(world)
    assert await reports(world, 2) == [delivered, done]
    world.sink.received.clear()
    world.server.faults.add(Fault(on="callbacks", kind="missing", times=1))
    await sent(world)
    world.server.faults.add(Fault(on="callbacks", kind="undelivered", times=1, code="30003"))
    await sent(world, "m2")
    hooks = [world.provider.read_webhook(hook) for hook in await world.called(2)]
    assert [(r.message_id, r.status, r.error_code) for r in hooks if isinstance(r, StatusReport)] == [
        ("m2", done, None),
        ("m2", MessageStatus.UNDELIVERED, "30003"),
    ]


async def test_callbacks_may_come_before_the_answer(world: SimulatorWorld) -> None:
    world.server.faults.add(Fault(on="send", kind="early_callbacks", times=1))
    assert isinstance(await sent(world), Accepted)
    assert len(world.sink.received) == 2


async def test_a_webhook_that_fails_is_tried_once_more(world: SimulatorWorld) -> None:
    world.sink.answers = [500, 500, 204]
    await world.phone_writes("first")
    await world.called(2)
    await world.phone_writes("second")
    told = [world.provider.read_webhook(hook) for hook in await world.called(3)]
    assert [t.text for t in told if isinstance(t, InboundSms)] == ["first", "first", "second"]


async def test_the_phone_answers_whoever_wrote_last(world: SimulatorWorld) -> None:
    with pytest.raises(Refused):
        await world.provider.answer(PHONE, None, "anybody there?", [])
    await sent(world)
    await world.provider.answer(PHONE, None, "yes", [])
    entries = await world.entries()
    assert [(e.direction, e.sender, e.recipient) for e in entries] == [
        ("outbound", SENDER, PHONE),
        ("inbound", PHONE, SENDER),
    ]


async def test_media_only_for_those_who_sign_in(world: SimulatorWorld) -> None:
    await world.phone_writes("look", [("image/png", b"one")])
    told = world.provider.read_webhook((await world.called(1))[0])
    assert isinstance(told, InboundSms)
    async with aiohttp.ClientSession() as stranger, stranger.get(told.media[0][0]) as answer:
        assert answer.status == 401


async def test_never_on_a_network_and_never_without_a_secret(tmp_path: Path) -> None:
    for settings in (
        SimulatorSettings(secret="s", state=tmp_path, host="0.0.0.0", port=0),
        SimulatorSettings(secret="", state=tmp_path, port=0),
    ):
        with pytest.raises(Refused):
            async with running(settings):
                pass


async def test_two_hundred_messages_at_once_are_all_accepted_and_told(tmp_path: Path) -> None:
    async with simulator_world(tmp_path, send_s=60.0) as world:
        results = await asyncio.gather(*(sent(world, f"m{n}") for n in range(200)))
        assert all(isinstance(r, Accepted) for r in results)
        hooks = await world.called(400)
    assert len({msgspec.json.decode(h.body)["id"] for h in hooks}) == 200
