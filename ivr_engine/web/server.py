"""Uvicorn inside the engine's own event loop: one coroutine, held by the root task group.

It takes no signals (the engine does), stops cleanly when cancelled, and defends itself against
connections that send slowly, endlessly or not at all: uvicorn with httptools limits neither the size
of a request's head nor the time it takes to arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Generator
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ivr_engine.errors import ConfigError

HEAD_ARRIVES_S: Final = 10.0
"""Seconds a connection has to send the whole head of a request."""

HEAD_BYTES: Final = 32 * 1024
"""The largest head: request line and headers."""

IDLE_S: Final = 15
"""Seconds an idle connection is kept for the next request."""

CONNECTIONS: Final = 2000
"""Connections at once; more are answered 503."""

LAST_ANSWERS_S: Final = 3
"""Seconds that requests under way get when the engine stops."""

log = structlog.get_logger()


async def serve(
    app: ASGIApp, host: str, port: int, *, listening: Callable[[str, int], None] | None = None
) -> None:
    """Serve ``app`` until cancelled. ``listening`` is told host and port once requests are taken.

    Port 0 takes a free one. Raises ``ConfigError`` when the address cannot be used, before anything runs.
    """
    listener = listen(host, port)
    server = _Server(_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        if listening is not None:
            listening(*listener.getsockname()[:2])
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS_S + 2):
                await serving
        raise
    finally:
        serving.cancel()
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``ConfigError`` in plain words when the address is taken or not ours."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        what, remedy = _why(error)
        raise ConfigError(f"http {host}:{port}", None, what, remedy) from error


def _why(error: OSError) -> tuple[str, str]:
    elsewhere = "stop what holds it, or set IVR_HTTP_PORT to another port"
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is taken by another program", elsewhere
        case errno.EACCES:
            return "this user may not use the port", "set IVR_HTTP_PORT to a port above 1023"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address", "set IVR_HTTP_HOST to one of its own"
        case _:
            return f"cannot listen there ({error.strerror or error})", "set IVR_HTTP_HOST and IVR_HTTP_PORT"


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=LAST_ANSWERS_S,
        reset_contextvars=True,
    )


class _Server(uvicorn.Server):
    """Leaves signals to the engine."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class GuardedProtocol(HttpToolsProtocol):
    """A connection whose request heads must arrive whole, in time and in bounds."""

    _head_deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._between_requests():
            self._expect_head()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Whoever was answered before the end of what they sent is not listened to any longer."""
        unread = not self.pipeline and self.cycle.more_body
        super().on_response_complete()
        if unread:
            self.transport.close()

    def _between_requests(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _expect_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_ARRIVES_S, self._too_slow)

    def _head_is_there(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _too_slow(self) -> None:
        self._head_deadline = None
        self.transport.close()

    def _count(self, size: int) -> None:
        """What is raised here reaches ``data_received`` as a parser error: 400, and the connection ends."""
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("the head of the request is too large")
