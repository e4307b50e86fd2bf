"""The engine's API as a tester uses it: ask, and wait until what is asked for has come true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

Item = dict[str, Any]

REQUEST_S: Final = 10.0
IDLE_S: Final = 5.0
"""A connection unused for longer is not used again: the engine closes it after 15 s, and a request that meets
the close is lost."""
LOOK_AGAIN_S: Final = 0.1


class Api:
    """``/api/v1`` of an engine. Open with ``api_of``."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str, **query: str) -> Any:
        """The answer's JSON; ``aiohttp.ClientResponseError`` for anything but 2xx."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as answer:
            return await _read(answer)

    async def post(self, path: str, json: Item | None = None, form: aiohttp.FormData | None = None) -> Any:
        async with self._session.post(f"{self._url}/api/v1/{path}", json=json, data=form) as answer:
            return await _read(answer)

    async def healthy(self) -> bool:
        """Whether calls can be taken now."""
        try:
            async with self._session.get(f"{self._url}/health") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def calls(self, caller: str) -> list[Item]:
        """That caller's calls, newest first."""
        return (await self.get("calls", caller=caller))["items"]

    async def open_calls(self) -> list[Item]:
        return (await self.get("calls", open="true", limit="1000"))["items"]

    async def call(self, caller: str) -> Item:
        """That caller's newest call."""
        found = await self.calls(caller)
        assert found, f"the API knows no call from {caller}"
        return found[0]

    async def timeline(self, call_id: str) -> list[Item]:
        return (await self.get(f"calls/{call_id}"))["timeline"]

    async def messages(self, number: str, direction: str | None = None) -> list[Item]:
        """Messages to or from the number, newest first."""
        found = (await self.get("messages", number=number))["items"]
        return [each for each in found if direction in (None, each["direction"])]

    async def consents(self, number: str) -> list[Item]:
        return (await self.get("consents", number=number))["items"]

    async def tickets(self, caller: str) -> list[Item]:
        return (await self.get("tickets", caller=caller))["items"]

    async def agent(self, name: str) -> Item:
        return await self.get(f"agents/{name}")

    async def sign_in(self, agent: str) -> None:
        await self.post(f"agents/{agent}/sign-in")

    async def sign_out(self, agent: str) -> None:
        await self.post(f"agents/{agent}/sign-out")

    async def phone_password(self, agent: str) -> str:
        """The password of the agent's SIP account."""
        return (await self.get(f"agents/{agent}/phone"))["password"]

    async def texts_at_handset(self, number: str) -> list[Item]:
        """What arrived at the caller's phone, by the simulator's own ledger."""
        return (await self.get(f"handset/{number}/messages"))["items"]

    async def answer_from_handset(self, number: str, text: str, picture: bytes | None = None) -> None:
        """Write back from the caller's phone, to whoever wrote last."""
        if picture is None:
            await self.post(f"handset/{number}/messages", {"text": text})
            return
        form = aiohttp.FormData({"text": text})
        form.add_field("media", picture, filename="picture.png", content_type="image/png")
        await self.post(f"handset/{number}/messages", form=form)

    async def call_with(self, caller: str, *, within: float = 10.0, **wanted: object) -> Item:
        """That caller's call, once it has these fields: ``call_with(number, state="waiting")``."""

        async def look() -> Item | None:
            found = await self.calls(caller)
            return found[0] if found else None

        return await until(
            look,
            lambda call: call is not None and all(call[name] == value for name, value in wanted.items()),
            what=f"a call from {caller} with {wanted}",
            within=within,
        )


@asynccontextmanager
async def api_of(url: str, token: str) -> AsyncGenerator[Api]:
    """The API at ``url`` (``http://127.0.0.1:8080``)."""
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    connections = aiohttp.TCPConnector(keepalive_timeout=IDLE_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connections) as session:
        yield Api(session, url.rstrip("/"))


async def until(
    look: Callable[[], Any], good: Callable[[Any], bool] = bool, *, what: str, within: float = 10.0
) -> Any:
    """``await look()`` again and again until it is ``good``; ``AssertionError`` says what it was instead."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        seen = await look()
        if good(seen):
            return seen
        if loop.time() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; the last look: {seen}")
        await asyncio.sleep(LOOK_AGAIN_S)


async def _read(answer: aiohttp.ClientResponse) -> Any:
    if answer.status >= 400:
        raise AssertionError(f"{answer.method} {answer.url}: {answer.status} {await answer.text()}")
    return await answer.json()
