"""ARI requests over HTTP, against a server that answers byte by byte what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ivr_engine.asterisk import http_connections, transport_http
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.transport_http import HttpTransport
from ivr_engine.errors import Gone, Rejected, Unreachable

NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: Asterisk/22.5.1\r\nConnection: keep-alive\r\n\r\n"


def said(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Server:
    """``says``: what the next requests are answered, ``None`` for never; then ``204`` for ever."""

    port: int = 0
    says: list[bytes | None] = field(default_factory=list[bytes | None])
    closes: bool = False
    connections: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.says.pop(0) if self.says else NO_CONTENT
                if answer is not None:
                    writer.write(answer)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def talking(*says: bytes | None, closes: bool = False) -> AsyncGenerator[tuple[Server, HttpTransport]]:
    server = Server(says=list(says), closes=closes)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    settings = AriSettings(
        url=f"http://127.0.0.1:{server.port}/ari", user="u", password="p", application="ivr"
    )
    async with HttpTransport(settings, 0.3) as transport:
        yield server, transport
    listener.close()
    await listener.wait_closed()


async def test_what_is_sent() -> None:
    async with talking() as (server, transport):
        await transport.request("POST", "/channels/a%2Fb/play", query=[("media", "sound:a b")], body={"x": 1})
    assert server.requests == [
        b"POST /ari/channels/a%2Fb/play?media=sound%3Aa%20b HTTP/1.1\r\n"
        + f"Host: 127.0.0.1:{server.port}\r\n".encode()
        + b"Authorization: Basic dTpw\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        + b'{"x":1}'
    ]


async def test_one_connection_carries_one_request_after_another() -> None:
    async with talking(said(b"[1]"), NO_CONTENT, said(b"[3]")) as (server, transport):
        assert [await transport.request("GET", "/x") for _ in range(3)] == [b"[1]", b"", b"[3]"]
        assert server.connections == 1
        await asyncio.gather(*(transport.request("GET", "/x") for _ in range(5)))
        assert server.connections == 5


@pytest.mark.parametrize("closes", [True, False])
async def test_a_server_that_closes_after_each_answer(closes: bool) -> None:
    answer = said(b"ok", "Connection: close")
    async with talking(answer, answer, closes=closes) as (server, transport):
        for _ in range(2):
            assert await transport.request("GET", "/x") == b"ok"
        assert server.connections == 2


async def test_a_connection_long_unused_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "IDLE_S", 0.0)
    async with talking() as (server, transport):
        await transport.request("GET", "/x")
        await transport.request("GET", "/x")
        assert server.connections == 2


async def test_an_answer_in_pieces_and_one_in_chunks() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with talking(chunked, said(b"x" * 1_000_000)) as (_, transport):
        assert await transport.request("GET", "/x") == b"abcde"
        assert await transport.request("GET", "/x") == b"x" * 1_000_000


async def test_a_status_means_what_it_means_everywhere() -> None:
    gone = said(b'{"message":"Channel not found"}', status="404 Not Found")
    async with talking(gone) as (_, transport):
        with pytest.raises(Gone, match="Channel not found"):
            await transport.request("GET", "/channels/x")


async def test_the_answer_that_comes_too_late_meets_no_other_request() -> None:
    async with talking(None, said(b"second")) as (server, transport):
        with pytest.raises(Unreachable, match="no answer in"):
            await transport.request("GET", "/first")
        assert await transport.request("GET", "/second") == b"second"
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"SSH-2.0-x\r\n\r\n", b"\0" * 2000]
)
async def test_no_answer_or_half_of_one(answer: bytes) -> None:
    async with talking(answer, closes=True) as (server, transport):
        with pytest.raises(Unreachable):
            await transport.request("GET", "/x")
        server.closes = False
        assert await transport.request("GET", "/x") == b""


async def test_more_than_was_asked_for_ends_the_connection() -> None:
    async with talking(said(b"one") + said(b"two"), said(b"three")) as (server, transport):
        assert await transport.request("GET", "/x") in (b"one", b"two")
        assert await transport.request("GET", "/x") == b"three"
        assert server.connections == 2


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_http, "LARGEST_ANSWER", 1000)
    async with talking(said(b"x" * 2000)) as (_, transport):
        with pytest.raises(Rejected, match="larger"):
            await transport.request("GET", "/x")


async def test_nobody_there() -> None:
    settings = AriSettings(url="http://127.0.0.1:1/ari", user="u", password="p", application="ivr")
    transport = HttpTransport(settings, 1.0)
    with pytest.raises(Unreachable, match="starts or stops"):
        await transport.request("GET", "/x")
    async with transport:
        with pytest.raises(Unreachable, match="is Asterisk running"):
            await transport.request("GET", "/x")
