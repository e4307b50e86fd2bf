"""Look-ups over HTTP: whatever the other side does, it ends in time, in JSON or in an error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.lookup.http import MOST_BYTES, MOST_DEPTH, HttpLookup
from ivr_engine.ports import Question

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Other:
    """The other side, which answers as a test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes, str | None]] = []
        self.handler: Handler | None = None

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        token = request.headers.get("Authorization")
        self.requests.append((request.method, dict(request.query), body, token))
        assert self.handler is not None
        return await self.handler(request)


@pytest.fixture
async def other() -> Other:
    return Other()


@pytest.fixture
async def url(other: Other) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other.take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/caller"))


@pytest.fixture
async def lookup() -> AsyncIterator[HttpLookup]:
    made = HttpLookup({"IVR_CRM_TOKEN": "secret"})
    yield made
    await made.close()


def question(url: str, **fields: Any) -> Question:
    usual: dict[str, Any] = {"method": "get", "parameters": {}, "deadline_s": 20.0}
    return Question(url=url, **{**usual, **fields})


def answering(raw: bytes, status: int = 200, **headers: str) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=raw, status=status, headers=headers)

    return handle


async def test_a_get_carries_its_parameters_encoded(other: Other, url: str, lookup: HttpLookup) -> None:
    other.handler = answering(b'{"a": [1]}')
    asked = {"phone": "+49 30&x=1#?", "name": "Ä{caller}"}
    assert await lookup.ask(question(url, parameters=asked)) == {"a": [1]}
    assert other.requests == [("GET", asked, b"", None)]


async def test_a_post_carries_them_as_json_and_a_token(other: Other, url: str, lookup: HttpLookup) -> None:
    other.handler = answering(b"[]")
    asked = {"phone": 'x"}, {"admin": "yes'}
    await lookup.ask(question(url, method="post", parameters=asked, token_from="IVR_CRM_TOKEN"))
    [(method, query, body, token)] = other.requests
    assert (method, query, json.loads(body), token) == ("POST", {}, asked, "Bearer secret")


async def test_a_token_that_is_not_there_is_said_by_its_name(url: str, lookup: HttpLookup) -> None:
    with pytest.raises(ExternalError, match="IVR_OTHER is not set"):
        await lookup.ask(question(url, token_from="IVR_OTHER"))


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (answering(b"no json"), "no JSON"),
        (answering(b"\xff\xfe\x00"), "no JSON"),
        (answering(b""), "no JSON"),
        (answering(b"{}", 500), "status 500"),
        (answering(b"{}", 302, Location="http://127.0.0.1:1/"), "status 302"),
        (answering(b'"' + b"x" * MOST_BYTES + b'"'), "larger than"),
        (answering(b"[" * 50_000), "nested deeper"),
        (answering(b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1)), "nested deeper"),
    ],
)
async def test_hostile_answers(
    other: Other, url: str, lookup: HttpLookup, handler: Handler, says: str
) -> None:
    other.handler = handler
    with pytest.raises(ExternalError, match=says):
        await lookup.ask(question(url))
    assert len(other.requests) == 1, "nothing is followed"


async def test_packed_bombs_are_too_large_as_well(other: Other, url: str, lookup: HttpLookup) -> None:
    async def handle(_request: web.Request) -> web.Response:
        answer = web.Response(body=b'"' + b"0" * 20_000_000 + b'"')
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    other.handler = handle
    with pytest.raises(ExternalError, match="larger than"):
        await lookup.ask(question(url, deadline_s=10.0))


async def test_silence_and_dripping_end_at_the_deadline(other: Other, url: str, lookup: HttpLookup) -> None:
    over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"[")
        await over.wait()
        return answer

    other.handler = drip
    with pytest.raises(Unreachable, match=r"within 0\.2 s"):
        await lookup.ask(question(url, deadline_s=0.2))
    over.set()


async def test_nobody_there_does_not_repeat_the_address(lookup: HttpLookup) -> None:
    with pytest.raises(Unreachable) as caught:
        await lookup.ask(question("http://127.0.0.1:1/caller", parameters={"phone": "+4915112345678"}))
    assert "49151" not in str(caught.value)
