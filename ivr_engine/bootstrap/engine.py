"""The task group that holds an engine's services, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from ivr_engine.asterisk.ari_client import Replaced
from ivr_engine.bootstrap.health import EngineHealth
from ivr_engine.bootstrap.http import serve_http
from ivr_engine.bootstrap.parts import Parts
from ivr_engine.callflow import forgotten
from ivr_engine.guard import Services
from ivr_engine.observability.metrics import watch_loop
from ivr_engine.observability.service_manager import STOPPING, ServiceManager
from ivr_engine.web.server import listen

log = structlog.get_logger()

LAST_CLAIMS_S: Final = 1.0
"""Until calls that were claimed when draining began are here."""

CANCEL_AGAIN_S: Final = 4.0
"""Above the seconds that answers under way get (``web.server``)."""

REPLACED_EXIT: Final = 76
"""Exit code when another process took this engine's application name: do not start it again as it is."""


class Engine:
    """The services over the parts of one engine."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._services = Services()
        self._health = EngineHealth(parts, self._services)
        self._manager = ServiceManager.from_environ(os.environ)
        self._stop = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Until told to stop: then every service is cancelled and nothing in Asterisk is touched."""
        parts = self._parts
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, parts.reloader.wake)
        loop.add_signal_handler(signal.SIGUSR1, parts.drain)
        listen(parts.settings.http_host, parts.settings.http_port).close()  # a taken port is said now
        parts.dialplan.check()
        await parts.desk.push_accounts(parts.telephony)
        await parts.page.begin()
        await forgotten.leave_sign(parts.house)
        try:
            async with asyncio.TaskGroup() as root:
                held = [
                    root.create_task(self._services.keep(name, service), name=name)
                    for name, service in self._all_services().items()
                ]
                log.info("engine.started", application=parts.telephony.name)
                await self._stop.wait()
                self._manager.tell(STOPPING)
                await _cancelled(held)
        finally:
            await parts.close()
        log.info("engine.stopped")
        return self._exit_code

    def _all_services(self) -> dict[str, Callable[[], Awaitable[None]]]:
        parts = self._parts
        return {
            "store": parts.watch_store,
            "site": parts.reloader.run,
            "telephony": self._telephone,
            "reception": parts.reception.run,
            "forgotten calls": functools.partial(forgotten.look_after, parts.house),
            "line": parts.line.run,
            "phones": parts.phone_watch.run,
            "wait estimates": parts.estimates.run,
            "outbox": parts.texts.outbox.run,
            "sms numbers": parts.texts.numbers.run,
            "media": parts.texts.media.run,
            "voicemail": parts.voicemail.run,
            "crm": parts.crms.feed.run,
            "recordings": parts.recordings.run,
            "privacy": parts.privacy.run,
            "sms reconciliation": parts.texts.reconcile,
            "drain": self._end_when_drained,
            "web": functools.partial(serve_http, parts, self._health.board),
            "service manager": functools.partial(
                self._manager.report, self._health.ready, self._health.alive
            ),
            "loop watch": functools.partial(watch_loop, parts.metrics),
            **({"trunks": parts.trunks.run} if parts.settings.trunks else {}),
            **parts.dialplan.services(),
        }

    async def _telephone(self) -> None:
        try:
            await self._parts.telephony.run()
        except Replaced as error:
            log.critical("engine.replaced", error=str(error), remedy="give every engine its own IVR_ARI_APP")
            self._exit_code = REPLACED_EXIT
            self._stop.set()
            await asyncio.Event().wait()

    async def _end_when_drained(self) -> None:
        """Who is still here after the limit stays in Asterisk for the next engine, as after SIGTERM."""
        parts = self._parts
        await parts.admission.until_draining()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(parts.settings.drain_limit_s):
                await asyncio.sleep(LAST_CLAIMS_S)
                await parts.dialplan.calls.empty()
                await parts.reception.empty()
        log.info("engine.drained", calls=parts.reception.calls)
        self._stop.set()
        await asyncio.Event().wait()


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel until they end: a task group that is failing at that moment swallows a cancellation (CPython
    up to 3.12)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
