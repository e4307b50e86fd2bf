"""Uvicorn in our loop, over real sockets: limits, slow senders, a taken port, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import web_rig
from fastapi import APIRouter, Request
from starlette.types import ASGIApp

from ivr_engine.errors import ConfigError
from ivr_engine.web import limits, server
from ivr_engine.web.app import create_app
from ivr_engine.web.limits import BODY_BYTES, UPLOAD_BYTES
from ivr_engine.web.server import HEAD_BYTES, listen, serve

SOON_S = 12.0
"""Less than a connection is kept for the next request: one closed for being idle was not closed soon."""
TOKEN_LINE = f"Authorization: Bearer {web_rig.TOKEN}\r\n".encode()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, listening=lambda _host, p: port.set_result(p)))
    try:
        async with asyncio.timeout(SOON_S):
            yield await port
    finally:
        task.cancel()
        async with asyncio.timeout(SOON_S):
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[ASGIApp]:
    from ivr_engine.domain.records import replace

    rig = web_rig.make(tmp_path, checks=())
    more = APIRouter()

    @more.post("/handset/x")
    @more.post("/x")
    async def size(request: Request) -> int:
        return len(await request.body())

    yield create_app(replace(rig.services, more=(more,)))
    await rig.store.close()


async def raw(port: int, sent: bytes) -> bytes:
    """Send and read until the other side closes, or cuts the line because we still talk."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = bytearray()
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        async with asyncio.timeout(SOON_S):
            while chunk := await reader.read(65_536):
                got += chunk
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return bytes(got)


async def test_it_answers_and_ends_cleanly_when_cancelled(app: ASGIApp) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with served(app) as port:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/health")
        assert answer.status_code == 200
        assert "server" not in answer.headers
    listen("127.0.0.1", port).close()


async def test_a_taken_port_is_a_sentence(app: ASGIApp) -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError) as error:
        await serve(app, "127.0.0.1", taken.getsockname()[1])
    assert "the port is taken by another program" in str(error.value)
    assert "IVR_HTTP_PORT" in str(error.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_a_sentence(host: str) -> None:
    with pytest.raises(ConfigError, match="IVR_HTTP_HOST"):
        listen(host, 8080)


@pytest.mark.parametrize(("path", "most"), [("/api/v1/x", BODY_BYTES), ("/api/v1/handset/x", UPLOAD_BYTES)])
async def test_a_body_has_a_limit_whatever_it_claims(app: ASGIApp, path: str, most: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(most // 65_536 + 2):
            yield b"x" * 65_536

    headers = {"Authorization": f"Bearer {web_rig.TOKEN}"}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://e", headers=headers) as client:
        assert (await client.post(path, content=b"x" * most)).json() == most
        for body in (b"x" * (most + 1), chunks()):
            answer = await client.post(path, content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        packed = await client.post(path, content=b"x", headers={"Content-Encoding": "gzip"})
        assert packed.status_code == 415


async def test_a_body_that_does_not_come_is_408(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_ARRIVES_S", 0.05)
    async with served(app) as port:
        answer = await raw(
            port, b"POST /api/v1/x HTTP/1.1\r\nHost: e\r\n" + TOKEN_LINE + b"Content-Length: 10\r\n\r\nabc"
        )
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too_slow" in answer


@pytest.mark.parametrize(
    "part",
    [b"", b"\r\n", b"GE", b"GET /health HTTP/1.1\r\nHost: e\r\nX-Slow: 1\r\n"],
)
async def test_a_head_that_does_not_come_ends_the_connection(
    app: ASGIApp, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_ARRIVES_S", 0.05)
    async with served(app) as port:
        assert await raw(port, part) == b""


async def test_also_the_second_head_of_a_connection(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_ARRIVES_S", 0.2)
    async with served(app) as port:
        answer = await raw(port, b"GET /health HTTP/1.1\r\nHost: e\r\n\r\nGET /hea")
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nHost: e\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: e\r\nX: " + b"y" * HEAD_BYTES + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: e\r\n" + b"A: b\r\n" * HEAD_BYTES + b"\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_head_too_large_or_broken_is_400(app: ASGIApp, head: bytes) -> None:
    async with served(app) as port:
        answer = await raw(port, head)
    assert answer.startswith(b"HTTP/1.1 400") or (not answer and len(head) > 2 * HEAD_BYTES)


async def test_who_goes_on_sending_after_the_answer_is_cut_off(app: ASGIApp) -> None:
    async with served(app) as port:
        answer = await raw(port, b"POST /api/v1/calls HTTP/1.1\r\nHost: e\r\nContent-Length: 99\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 401")


async def test_slow_connections_do_not_keep_others_waiting(app: ASGIApp) -> None:
    async with served(app) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        for _reader, writer in slow:
            writer.write(b"GET /health HTTP/1.1\r\n")
        async with httpx2.AsyncClient(trust_env=False, timeout=SOON_S) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/health")
        assert answer.status_code == 200
        for _reader, writer in slow:
            writer.close()
            await writer.wait_closed()
