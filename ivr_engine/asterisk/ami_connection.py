"""A connection to Asterisk's manager interface (AMI), which asks with deadlines and hears events.

A connection that fails in any way is given up; whoever uses it opens another. The library's own reconnecting
is not used: it has no deadlines.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from ivr_engine.errors import ExternalError, Unreachable

log = structlog.get_logger()

HOST: Final = "127.0.0.1"
"""AMI is neither encrypted nor worth opening to a network."""
LONGEST_MESSAGE: Final = 1_000_000
"""Bytes without the end of a message, after which the other side is no Asterisk."""
SHOWN: Final = 60
"""Characters of what is shown to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiAccount:
    """``deadline_s``: for connecting and for each action, in seconds."""

    port: int
    user: str
    password: str = field(repr=False)
    deadline_s: float = 5.0


class _Protocol(AMIProtocol):
    """Garbage ends the connection, and must not fill the memory."""

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception as error:
            log.warning("ami.message_malformed", error=type(error).__name__)
            self._cut()
        if sum(len(text) for text in cast("Iterable[str]", self.queue)) > LONGEST_MESSAGE:
            self._cut()

    def _cut(self) -> None:
        cast(asyncio.Transport, self.transport).abort()


class AmiConnection(Manager):
    """One connection of the library; when it is lost it stays lost. ``events`` are heard as they come, on the
    reading task: they must not wait. ``lost`` is told of its end."""

    def __init__(
        self,
        account: AmiAccount,
        events: Mapping[str, Callable[[Any], None]],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            host=HOST,
            port=account.port,
            loop=asyncio.get_running_loop(),
            protocol_factory=_Protocol,
            ping_delay=86_400,
        )
        self._account = account
        self._lost = lost
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for event, hear in events.items():
            self.register_event(event, functools.partial(_heard, hear))

    def connection_made(self, f: asyncio.Future[Any]) -> None:
        if not f.cancelled() and f.exception() is None:
            super().connection_made(f)

    def connection_lost(self, exc: object) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        self._lost()

    async def log_in(self) -> None:
        """Raises ``ExternalError``."""
        account = self._account
        try:
            async with asyncio.timeout(account.deadline_s):
                await self.connect()
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"no manager interface on {HOST}:{account.port}") from error
        await asyncio.sleep(0)  # the library takes the connection over in a callback
        answer = await self.ask("Login", Username=account.user, Secret=account.password, Events="on")
        if not answer[0].success:
            raise ExternalError(f"the manager interface refuses the user {account.user!r}")

    async def list_of(self, action: str, kind: str, **values: str) -> list[Any]:
        """The events ``kind`` that a list ``action`` is answered with."""
        first, *events = await self.ask(action, **values)
        if not first.success:
            raise ExternalError(f"{action} is refused: {str(first.message)[:SHOWN]!r}")
        return [event for event in events if event.event == kind]

    async def ask(self, action: str, **values: str) -> list[Any]:
        """The answer and, of a list, its events. Raises ``ExternalError``."""
        if self._gone.done():
            raise Unreachable("the manager interface closed the connection")
        answer = cast("asyncio.Future[object]", self.send_action({"Action": action, **values}))
        await asyncio.wait(
            (answer, self._gone), timeout=self._account.deadline_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not answer.done():
            what = "closed the connection" if self._gone.done() else "did not answer in time"
            raise Unreachable(f"the manager interface {what} ({action})")
        told = answer.result()
        return cast("list[Any]", told) if isinstance(told, list) else [told]


def _heard(hear: Callable[[Any], None], _manager: object, event: object) -> None:
    hear(event)


@asynccontextmanager
async def connected(connection: AmiConnection) -> AsyncGenerator[None]:
    """Logged in, until the block is left."""
    try:
        await connection.log_in()
        yield
    finally:
        connection.close()
