"""Kept-alive HTTP connections to one server: requests go out and bodies come back, nothing else.

Two of them belong to every call (answering it, putting it into its bridge). aiohttp's client costs five times
as much a request, for cookies, redirects, proxies and encodings that Asterisk does not have.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, cast

import httptools
from yarl import URL

from ivr_engine.errors import Rejected

IDLE_S: Final = 10.0
"""A connection unused for longer is not used again: Asterisk closes it after 15 s (``session_keep_alive``),
and a request that meets the close would be lost."""

AT_ONCE: Final = 100
"""Connections at most; further requests wait for one. Below the ``sessionlimit`` in http.conf."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class HttpConnections:
    """Requests to the server of ``url``, each over a connection of its own while it lasts. ``largest``: bytes
    of an answer's body."""

    def __init__(self, url: URL, headers: dict[str, str], largest: int) -> None:
        self._url = url
        self._head = "".join(
            f"{name}: {value}\r\n" for name, value in {"Host": url.host_port_subcomponent, **headers}.items()
        )
        self._largest = largest
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(AT_ONCE)

    async def request(self, method: str, target: str, content: bytes | None) -> Answer:
        """``target``: path and query, already quoted. The deadline is the caller's. ``OSError`` when there is
        no connection, or it broke, or what came is no answer; ``Rejected`` when that is too large."""
        kind = "" if content is None else "Content-Type: application/json\r\n"
        length = f"Content-Length: {len(content or b'')}\r\n"
        request = f"{method} {target} HTTP/1.1\r\n{self._head}{kind}{length}\r\n".encode() + (content or b"")
        async with self._places:
            connection = self._free() or await self._open()
            try:
                answer = await connection.request(request)
            except (
                BaseException
            ):  # also when nobody waits any more: its answer must not meet the next request
                connection.close()
                raise
            if connection.usable:
                self._idle.append(connection)
            return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _free(self) -> _Connection | None:
        """The one used last, so that those too many grow old."""
        oldest = asyncio.get_running_loop().time() - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.used_at > oldest:
                return connection
            connection.close()
        return None

    async def _open(self) -> _Connection:
        secure = ssl.create_default_context() if self._url.scheme == "https" else None
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._largest), self._url.host or "", self._url.port or 0, ssl=secure
        )
        return connection


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. The ``on_…`` methods are called by the parser."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self.usable = True
        self.used_at = 0.0

    async def request(self, request: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        if self._transport is None:
            raise ConnectionError("the connection was closed")
        self._waiting = loop.create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting, self.used_at = None, loop.time()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP answer ({error})"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionError("the connection was closed before the answer's end"))

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._largest:
            self._fail(Rejected(f"Asterisk's answer is larger than {self._largest // 2**20} MB"))

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        answer = Answer(self._parser.get_status_code(), bytes(self._body))
        self._body.clear()
        if self._waiting is None or self._waiting.done():
            self.close()  # an answer to nothing
        else:
            self._waiting.set_result(answer)

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
