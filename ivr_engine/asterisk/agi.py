"""FastAGI: a dialplan that runs ``AGI(agi://HOST:4573/wait-sms?queue=support)`` hands its caller over for one
conversation and reads in ``IVR_WAIT_SMS_...`` what came of it.

Whatever happens here, the dialplan goes on, and nothing here hangs up. The answer stands in variables, at
first ``failed``, so that an engine that dies has said so.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, cast

import structlog

from ivr_engine.asterisk.agi_leg import AgiLeg
from ivr_engine.asterisk.agi_request import LONGEST_LINE, AgiRequest, read_headers, understood
from ivr_engine.asterisk.agi_session import AgiSession
from ivr_engine.asterisk.agi_settings import AgiSettings
from ivr_engine.asterisk.alive import Life, WhileAlive
from ivr_engine.domain.dialplan import CHANNEL, Trouble, VisitOutcome, failed
from ivr_engine.errors import CallEnded, ConfigError, ExternalError, Refused
from ivr_engine.observability.rationed import RationedLog
from ivr_engine.ports.pbx import Visit

log = structlog.get_logger()

SCRIPT: Final = "wait-sms"
PREFIX: Final = "IVR_WAIT_SMS_"

Receive = Callable[[Visit], Awaitable[VisitOutcome]]


class FastAgi:
    """``run`` is a service; each visit is given to ``receive``."""

    def __init__(self, settings: AgiSettings, receive: Receive) -> None:
        self._settings = settings
        self._receive = receive
        self._open = 0
        self._visits = 0
        self._rationed_log = RationedLog()
        self.port = settings.port
        """Where it listens; told by the system where it was left to it (0)."""

    def check(self) -> None:
        """``ConfigError`` when it cannot listen there."""
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            raise ConfigError(
                "IVR_AGI_PORT",
                None,
                f"cannot listen on {host}:{port} ({error.strerror or error})",
                "stop what holds it, or name another port or IVR_AGI_HOST",
            ) from error

    async def run(self) -> None:
        """Until cancelled: then the callers go on in their dialplan."""
        settings = self._settings
        async with asyncio.TaskGroup() as group:
            server = await asyncio.start_server(
                partial(self.take, group), settings.host, settings.port, limit=LONGEST_LINE
            )
            self.port = server.sockets[0].getsockname()[1]
            log.info("agi.listening", host=settings.host, port=self.port)
            try:
                await asyncio.Event().wait()
            finally:
                server.close()

    def take(
        self, group: asyncio.TaskGroup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection, from now on."""
        address = (writer.get_extra_info("peername") or ("",))[0]
        if not self._settings.hears(address):
            self._turn_away(writer, "an address that IVR_AGI_ALLOW does not name")
        elif self._open >= self._settings.connections:
            self._turn_away(writer, "too many connections")
        elif self._open - self._visits >= self._settings.connections // 10:
            self._turn_away(writer, "too many connections that say nothing")
        else:
            self._open += 1
            group.create_task(self._serve(reader, writer), name="agi")

    def _turn_away(self, writer: asyncio.StreamWriter, why: str) -> None:
        self._rationed_log.warning("agi.turned_away", cause=why, why=why)
        _cut(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, whose trouble stays its own."""
        try:
            request = await self._request(reader)
            self._visits += 1
            try:
                await self._with_session(request, reader, writer)
            finally:
                self._visits -= 1
        except (Refused, TimeoutError, ConnectionError) as error:
            why = str(error) or "no headers in time"
            self._rationed_log.warning("agi.refused", cause=why, why=why)
        except ExternalError as error:
            self._rationed_log.warning("agi.broken_off", cause=str(error), why=str(error))
        except CallEnded:
            log.debug("agi.caller_gone")
        except Exception:
            log.exception("agi.fault", remedy="the caller went on in the dialplan; report this trace")
        finally:
            self._open -= 1
            _cut(writer)

    async def _request(self, reader: asyncio.StreamReader) -> AgiRequest:
        async with asyncio.timeout(self._settings.deadline_s):
            return understood(await read_headers(reader))

    async def _with_session(
        self, request: AgiRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        life = Life()
        session = AgiSession(reader, writer, life, self._settings.deadline_s)
        listening = asyncio.create_task(session.listen(), name="agi replies")
        try:
            await self._answer(request, session, life)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _answer(self, request: AgiRequest, session: AgiSession, life: Life) -> None:
        await _tell(session, life, failed(Trouble.ENGINE_GONE))
        why = self._why_not(request)
        if why is not None:
            self._rationed_log.warning("agi.not_served", cause=why, why=why, script=request.script[:40])
            await _tell(session, life, failed(why))
            return
        leg = AgiLeg(session, life, f"{CHANNEL}{request.unique_id}", self._settings.sounds)
        await _tell(session, life, await self._receive(_visit(request, leg)))

    def _why_not(self, request: AgiRequest) -> Trouble | None:
        if not request.may_come_in(self._settings.secret):
            return Trouble.NOT_AUTHORIZED
        return None if request.script == SCRIPT else Trouble.NO_SUCH_SCRIPT


def _visit(request: AgiRequest, leg: AgiLeg) -> Visit:
    given = request.parameters
    queue = given.get("queue", "")
    return Visit(
        leg=leg,
        caller=request.caller,
        number=given.get("number") or request.number,
        queue=queue,
        app_queue=given.get("app_queue") or queue,
        language=given.get("language") or request.language,
        announce=given.get("announce") == "yes",
    )


async def _tell(session: AgiSession, life: Life, outcome: VisitOutcome) -> None:
    """All of them, since an earlier visit may have left something; the status last."""
    async with WhileAlive(life):
        if session.playing:
            await session.command("NOOP")
        for name, value in outcome.variables().items():
            await session.command("SET", "VARIABLE", PREFIX + name, value)


def _cut(writer: asyncio.StreamWriter) -> None:
    cast(asyncio.Transport, writer.transport).abort()
