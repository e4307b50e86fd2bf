"""The state of trunks, asked over Asterisk's manager interface (AMI): what ARI does not tell.

Asked every few seconds, and at once when Asterisk says that a registration or a contact changed; what is
asked is the whole truth, an event is only a reason to ask. A connection that fails in any way is given up
and opened anew, for ever. The library's own reconnecting is not used: it has no deadlines.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, cast

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from ivr_engine.domain.trunks import Trunk, TrunkState, judged
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock

log = structlog.get_logger()

HOST: Final = "127.0.0.1"
"""AMI is neither encrypted nor worth opening to a network."""
LONGEST_MESSAGE: Final = 1_000_000
"""Bytes without the end of a message, after which the other side is no Asterisk."""
_SHOWN: Final = 60
"""Characters of a status, which is shown to people."""
_PJSIP: Final = "PJSIP/"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiSettings:
    """Times in seconds."""

    port: int
    user: str
    password: str = field(repr=False)
    trunks: tuple[str, ...]
    """Endpoints of pjsip.conf, whose registration and aor have the same name."""
    deadline_s: float = 5.0
    """For connecting and for each action."""
    interval_s: float = 10.0
    """Between two looks; also how soon a connection that hangs is noticed."""
    retry_s: float = 2.0
    """Before connecting again."""


class TrunkWatch:
    """Run ``run`` as a service; ``trunks`` is what it knows."""

    def __init__(self, settings: AmiSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._trunks = {
            name: Trunk(name=name, state=TrunkState.UNKNOWN, why="not asked yet", since=clock.now())
            for name in settings.trunks
        }
        self._connection = Trouble("trunks.unseen", "trunks.seen_again")

    def trunks(self) -> tuple[Trunk, ...]:
        """Every trunk that is watched, as it was last seen."""
        return tuple(self._trunks.values())

    def up(self) -> Mapping[str, bool]:
        """Whether calls can pass, of the trunks whose state is known."""
        known = (trunk for trunk in self._trunks.values() if trunk.state is not TrunkState.UNKNOWN)
        return {trunk.name: trunk.state is TrunkState.UP for trunk in known}

    async def run(self) -> NoReturn:
        """Watch for ever. Whatever the other side does is a reason to connect again."""
        while True:
            try:
                await self._watch()
            except ExternalError as error:
                self._connection.met(error)
                for name in self._trunks:
                    self._found(name, TrunkState.UNKNOWN, "the manager interface of Asterisk does not answer")
            await asyncio.sleep(self._settings.retry_s)

    async def _watch(self) -> NoReturn:
        async with _connected(self._settings) as connection:
            while True:
                connection.changed.clear()
                await self._look(connection)
                self._connection.over()
                await connection.change(within_s=self._settings.interval_s)

    async def _look(self, connection: _Connection) -> None:
        registrations = await connection.registrations()
        devices = await connection.devices()
        for name in self._trunks:
            self._found(name, *judged(registrations.get(name, ()), devices.get(name)))

    def _found(self, name: str, state: TrunkState, why: str) -> None:
        before = self._trunks[name]
        if (before.state, before.why) == (state, why):
            return
        since = before.since if before.state == state else self._clock.now()
        self._trunks[name] = Trunk(name=name, state=state, why=why, since=since)
        if state is TrunkState.DOWN:
            log.error("trunk.down", trunk=name, why=why)
        elif state is TrunkState.UP:
            log.info("trunk.up", trunk=name, was=str(before.state))


class _Protocol(AMIProtocol):
    """Garbage ends the connection, and must not fill the memory."""

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception as error:
            log.warning("trunks.message_malformed", error=type(error).__name__)
            self._cut()
        if sum(len(text) for text in cast("Iterable[str]", self.queue)) > LONGEST_MESSAGE:
            self._cut()

    def _cut(self) -> None:
        cast(asyncio.Transport, self.transport).abort()


class _Connection(Manager):
    """One connection of the library; when it is lost it stays lost."""

    def __init__(self, settings: AmiSettings) -> None:
        super().__init__(
            host=HOST,
            port=settings.port,
            loop=asyncio.get_running_loop(),
            protocol_factory=_Protocol,
            ping_delay=86_400,
        )
        self._settings = settings
        self.changed = asyncio.Event()
        """Something may have changed: look, or notice that the connection is gone."""
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for event in ("Registry", "ContactStatus"):
            self.register_event(event, self._hear)

    def connection_made(self, f: asyncio.Future[Any]) -> None:
        if not f.cancelled() and f.exception() is None:
            super().connection_made(f)

    def connection_lost(self, exc: object) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        self.changed.set()

    def _hear(self, _manager: object, _event: object) -> None:
        self.changed.set()

    async def log_in(self) -> None:
        """Raises ``ExternalError``."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.deadline_s):
                await self.connect()
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"no manager interface on {HOST}:{settings.port}") from error
        await asyncio.sleep(0)  # the library takes the connection over in a callback
        answer = await self.ask("Login", Username=settings.user, Secret=settings.password, Events="on")
        if not answer[0].success:
            raise ExternalError(f"the manager interface refuses the user {settings.user!r}")

    async def change(self, *, within_s: float) -> None:
        """Return when there may be news, or after ``within_s``."""
        try:
            async with asyncio.timeout(within_s):
                await self.changed.wait()
        except TimeoutError:
            return

    async def registrations(self) -> Mapping[str, Collection[str]]:
        """The statuses of outbound registrations, by name."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for one in await self._list("PJSIPShowRegistrationsOutbound", "OutboundRegistrationDetail"):
            found[str(one.objectname)].append(str(one.status)[:_SHOWN])
        return found

    async def devices(self) -> Mapping[str, str]:
        """The states of endpoints, by name. Not their contacts: who may list those may do much more."""
        found = await self._list("DeviceStateList", "DeviceStateChange")
        return {str(one.device).removeprefix(_PJSIP): str(one.state)[:_SHOWN] for one in found}

    async def _list(self, action: str, kind: str) -> list[Any]:
        """The events ``kind`` that a list ``action`` is answered with."""
        first, *events = await self.ask(action)
        if not first.success:
            raise ExternalError(f"{action} is refused: {str(first.message)[:_SHOWN]!r}")
        return [event for event in events if event.event == kind]

    async def ask(self, action: str, **values: str) -> list[Any]:
        """The answer and, of a list, its events. Raises ``ExternalError``."""
        if self._gone.done():
            raise Unreachable("the manager interface closed the connection")
        answer = cast("asyncio.Future[object]", self.send_action({"Action": action, **values}))
        await asyncio.wait(
            (answer, self._gone), timeout=self._settings.deadline_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not answer.done():
            what = "closed the connection" if self._gone.done() else "did not answer in time"
            raise Unreachable(f"the manager interface {what} ({action})")
        told = answer.result()
        return cast("list[Any]", told) if isinstance(told, list) else [told]


@asynccontextmanager
async def _connected(settings: AmiSettings) -> AsyncGenerator[_Connection]:
    connection = _Connection(settings)
    try:
        await connection.log_in()
        yield connection
    finally:
        connection.close()
