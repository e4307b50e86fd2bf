"""The state of trunks, asked over Asterisk's manager interface (AMI): what ARI does not tell.

Asked every few seconds, and at once when Asterisk says that a registration or a contact changed; what is
asked is the whole truth, an event is only a reason to ask. A connection that fails in any way is given up
and opened anew, for ever.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

import structlog

from ivr_engine.asterisk.ami_connection import SHOWN, AmiAccount, AmiConnection, connected
from ivr_engine.domain.trunks import Trunk, TrunkState, judged
from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock

log = structlog.get_logger()

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
        self._account = AmiAccount(
            port=settings.port,
            user=settings.user,
            password=settings.password,
            deadline_s=settings.deadline_s,
        )
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
        changed = asyncio.Event()
        """Something may have changed: look, or notice that the connection is gone."""

        def hear(_event: object) -> None:
            changed.set()

        connection = AmiConnection(self._account, {"Registry": hear, "ContactStatus": hear}, changed.set)
        async with connected(connection):
            while True:
                changed.clear()
                await self._look(connection)
                self._connection.over()
                await _set(changed, within_s=self._settings.interval_s)

    async def _look(self, connection: AmiConnection) -> None:
        registrations = await _registrations(connection)
        devices = await _devices(connection)
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


async def _set(changed: asyncio.Event, *, within_s: float) -> None:
    """Return when there may be news, or after ``within_s``."""
    try:
        async with asyncio.timeout(within_s):
            await changed.wait()
    except TimeoutError:
        return


async def _registrations(connection: AmiConnection) -> Mapping[str, Collection[str]]:
    """The statuses of outbound registrations, by name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in await connection.list_of("PJSIPShowRegistrationsOutbound", "OutboundRegistrationDetail"):
        found[str(one.objectname)].append(str(one.status)[:SHOWN])
    return found


async def _devices(connection: AmiConnection) -> Mapping[str, str]:
    """The states of endpoints, by name. Not their contacts: who may list those may do much more."""
    found = await connection.list_of("DeviceStateList", "DeviceStateChange")
    return {str(one.device).removeprefix(_PJSIP): str(one.state)[:SHOWN] for one in found}
