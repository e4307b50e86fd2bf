"""A small process of its own that looks after the callers of an engine that does not come back.

Asterisk keeps an engine's callers, with their music, when the engine dies; without this process they
would hear it for ever. Engines show that they live by writing the Asterisk variable
``IVR_ALIVE_<application>`` every few seconds. When one has not changed for ``limit_s``, the callers of that
application go on in the dialplan at ``ivr-fallback`` (where another engine can take them) and agents' legs
with nobody on the other end are hung up. Caller and agent who talk to each other go on talking: the one
who stays behind is dealt with when the other has hung up.

``ivr-engine watchdog`` runs it; ``IVR_WATCHDOG_LIMIT`` (seconds, 30) is the limit.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Protocol

import structlog

from ivr_engine.asterisk import ari_models as m
from ivr_engine.asterisk.ari_operations import Applications, Asterisk, Bridges, Channels
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.transport_http import HttpTransport
from ivr_engine.errors import ExternalError, Gone, NotInStasis
from ivr_engine.observability.rationed import Trouble
from ivr_engine.observability.service_manager import ServiceManager

log = structlog.get_logger()

ENGINES = "ivr-"
"""How application names of engines begin."""
AGENT_LEGS = "agent-"
"""How ids of legs begin that an engine dialled."""
NO_PARTY = ("Announcer/", "Recorder/", "Snoop/", "UnicastRTP/", "WebSocket/", "AudioSocket/")
"""Channels that are nobody's phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSettings:
    """Times in seconds."""

    limit_s: float = 30.0
    """An engine without a sign of life for this long is dead. A restart takes a few seconds."""
    interval_s: float = 2.0
    """Between two looks."""
    deadline_s: float = 10.0
    """For each request to Asterisk."""
    fallback_context: str = "ivr-fallback"


class Fate(StrEnum):
    """What becomes of a channel of a dead engine."""

    TO_FALLBACK = "to_fallback"
    HUNG_UP = "hung_up"


class Watched:
    """The seconds that were watched, of those that passed: between two looks ``most_s`` at most. Where we
    were not run for longer, or Asterisk did not answer, an engine that lives may have written no sign either.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._before: float | None = None
        self._seconds = 0.0

    def until(self, now: float) -> float:
        """``now``: of this look (seconds, monotonic)."""
        if self._before is not None:
            self._seconds += min(now - self._before, self._most_s)
        self._before = now
        return self._seconds


class Vigil:
    """Which engines live. Judged by whether their sign changes, on our own clock: a wrong time of day on
    either side makes no engine dead. An engine is given the whole limit from when it was first seen."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._seen: dict[str, tuple[str, float]] = {}

    def lives(self, application: str, sign: str, now: float) -> bool:
        """Take note of the ``sign`` read at ``now`` (seconds that were watched)."""
        known, since = self._seen.get(application, (None, now))
        if known != sign:
            since = now
        self._seen[application] = (sign, since)
        return now - since <= self._limit_s

    def keep_only(self, applications: Collection[str]) -> None:
        """Forget the others."""
        self._seen = {name: seen for name, seen in self._seen.items() if name in applications}


def fates(
    mine: Collection[str], channels: Mapping[str, m.Channel], bridges: Collection[m.Bridge]
) -> Iterator[tuple[m.Channel, Fate]]:
    """What to do with the channels ``mine`` of a dead engine; who talks to somebody is left alone."""
    talking = set(_talking(channels, bridges))
    for channel_id in mine:
        channel = channels.get(channel_id)
        if channel is None or channel_id in talking or channel.name.startswith(NO_PARTY):
            continue
        yield channel, Fate.HUNG_UP if channel_id.startswith(AGENT_LEGS) else Fate.TO_FALLBACK


def _talking(channels: Mapping[str, m.Channel], bridges: Collection[m.Bridge]) -> Iterator[str]:
    for bridge in bridges:
        parties = [
            one for one in bridge.channels if one in channels and not channels[one].name.startswith(NO_PARTY)
        ]
        if bridge.bridge_type != "holding" and len(parties) > 1:
            yield from parties


class Switch(Protocol):
    """What the watchdog needs of Asterisk. Every request has a deadline and raises ``ExternalError``."""

    async def applications(self) -> Mapping[str, tuple[str, ...]]:
        """Channel ids by application."""
        ...

    async def sign_of(self, application: str) -> str: ...

    async def state(self) -> tuple[Mapping[str, m.Channel], Collection[m.Bridge]]: ...

    async def to_fallback(self, channel_id: str) -> None: ...

    async def hang_up(self, channel_id: str) -> None: ...


class Ari:
    """``Switch`` by ARI over HTTP."""

    def __init__(self, transport: HttpTransport, fallback_context: str) -> None:
        self._applications = Applications(transport)
        self._asterisk = Asterisk(transport)
        self._bridges = Bridges(transport)
        self._channels = Channels(transport)
        self._fallback_context = fallback_context

    async def applications(self) -> Mapping[str, tuple[str, ...]]:
        return {one.name: one.channel_ids for one in await self._applications.list()}

    async def sign_of(self, application: str) -> str:
        return (await self._asterisk.get_global_var(variable=f"IVR_ALIVE_{application}")).value

    async def state(self) -> tuple[Mapping[str, m.Channel], Collection[m.Bridge]]:
        channels = {channel.id: channel for channel in await self._channels.list()}
        return channels, await self._bridges.list()

    async def to_fallback(self, channel_id: str) -> None:
        await self._channels.continue_in_dialplan(
            channel_id=channel_id, context=self._fallback_context, extension="s", priority=1
        )

    async def hang_up(self, channel_id: str) -> None:
        await self._channels.hangup(channel_id=channel_id)


class Watchdog:
    """Looks at every engine's sign of life, and acts on those of the dead."""

    def __init__(self, switch: Switch, limit_s: float) -> None:
        self._switch = switch
        self._vigil = Vigil(limit_s)

    async def look(self, now: float) -> None:
        """One look at everything. ``now``: seconds watched so far. Raises ``ExternalError``: what could not
        be seen, or the first thing that could not be done, after everything else was."""
        engines = {
            name: channels
            for name, channels in (await self._switch.applications()).items()
            if name.startswith(ENGINES)
        }
        self._vigil.keep_only(engines)
        failed: list[ExternalError] = []
        for name, channels in engines.items():
            alive = self._vigil.lives(name, await self._switch.sign_of(name), now)
            if channels and not alive:
                failed += await self._look_after(name, channels)
        if failed:
            raise failed[0]

    async def look_for_ever(self, interval_s: float) -> NoReturn:
        """Every ``interval_s`` seconds, also when Asterisk did not answer the last time."""
        sight = Trouble("watchdog.blind", "watchdog.sees_again")
        watched = Watched(2 * interval_s)
        while True:
            try:
                await self.look(watched.until(time.monotonic()))
                sight.over()
            except ExternalError as error:
                sight.met(error)
            await asyncio.sleep(interval_s)

    async def _look_after(self, application: str, mine: Collection[str]) -> list[ExternalError]:
        """What failed: one channel that cannot be moved must not keep the others where they are."""
        channels, bridges = await self._switch.state()
        failed: list[ExternalError] = []
        for channel, fate in fates(mine, channels, bridges):
            log.warning("engine.gone", application=application, channel=channel.id, fate=str(fate))
            try:
                await self._act(channel.id, fate)
            except ExternalError as error:
                failed.append(error)
        return failed

    async def _act(self, channel_id: str, fate: Fate) -> None:
        # It may have hung up, or gone to another engine, since we looked.
        with suppress(Gone, NotInStasis):
            if fate is Fate.HUNG_UP:
                await self._switch.hang_up(channel_id)
            else:
                await self._switch.to_fallback(channel_id)


async def watch(
    ari: AriSettings, settings: WatchdogSettings | None = None, manager: ServiceManager | None = None
) -> None:
    """Look for ever. An Asterisk that does not answer is waited for; ``manager`` hears that we live."""
    settings = settings or WatchdogSettings()
    manager = manager or ServiceManager.from_environ(os.environ)
    log.info("watchdog.started", url=ari.url, limit_s=settings.limit_s)
    async with HttpTransport(ari, settings.deadline_s) as transport, asyncio.TaskGroup() as tasks:
        tasks.create_task(manager.report(_yes, _yes))
        watchdog = Watchdog(Ari(transport, settings.fallback_context), settings.limit_s)
        await watchdog.look_for_ever(settings.interval_s)


async def _yes() -> bool:
    """Ready at once, and alive as long as the event loop runs: every request has a deadline."""
    return True
