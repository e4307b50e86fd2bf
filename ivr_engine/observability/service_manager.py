"""What systemd is told (``man sd_notify``): ready, alive, stopping. Without systemd nobody is told anything.

The protocol is a datagram of ``NAME=value`` lines to the socket that the environment names, stable for ten
years: fewer lines than a dependency has.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

LOOK_S: Final = 1.0
"""Between two looks whether calls can be taken, until they can."""

BEATS: Final = 3
"""Signs of life in the time after which systemd takes the engine for dead."""

log = structlog.get_logger()


class ServiceManager:
    """``watchdog_s``: seconds without a sign of life until the process is restarted; ``None``: never."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        # An address that begins with @ lies in Linux' abstract namespace, written with a zero byte.
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ServiceManager:
        """As systemd sets it for a unit of ``Type=notify``."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        watched = microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
        return cls(environ.get("NOTIFY_SOCKET"), int(microseconds) / 1e6 if watched else None)

    def tell(self, state: str) -> None:
        """One state, one datagram. That nobody can be told is logged, and no reason to end."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto(state.encode(), self._address)
        except OSError as error:
            log.warning("service_manager.not_told", state=state, error=str(error))

    async def report(
        self, ready: Callable[[], Awaitable[bool]], alive: Callable[[], Awaitable[bool]]
    ) -> None:
        """For ever: ready once that is so, then signs of life for as long as ``alive`` says yes. They come
        from the event loop that calls live in: when it hangs, they stay away."""
        while not await ready():  # noqa: ASYNC110  Asterisk and the store tell nobody
            await asyncio.sleep(LOOK_S)
        self.tell(READY)
        if self.watchdog_s is None:
            await asyncio.Event().wait()
            return
        while True:
            if await alive():
                self.tell(ALIVE)
            await asyncio.sleep(self.watchdog_s / BEATS)
