"""A pretend SMS provider: a process of its own on the loopback, with its own ledger and its own faults.

It looks to the engine like a real one (requests with credentials, a list, signed callbacks and webhooks,
media behind credentials) and to testers like a drawer full of phones. It knows nothing of the engine but
its public address. ``docs/0003-sms-outbox.md`` shows the requests.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from ivr_engine.errors import Refused
from ivr_engine.sms.courier import Courier, Pace
from ivr_engine.sms.faults import Faults
from ivr_engine.sms.ledger import Ledger
from ivr_engine.sms.on_thread import OnThread
from ivr_engine.sms.simulator_provider import Provider

_log = structlog.get_logger()

LEDGER_FILE: Final = "simulator.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """``state`` is the folder of the ledger; ``engine_url`` the engine's public address; ``port`` 0 takes a
    free one. ``host`` must be of the loopback: this provider has no place on a network."""

    secret: str
    state: Path
    engine_url: str = "http://127.0.0.1:8080"
    host: str = "127.0.0.1"
    port: int = 8090
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Running:
    """``url`` to reach it at; ``ledger`` and ``faults`` for tests in the same process."""

    url: str
    ledger: OnThread[Ledger]
    faults: Faults


async def serve(settings: SimulatorSettings, started: Callable[[str], None] | None = None) -> None:
    """Run until SIGTERM, SIGINT or cancelled; ``started`` is told the address once requests are taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as server:
        _log.info("simulator.started", url=server.url)
        if started is not None:
            started(server.url)
        await stop.wait()


@asynccontextmanager
async def running(settings: SimulatorSettings) -> AsyncGenerator[Running]:
    """The simulator, for as long as the body runs."""
    _check(settings)
    settings.state.mkdir(parents=True, exist_ok=True)
    listener = socket.create_server((settings.host, settings.port))
    own_url = f"http://{settings.host}:{listener.getsockname()[1]}"
    plain = Ledger(settings.state / LEDGER_FILE)
    ledger = OnThread(plain)
    faults = Faults()
    courier = Courier(
        secret=settings.secret,
        engine_url=settings.engine_url,
        own_url=own_url,
        pace=settings.pace,
        ledger=ledger,
    )
    provider = Provider(
        secret=settings.secret,
        engine_url=settings.engine_url,
        own_url=own_url,
        ledger=ledger,
        faults=faults,
        courier=courier,
    )
    runner = web.AppRunner(provider.application(), access_log=None, shutdown_timeout=0.1)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        async with asyncio.TaskGroup() as group:
            errands = group.create_task(courier.run())
            try:
                yield Running(own_url, ledger, faults)
            finally:
                await runner.cleanup()
                errands.cancel()
    finally:
        await runner.cleanup()
        listener.close()
        ledger.stop()
        plain.close()


def _check(settings: SimulatorSettings) -> None:
    if not ipaddress.ip_address(settings.host).is_loopback:
        raise Refused(f"the simulator listens on the loopback only, not on {settings.host}")
    if not settings.secret:
        raise Refused("the simulator needs a secret (IVR_SIMULATOR_SECRET)")
