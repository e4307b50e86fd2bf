"""Somebody else's system that is sent signed requests, as docs/crm.md describes it, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

SECRET = "whsec_" + base64.b64encode(b"a secret only for these tests").decode()
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def takes(_request: web.Request) -> web.Response:
    return web.Response(status=204)


class Receiver:
    """``ledger``: the events taken, each id once. ``refused``: requests whose signature is not right."""

    def __init__(self) -> None:
        self.url = ""
        self.ledger: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.refused = 0
        self.behaves: Behaviour = takes
        self.over = asyncio.Event()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        self.headers.append(dict(request.headers))
        if not genuine(request.headers, body):
            self.refused += 1
            return web.Response(status=401)
        answer = await self.behaves(request)
        if answer.status < 300:
            event = json.loads(body)
            if all(each["id"] != event["id"] for each in self.ledger):
                self.ledger.append(event)
        return answer

    # ── what it may do ───────────────────────────────────────────────────────────────────────────

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, body=body, headers=headers)

        self.behaves = answer

    def hangs(self) -> None:
        async def hang(_request: web.Request) -> web.Response:
            await self.over.wait()
            return web.Response(status=503)

        self.behaves = hang

    def speaks_garbage(self) -> None:
        async def garbage(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.write(b"\x00\xffHTTP/9.9 twelve\r\n\x00")
            request.transport.close()
            return web.Response(status=500)

        self.behaves = garbage

    def drips(self) -> None:
        async def drip(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(status=500)
            await answer.prepare(request)
            while not self.over.is_set():
                await answer.write(b"x")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), 0.05)
            return answer

        self.behaves = drip


def genuine(headers: Any, body: bytes) -> bool:
    """As docs/crm.md tells integrators to verify, but for the age of the time stamp."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, each) for each in headers["webhook-signature"].split())


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    """On this machine's loopback, at a port of its own."""
    it = Receiver()
    app = web.Application()
    app.router.add_post("/events", it.take)
    async with TestServer(app, host="127.0.0.1") as server:
        it.url = str(server.make_url("/events"))
        try:
            yield it
        finally:
            it.over.set()
