"""Bad input at the webhooks, over real sockets: forged, replayed, huge, slow, broken."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.sms.signing import SIGNATURE_HEADER, signature
from ivr_engine.web.webhooks import BODY_BYTES
from tests.flow.messaging_rig import PHONE, SECRET, SENDER, Rig, rig

INBOUND = "/webhooks/sms/simulator/inbound"
STATUS = "/webhooks/sms/simulator/status"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path, services=False) as it:
        yield it


@pytest.fixture
async def http(it: Rig) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(it.url, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


def text(id: str = "SM1", **fields: object) -> bytes:
    return json.dumps(
        {"id": id, "from": PHONE, "to": SENDER, "text": "Hello", "media": [], **fields}
    ).encode()


def signed(it: Rig, path: str, body: bytes) -> dict[str, str]:
    return {SIGNATURE_HEADER: signature(SECRET, it.url + path, body)}


async def post(
    it: Rig,
    http: aiohttp.ClientSession,
    body: bytes,
    *,
    path: str = INBOUND,
    headers: dict[str, str] | None = None,
) -> int:
    sent = signed(it, path, body) if headers is None else headers
    async with http.post(path, data=body, headers=sent) as answer:
        return answer.status


async def test_forged_webhooks_are_worth_one_line(it: Rig, http: aiohttp.ClientSession) -> None:
    with capture_logs() as lines:
        for _ in range(5):
            assert await post(it, http, text(), headers={}) == 403
    assert [line["event"] for line in lines if line["event"].startswith("webhook")] == ["webhook.refused"]


async def test_a_genuine_text_is_stored_before_it_is_answered(it: Rig, http: aiohttp.ClientSession) -> None:
    assert await post(it, http, text()) == 204
    assert [m.text for m in await it.received()] == ["Hello"]


async def test_what_is_not_signed_is_refused(it: Rig, http: aiohttp.ClientSession) -> None:
    body = text()
    for headers in (
        {},
        {SIGNATURE_HEADER: ""},
        {SIGNATURE_HEADER: "0" * 64},
        {SIGNATURE_HEADER: "ü"},
        {SIGNATURE_HEADER: signature("another secret", it.url + INBOUND, body)},
        {SIGNATURE_HEADER: signature("", it.url + INBOUND, body)},
        signed(it, STATUS, body),
        signed(it, INBOUND, text("SM2")),
        # The configured address counts; what the request claims to have called does not.
        {
            SIGNATURE_HEADER: signature(SECRET, "http://evil.example" + INBOUND, body),
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
        },
    ):
        assert await post(it, http, body, headers=headers) == 403
    assert await it.received() == []


async def test_a_thousand_forged_signatures_pass_never(it: Rig, http: aiohttp.ClientSession) -> None:
    chance = random.Random(1)
    genuine = signature(SECRET, it.url + INBOUND, text())
    for _ in range(1000):
        place = chance.randrange(64)
        other = chance.choice("0123456789abcdef".replace(genuine[place], ""))
        forged = genuine[:place] + other + genuine[place + 1 :]
        assert await post(it, http, text(), headers={SIGNATURE_HEADER: forged}) == 403
    assert await it.received() == []


async def test_a_replay_ten_times_at_once_has_one_effect(it: Rig, http: aiohttp.ClientSession) -> None:
    assert await asyncio.gather(*(post(it, http, text()) for _ in range(10))) == [204] * 10
    assert len(await it.received()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"id": 5}',
        b'{"id": "SM1", "from": null, "to": "x"}',
        b"\xff\xfe\x00",
        b'{"id": "SM1", "from": "+49", "to": "+49", "text": "\xff"}',
        b"[" * 10_000,
        b'{"id": "SM1"' + b" " * 1000,
        b'{"unknown": ' + b"[" * 60_000,
    ],
)
async def test_a_signed_body_that_makes_no_sense_is_refused(
    it: Rig, http: aiohttp.ClientSession, body: bytes
) -> None:
    assert await post(it, http, body) == 403
    assert await post(it, http, body, path=STATUS) == 403
    assert await it.received() == []


async def test_unknown_fields_and_strange_texts_are_taken(it: Rig, http: aiohttp.ClientSession) -> None:
    strange = {
        "SM1": "\x00\x01",
        "SM2": "\u202e😀" * 9,
        "SM3": "",
        "SM4": "<script>alert(1)</script>",
        "SM5": "x" * 50_000,
    }
    for id, content in strange.items():
        assert await post(it, http, text(id, text=content, new_field={"a": [1]})) == 204
    assert len(await it.received()) == len(strange)


@pytest.mark.parametrize("size", [BODY_BYTES + 1, 900_000])
async def test_too_large_is_413_whatever_the_length_says(
    it: Rig, http: aiohttp.ClientSession, size: int
) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(0, size, 16_000):
            yield b"x" * 16_000

    for body in (b"x" * size, pieces()):
        try:
            async with http.post(INBOUND, data=body) as answer:
                assert answer.status == 413
        except aiohttp.ClientOSError:
            assert size > BODY_BYTES + 1  # answered and closed before all of it was sent
    assert await post(it, http, text()) == 204


async def test_a_packed_body_is_never_unpacked(it: Rig, http: aiohttp.ClientSession) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    headers = signed(it, INBOUND, bomb) | {"Content-Encoding": "gzip"}
    assert await post(it, http, bomb, headers=headers) == 415


async def test_a_length_that_lies_hurts_nobody(it: Rig, http: aiohttp.ClientSession) -> None:
    """A body that never comes to its end; meanwhile others are served."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]))
    writer.write(f"POST {INBOUND} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\nhello".encode())
    await writer.drain()
    assert await post(it, http, text()) == 204
    async with asyncio.timeout(20):
        assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_other_providers_paths_and_methods(it: Rig, http: aiohttp.ClientSession) -> None:
    assert await post(it, http, text(), path="/webhooks/sms/nobody/inbound") == 404
    async with http.get(INBOUND) as answer:
        assert answer.status == 405
    status = json.dumps({"id": "SM1", "status": "delivered"}).encode()
    assert (
        await post(it, http, status, path=STATUS + "?message=nobody") == 204
    )  # genuine, of no use, not repeated


async def test_a_status_report_moves_our_message_once(it: Rig, http: aiohttp.ClientSession) -> None:
    await it.call()
    await it.send("m1")
    body = json.dumps({"id": "SM1", "status": "delivered", "error_code": None}).encode()
    for _ in range(10):
        assert await post(it, http, body, path=STATUS + "?message=m1") == 204
    message = await it.message()
    assert (message.status, message.provider_id) == (MessageStatus.DELIVERED, "SM1")
    events = await it.store.run(lambda tx: tx.events.of_call("c1"))
    assert [e.kind for e in events] == ["message_status_changed"]


async def test_a_message_id_that_was_not_signed_is_refused(it: Rig, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"id": "SM1", "status": "delivered"}).encode()
    headers = signed(it, STATUS + "?message=m1", body)
    assert await post(it, http, body, path=STATUS + "?message=m2", headers=headers) == 403


async def test_nothing_is_acknowledged_that_is_not_stored(it: Rig, http: aiohttp.ClientSession) -> None:
    await it.store.close()
    assert await post(it, http, text()) == 503


async def test_the_handset_says_what_is_wrong(it: Rig, http: aiohttp.ClientSession) -> None:
    phone = f"/api/v1/handset/{PHONE}/messages"
    for path, body, status in (
        (phone, {"text": ""}, 409),
        (phone, {"text": "x" * 1601}, 422),
        (phone, {"texts": "x"}, 422),
        (phone, {"text": "nobody wrote"}, 409),
        ("/api/v1/handset/abc/messages", {"text": "x"}, 422),
        (phone, {"text": "x", "to": SENDER}, 201),
        ("/api/v1/handset/015112345678/messages", {"text": "y", "to": "030123456"}, 201),
    ):
        async with http.post(path, json=body) as answer:
            assert answer.status == status, (body, await answer.text())
    async with http.post(phone, data=b"x", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    assert [(e.sender, e.recipient) for e in await it.ledger("inbound")] == [(PHONE, SENDER)] * 2
