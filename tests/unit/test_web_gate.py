"""Nothing is open without a credential, and nobody can lock the owner out."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import web_rig
from fastapi import APIRouter, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs
from web_rig import TOKEN, Rig

from ivr_engine.domain.records import replace
from ivr_engine.web.app import create_app
from ivr_engine.web.errors import answer
from ivr_engine.web.gate import GUESSES, REFILL_S, Gate, Guesses


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    yield made
    await made.store.close()


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path
    yield from (("GET", "/docs"), ("GET", "/openapi.json"))


WRONG = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer "},
    {"Authorization": TOKEN},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": f"Digest {TOKEN}"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"X-Authorization": f"Bearer {TOKEN}"},
]


@pytest.mark.parametrize("headers", WRONG)
async def test_every_route_but_health_is_closed(rig: Rig, headers: dict[str, str]) -> None:
    async with rig.client(token=False) as client:
        seen = 0
        for method, path in routes(rig.app):
            answer = await client.request(method, path, headers=headers)
            expected = {200} if path == "/health" else {401, 429}
            assert answer.status_code in expected, f"{method} {path}"
            if path != "/health":
                seen += 1
                assert answer.json()["error"]["message"]
                assert answer.headers["www-authenticate"]
    assert seen >= 20


pieces = st.sampled_from(["/", "health", "webhooks", "api", "v1", "calls", "..", ".", "%2e", "%2f", "\0"])


@given(
    st.lists(pieces | st.text(max_size=5), max_size=8).map("".join), st.sampled_from(["GET", "POST", "PUT"])
)
async def test_no_path_is_open_but_those_named(path: str, method: str) -> None:
    passed: list[str] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])
        await answer(404, "x", "x")(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == (404 if passed else 401)

    for asked in (path, "/" + path):
        passed.clear()
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": asked,
            "headers": [],
            "client": ("127.0.0.1", 1),
        }
        await Gate(inside, TOKEN)(scope, receive, send)
        assert bool(passed) == (asked == "/health")


async def test_a_websocket_is_closed_at_once() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def inside(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("nothing gets in")

    await Gate(inside, TOKEN)({"type": "websocket", "path": "/health", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    "path", ["/health/", "/healthx", "//health", "/webhooks", "/api/v1/../health", "/metrics/", "/none"]
)
async def test_what_looks_like_an_open_path_is_not(rig: Rig, path: str) -> None:
    async with rig.client(token=False) as client:
        answer = await client.get(f"http://engine{path}")
    assert answer.status_code == 401


async def test_two_credentials_are_none(rig: Rig) -> None:
    async with rig.client(token=False) as client:
        headers = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {TOKEN}")]
        assert (await client.get("/api/v1/calls", headers=headers)).status_code == 401


async def test_a_browser_may_ask_its_user_for_the_description_only(rig: Rig) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()}
    async with rig.client(token=False) as client:
        assert (await client.get("/docs")).headers["www-authenticate"].startswith("Basic")
        assert (await client.get("/docs", headers=basic)).status_code == 200
        assert (await client.get("/openapi.json", headers=basic)).status_code == 200
        assert (await client.get("/api/v1/calls", headers=basic)).status_code == 401
        assert (await client.get("/docs", headers=[(b"Authorization", b"Basic \xff")])).status_code == 401


async def test_guessing_is_throttled_and_the_owner_gets_in_all_the_while(rig: Rig) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    async with rig.client(token=False) as client:
        with capture_logs() as lines:
            answers = [(await client.get("/api/v1/calls", headers=wrong)) for _ in range(GUESSES + 30)]
        assert [line["event"] for line in lines if "token" in line["event"]] == ["api_token.refused"]
        assert [a.status_code for a in answers[:GUESSES]] == [401] * GUESSES
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get("/api/v1/calls", headers=rig.headers)).status_code == 200


def test_guesses_come_back_with_time_and_addresses_are_forgotten() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    assert [guesses.spend("a") for _ in range(GUESSES)] == [0] * GUESSES
    assert guesses.spend("a") == REFILL_S
    assert guesses.spend("b") == 0
    now[0] += REFILL_S
    assert guesses.spend("a") == 0
    for address in range(5000):
        guesses.spend(str(address))
    assert guesses.spend("a") == 0


async def test_every_answer_carries_the_headers(rig: Rig) -> None:
    async with rig.client() as client:
        for path in ("/health", "/api/v1/calls", "/none", "/metrics", "/docs"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "access-control-allow-origin" not in headers


async def test_the_token_stands_in_no_answer(rig: Rig) -> None:
    assert TOKEN not in repr(rig.services)
    for path in ("/openapi.json", "/docs", "/metrics", "/health"):
        assert TOKEN not in (await rig.get(path)).text


def test_an_empty_token_does_not_start(rig: Rig) -> None:
    with pytest.raises(ValueError, match="token"):
        Gate(rig.app, "")


async def test_what_others_add_is_closed_too(rig: Rig) -> None:
    more = APIRouter(prefix="/handset")

    @more.get("/y")
    async def handset() -> dict[str, str]:
        return {"read": "yes"}

    app = create_app(replace(rig.services, more=(more,)))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://engine") as client:
        assert (await client.get("/api/v1/handset/y")).status_code == 401
        assert (await client.get("/api/v1/handset/y", headers=rig.headers)).json() == {"read": "yes"}
