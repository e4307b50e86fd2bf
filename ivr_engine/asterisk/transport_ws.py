"""One event socket: events in, requests out and their answers in, until it is gone.

The reading task parses and hands on, nothing else: Asterisk drops a reader that does not read
(``websocket_write_timeout``, 100 ms by default).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from uuid import uuid4

import aiohttp
import msgspec
import structlog
from aiohttp import WSMsgType

from ivr_engine.asterisk.ari_models import MESSAGE, Message, RESTResponse
from ivr_engine.asterisk.transport import Payload, Query, check
from ivr_engine.errors import Unreachable

log = structlog.get_logger()

LARGEST_FRAME = 64 * 1024 * 1024
"""Bytes. An event is about 1 kB; a larger frame than this closes the socket."""

GOODBYE_S = 1.0
"""How long a closing handshake may take before the connection is simply dropped."""

Socket = aiohttp.ClientWebSocketResponse[bool]


@dataclass(slots=True)
class Counts:
    """What went by, for the metrics; only ever grows."""

    events: int = 0
    unknown: int = 0
    """Events of a type that is not in the API description."""
    malformed: int = 0
    """Frames that are not JSON, or lack what their type must have."""
    late_answers: int = 0
    """Answers to requests that nobody waits for any more."""
    connections: int = 0
    overflows: int = 0
    """Legs ended because their events were not read."""
    claims_won: int = 0
    claims_lost: int = 0


class _Pair(msgspec.Struct):
    name: str
    value: str


class _Request(msgspec.Struct, tag="RESTRequest", tag_field="type", omit_defaults=True):
    request_id: str
    method: str
    uri: str
    transaction_id: str = ""
    query_strings: list[_Pair] = []
    content_type: str = ""
    message_body: str = ""


class _Kind(msgspec.Struct):
    type: str = ""


_ENCODER = msgspec.json.Encoder()
_KIND = msgspec.json.Decoder(_Kind)


class NotSent(Unreachable):
    """The socket broke before the request left: it certainly did not reach Asterisk."""


class EventSocket:
    """A connection that stands. ``read`` runs it; ``request`` works while ``read`` runs."""

    def __init__(self, socket: Socket, counts: Counts) -> None:
        self._socket = socket
        self._counts = counts
        self._waiting: dict[str, asyncio.Future[RESTResponse]] = {}
        self._stopped: str | None = None
        self._over = False
        # Ids differ between connections, so that an answer can never reach the wrong request.
        connection = uuid4().hex[:8]
        self._ids = (f"{connection}-{n}" for n in count())

    async def read(self, route: Callable[[Message], None]) -> str:
        """Hand every event to ``route`` until the socket is gone; returns why it is."""
        try:
            while self._stopped is None:
                frame = await self._socket.receive()
                if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._handle(frame.data, route)
                elif frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                    return f"closed (code {self._socket.close_code})"
                elif frame.type is WSMsgType.ERROR:
                    return f"broken ({self._socket.exception() or frame.data})"
            return self._stopped
        finally:
            self._give_up()

    def stop(self, why: str) -> None:
        """Called while an event is routed: read no further."""
        self._stopped = why

    def _handle(self, data: bytes, route: Callable[[Message], None]) -> None:
        message = self._parse(data)
        if message is None:
            return
        if isinstance(message, RESTResponse):
            self._answered(message)
            return
        self._counts.events += 1
        try:
            route(message)
        except Exception:
            # A bug in handling one event must not take the connection, and all calls with it.
            log.exception("ari.event_failed", type=type(message).__name__)

    def _parse(self, data: bytes) -> Message | None:
        try:
            return MESSAGE.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            return self._parse_leniently(data, error)

    def _parse_leniently(self, data: bytes, first: Exception) -> Message | None:
        """Names as signalled may hold bytes that are no UTF-8; anything worse is counted and left."""
        text = data.decode("utf-8", "replace")
        try:
            return MESSAGE.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            self._count_bad(text, first)
            return None

    def _count_bad(self, text: str, error: Exception) -> None:
        try:
            kind = _KIND.decode(text).type
        except (msgspec.MsgspecError, RecursionError):
            kind = ""
        if kind and "$.type" in str(error):
            self._counts.unknown += 1
            log.info("ari.event_unknown", type=kind[:64])
        else:
            self._counts.malformed += 1
            log.warning("ari.event_malformed", type=kind[:64], size=len(text), why=str(error)[:200])

    def _answered(self, answer: RESTResponse) -> None:
        waiting = self._waiting.pop(answer.request_id, None)
        if waiting is None or waiting.done():
            self._counts.late_answers += 1
            return
        waiting.set_result(answer)

    async def request(
        self, method: str, path: str, query: Query | None, body: Mapping[str, object] | None
    ) -> Payload:
        """One request; the deadline is the caller's. ``Unreachable`` when the socket goes away."""
        if self._over:
            raise NotSent("the event socket is gone; it is being opened again")
        request = _Request(
            request_id=next(self._ids),
            method=method,
            uri=path.lstrip("/"),
            query_strings=[_Pair(name, value) for name, value in query] if query else [],
        )
        if body is not None:
            request.content_type = "application/json"
            request.message_body = _ENCODER.encode(body).decode()
        waiting: asyncio.Future[RESTResponse] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = waiting
        try:
            await self._send(_ENCODER.encode(request))
            answer = await waiting
        finally:
            self._waiting.pop(request.request_id, None)
        return check(method, path, answer.status_code, answer.message_body or "")

    async def _send(self, frame: bytes) -> None:
        try:
            await self._socket.send_frame(frame, WSMsgType.TEXT)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise NotSent(f"the event socket is gone ({error}); it is being opened again") from error

    def _give_up(self) -> None:
        self._over = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(
                    Unreachable("the event socket went away before the answer; it is being opened again")
                )
        self._waiting.clear()

    async def close(self) -> None:
        """Say goodbye; a peer that does not answer is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._socket.close()
