"""The connection to Asterisk that never gives up, and every ARI operation over it.

``run`` keeps an event socket open: it connects, lets the consumer take stock, sends a sign of life
every few seconds, and starts again with growing waits when the socket is closed, broken or silent. It
stops for one reason only: another process opened the same application (``Replaced``); fighting over
the name would drop events of both.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from ivr_engine.asterisk.ari_models import ApplicationReplaced, ChannelUserevent, Message
from ivr_engine.asterisk.ari_operations import (
    Applications,
    Asterisk,
    Bridges,
    Channels,
    Events,
    Playbacks,
    Recordings,
)
from ivr_engine.asterisk.settings import AriSettings, AriTimes
from ivr_engine.asterisk.transport import Payload, Query, Transport
from ivr_engine.asterisk.transport_http import HttpTransport
from ivr_engine.asterisk.transport_ws import LARGEST_FRAME, Counts, EventSocket, NotSent
from ivr_engine.errors import ExternalError, Unreachable

log = structlog.get_logger()

ECHO = "ivr-echo"
"""The event an engine sends to itself."""


class Replaced(ExternalError):
    """Another process opened our application name. This engine must stop; it must not reconnect."""


class Consumer(Protocol):
    """Whoever lives on the events."""

    def route(self, event: Message) -> None:
        """Called by the reading task for each event: must not block."""
        ...

    async def take_stock(self) -> None:
        """The socket stands and events already flow: take stock. An ``ExternalError`` starts again."""
        ...

    def lost(self) -> None:
        """The connection is gone; requests wait for the next until their deadline."""
        ...


class SocketTransport:
    """Requests over whichever event socket stands; while none does, they wait until their deadline."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._socket: EventSocket | None = None
        self._stands = asyncio.Event()

    def use(self, socket: EventSocket | None) -> None:
        self._socket = socket
        if socket is None:
            self._stands.clear()
        else:
            self._stands.set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Payload:
        try:
            async with asyncio.timeout(self._deadline_s):
                while True:
                    await self._stands.wait()
                    if self._socket is None:
                        continue
                    try:
                        return await self._socket.request(method, path, query, body)
                    except NotSent:
                        # It broke before its reader noticed: nothing happened, so the next may carry it.
                        self.use(None)
        except TimeoutError as error:
            raise Unreachable(
                f"{method} {path}: no answer in {self._deadline_s:g} s; is Asterisk alive and not overloaded?"
            ) from error


class AriClient:
    """Typed operations (``channels``, ``bridges``, …) and the loop that keeps them possible.

    ``slow`` is the transport for what may block Asterisk: always HTTP.
    """

    def __init__(self, settings: AriSettings, counts: Counts) -> None:
        self._settings = settings
        self._counts = counts
        times = settings.times
        self._sockets = SocketTransport(times.deadline_s)
        self._http = HttpTransport(settings, times.deadline_s)
        usual: Transport = self._sockets if settings.transport == "websocket" else self._http
        self.slow = self._http.with_deadline(times.slow_deadline_s)
        self.channels = Channels(usual)
        self.bridges = Bridges(usual)
        self.playbacks = Playbacks(usual)
        self.recordings = Recordings(usual)
        self.events = Events(usual)
        self.applications = Applications(usual)
        self.asterisk = Asterisk(usual)
        self.replaced = False
        self._current: EventSocket | None = None
        self._echo = asyncio.Event()

    async def run(self, consumer: Consumer) -> None:
        """Stay connected for ever. Raises only ``Replaced``."""
        waits = Waits(self._settings.times)
        async with self._http:
            while not self.replaced:
                began = time.monotonic()
                why = await self._one_connection(consumer)
                if self.replaced:
                    break
                wait = waits.after(time.monotonic() - began)
                log.warning("ari.disconnected", why=why, again_in_s=round(wait, 2), url=self._settings.url)
                await asyncio.sleep(wait)
        log.error("ari.replaced", application=self._settings.application)
        raise Replaced(
            f"another process opened the application {self._settings.application!r}: this engine stops; "
            "give every engine its own application name"
        )

    def restart(self, why: str) -> None:
        """Drop the connection and start again: what was missed is found by taking stock."""
        if self._current is not None:
            self._current.stop(why)

    async def _one_connection(self, consumer: Consumer) -> str:
        """From connecting to the end of the connection; returns why it ended."""
        try:
            socket = await self._open()
        except Unreachable as error:
            return str(error)
        self._current = socket
        self._sockets.use(socket)
        # No TaskGroup: until Python 3.13 it swallows a cancellation that arrives while it is already
        # ending because of an error, and an engine told to stop at that moment would run on.
        parts = (
            asyncio.create_task(self._read(socket, consumer)),
            asyncio.create_task(self._live(consumer)),
        )
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._current = None
            self._sockets.use(None)
            consumer.lost()
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)
            await socket.close()
        return _reason(parts)

    async def _open(self) -> EventSocket:
        settings = self._settings
        address = f"{settings.url.rstrip('/')}/events?app={quote(settings.application, safe='')}"
        try:
            async with asyncio.timeout(settings.times.deadline_s):
                socket = await self._http.session.ws_connect(
                    URL(address, encoded=True),
                    heartbeat=settings.times.heartbeat_s,
                    max_msg_size=LARGEST_FRAME,
                    decode_text=False,
                )
        except TimeoutError as error:
            raise Unreachable(f"no answer in {settings.times.deadline_s:g} s") from error
        except aiohttp.WSServerHandshakeError as error:
            remedy = (
                "compare user and password with ari.conf" if error.status == 401 else "is res_ari loaded?"
            )
            raise Unreachable(f"Asterisk refused the event socket ({error.status}); {remedy}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{error}; is Asterisk running there?") from error
        self._counts.connections += 1
        return EventSocket(socket, self._counts)

    async def _read(self, socket: EventSocket, consumer: Consumer) -> str:
        def route(event: Message) -> None:
            if isinstance(event, ApplicationReplaced):
                if event.application == self._settings.application:
                    self.replaced = True
                    socket.stop("replaced")
                return
            if isinstance(event, ChannelUserevent):
                if event.eventname == ECHO:
                    self._echo.set()
                return
            consumer.route(event)

        return await socket.read(route)

    async def _live(self, consumer: Consumer) -> str:
        """Take stock, then give a sign of life until one goes unanswered; returns why that was."""
        try:
            await consumer.take_stock()
            log.info("ari.connected", url=self._settings.url, application=self._settings.application)
            times = self._settings.times
            await self._sign_of_life(times.first_echo_s)
            while True:
                await asyncio.sleep(times.heartbeat_s)
                await self._sign_of_life(times.deadline_s)
        except ExternalError as error:
            return str(error)

    async def _sign_of_life(self, patience_s: float) -> None:
        """Tells the watchdog that this engine lives, and proves that the socket is not half-open.

        That requests are answered does not prove that events come: when the socket before this one ends
        late, Asterisk switches the application off although a new socket has it. So an event is sent too.
        """
        application = self._settings.application
        await self.asterisk.set_global_var(variable=f"IVR_ALIVE_{application}", value=str(int(time.time())))
        self._echo.clear()
        await self.events.user_event(event_name=ECHO, application=application)
        try:
            async with asyncio.timeout(patience_s):
                await self._echo.wait()
        except TimeoutError as error:
            raise Unreachable(
                f"events stay away: one sent to ourselves did not come in {patience_s:g} s"
            ) from error


def _reason(parts: Iterable[asyncio.Task[str]]) -> str:
    """Why the part that ended first did; a bug in one is raised here."""
    ended = [part.result() for part in parts if not part.cancelled()]
    return "; ".join(ended)


class Waits:
    """How long to wait before the next attempt: doubling, with jitter, short again after stability."""

    def __init__(self, times: AriTimes) -> None:
        self._times = times
        self._steps = self._doubling()

    def _doubling(self) -> Iterator[float]:
        wait = self._times.retry_first_s
        while True:
            yield wait
            wait = min(wait * 2, self._times.retry_most_s)

    def after(self, stood_s: float) -> float:
        if stood_s >= self._times.stable_s:
            self._steps = self._doubling()
        return next(self._steps) * random.uniform(0.5, 1.0)  # noqa: S311  (jitter, no secret)
