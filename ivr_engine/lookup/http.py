"""Look-ups over HTTP. The answer is hostile: limited in time, size and depth, never followed elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.ports import Question

MOST_BYTES: Final = 65_536
"""Of an answer, as it is after unpacking."""
MOST_DEPTH: Final = 32
CONNECTIONS: Final = 50


class HttpLookup:
    """Fulfils ``ports.Lookup``. Connections are kept between calls; made when first needed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: Question) -> object:
        try:
            async with asyncio.timeout(question.deadline_s):
                raw = await self._fetched(question)
        except TimeoutError:
            raise Unreachable(f"no answer within {question.deadline_s:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            # Not its text: it may quote the address with a caller's number in it.
            raise Unreachable(f"the request failed ({type(error).__name__})") from None
        return _document(raw)

    async def _fetched(self, question: Question) -> bytes:
        async with self._open().request(
            question.method.upper(),
            question.url,
            headers=self._headers(question),
            allow_redirects=False,
            **_carried(question),
        ) as answer:
            if not 200 <= answer.status < 300:
                raise ExternalError(f"it answered with status {answer.status}")
            raw = bytearray()
            async for chunk in answer.content.iter_chunked(8192):
                raw += chunk
                if len(raw) > MOST_BYTES:
                    raise ExternalError(f"its answer is larger than {MOST_BYTES} bytes")
            return bytes(raw)

    def _headers(self, question: Question) -> Mapping[str, str]:
        headers = {"Accept": "application/json"}
        if question.token_from is not None:
            token = self._environ.get(question.token_from)
            if not token:
                raise ExternalError(f"the environment variable {question.token_from} is not set")
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS)
            # No cookies: one caller's answer must not travel with the next one's question.
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _carried(question: Question) -> Mapping[str, Any]:
    if question.method == "get":
        return {"params": dict(question.parameters)}
    return {"json": dict(question.parameters)}


def _document(raw: bytes) -> object:
    if _depth(raw) > MOST_DEPTH:
        raise ExternalError(f"its answer is nested deeper than {MOST_DEPTH} levels")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ExternalError("its answer is no JSON") from None


def _depth(raw: bytes) -> int:
    """At least as deep as it is: brackets in texts count too."""
    depth = deepest = 0
    for byte in raw:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
