"""The HTTP side of the pretend SMS provider: the requests of ``docs/0003-sms-outbox.md``, refused like a real
one's, fault switches, and handsets."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp
import msgspec
import structlog
from aiohttp import web

from ivr_engine.domain.numbers import masked
from ivr_engine.sms.courier import Courier, as_told
from ivr_engine.sms.faults import Fault, Faults, Place
from ivr_engine.sms.ledger import Entry, Ledger, Wanted
from ivr_engine.sms.on_thread import OnThread
from ivr_engine.sms.simulator_http import (
    Problem,
    fields_of,
    is_loopback,
    json_answer,
    letter_in,
    origin,
    reset,
    shown,
    wanted_in,
)

_log = structlog.get_logger()

MAX_TEXT: Final = 1600
"""Characters, as at Twilio."""
MAX_MEDIA: Final = 10
FETCH_S: Final = 10.0
"""For a file that the engine sends along."""
MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes that a handset's answer may have with its pictures."""
_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
_SENDER: Final = re.compile(r"\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11}")


class Provider:
    """Every handler parses, asks the ledger, answers."""

    def __init__(
        self,
        *,
        secret: str,
        engine_url: str,
        own_url: str,
        ledger: OnThread[Ledger],
        faults: Faults,
        courier: Courier,
    ) -> None:
        self._expected = f"Bearer {secret}".encode()
        self._engine = origin(engine_url)
        self._own_url = own_url
        self._ledger = ledger
        self._faults = faults
        self._courier = courier

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._signed_in])
        app.add_routes(
            [
                web.get("/health", self._health),
                web.post("/v1/messages", self._send),
                web.get("/v1/messages", self._list),
                web.get("/v1/messages/{id}", self._get),
                web.get("/v1/media/{id}", self._media),
                web.get("/v1/numbers/{number}", self._number),
                web.get("/control/faults", self._show_faults),
                web.post("/control/faults", self._add_fault),
                web.delete("/control/faults", self._clear_faults),
                web.get("/handset/{number}/messages", self._read),
                web.post("/handset/{number}/messages", self._answer),
            ]
        )
        return app

    @web.middleware
    async def _signed_in(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        claimed = request.headers.get("Authorization", "").encode()
        if request.path != "/health" and not hmac.compare_digest(claimed, self._expected):
            return Problem(401, "20003", "authenticate").answer()
        try:
            return await handler(request)
        except Problem as problem:
            return problem.answer()

    async def _health(self, request: web.Request) -> web.Response:
        return json_answer({"status": "ok"})

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def _send(self, request: web.Request) -> web.Response:
        fields = await fields_of(request)
        fault = self._faults.take("send")
        kind = fault.kind if fault else None
        if fault is None or kind in ("slow", "late_accept", "lose_answer", "early_callbacks"):
            self._validate(fields)
        else:
            return await self._fail(request, fault)
        if fault and kind == "late_accept":
            await asyncio.sleep(fault.hold_s)
        entry = await self._accept(fields, early=kind == "early_callbacks")
        if fault and kind == "slow":
            await asyncio.sleep(fault.hold_s)
        if kind == "lose_answer":
            reset(request)
        return json_answer(shown(entry), status=201)

    def _validate(self, fields: Mapping[str, str]) -> None:
        if not _NUMBER.fullmatch(fields.get("to", "")):
            raise Problem(400, "21211", "'to' is not a valid phone number")
        if not _SENDER.fullmatch(fields.get("from", "")):
            raise Problem(400, "21212", "'from' is not a valid sender")
        media = fields.get("media", "").split()
        if not (media or fields.get("text")) or len(fields.get("text", "")) > MAX_TEXT:
            raise Problem(400, "21617", f"'text' must have 1 to {MAX_TEXT} characters")
        if len(media) > MAX_MEDIA or not all(map(self._may_call, media)):
            raise Problem(400, "21620", "'media' must lead to the engine or the loopback")
        status_url = fields.get("status_callback")
        if status_url is not None and not self._may_call(status_url):
            raise Problem(400, "21609", "'status_callback' must lead to the engine or the loopback")

    async def _accept(self, fields: Mapping[str, str], *, early: bool) -> Entry:
        media = [await self._fetched(url) for url in fields.get("media", "").split()]
        entry = await self._ledger.run(
            lambda ledger: ledger.accept(
                sender=fields["from"],
                recipient=fields["to"],
                text=fields.get("text", ""),
                reference=fields.get("reference"),
                status_url=fields.get("status_callback"),
                media=media,
            )
        )
        if early:
            await self._courier.deliver_now(entry)
        else:
            self._courier.deliver(entry, self._faults.take("callbacks"))
        return entry

    async def _fetched(self, url: str) -> tuple[str, bytes]:
        """Content type and content, as a provider gets what is to be sent along."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_S)) as http,
                http.get(url, allow_redirects=False) as answer,
            ):
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem(400, "21620", "'media' could not be fetched") from error
        if answer.status != 200:
            raise Problem(400, "21620", f"'media' could not be fetched: {answer.status}")
        return answer.content_type, content

    def _may_call(self, url: str) -> bool:
        """Callbacks go to the engine this provider is configured for, or stay on this machine."""
        called = origin(url)
        if called is None:
            return False
        host = called[1]
        return called == self._engine or host == "localhost" or is_loopback(host)

    async def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        """Do what ``fault`` says instead of the work asked for."""
        match fault.kind:
            case "error":
                raise Problem(fault.status, str(fault.status), "internal server error")
            case "busy":
                retry_after = {"Retry-After": str(fault.retry_after_s)}
                raise Problem(429, "20429", "too many requests", retry_after)
            case "refuse":
                raise Problem(400, fault.code, "refused, as the fault switch says")
            case "hang":
                await asyncio.sleep(fault.hold_s)
                raise Problem(504, "504", "took too long")
            case _:
                reset(request)
                raise Problem(500, "500", "connection reset")

    # ── lists and media ──────────────────────────────────────────────────────────────────────────

    async def _list(self, request: web.Request) -> web.Response:
        await self._trouble(request, "list")
        wanted = wanted_in(request)
        entries = await self._ledger.run(lambda ledger: ledger.find(wanted))
        more = str(entries[-1].seq) if len(entries) == wanted.limit else None
        return json_answer({"messages": [self._listed(e) for e in entries], "next_page": more})

    async def _get(self, request: web.Request) -> web.Response:
        await self._trouble(request, "list")
        try:
            entry = await self._ledger.run(lambda ledger: ledger.get(request.match_info["id"]))
        except KeyError:
            raise Problem(404, "20404", "no such message") from None
        return json_answer(self._listed(entry))

    async def _media(self, request: web.Request) -> web.Response:
        await self._trouble(request, "media")
        found = await self._ledger.run(lambda ledger: ledger.media(request.match_info["id"]))
        if found is None:
            raise Problem(404, "20404", "no such media")
        return web.Response(body=found[1], headers={"Content-Type": found[0]})

    async def _number(self, request: web.Request) -> web.Response:
        """Every number is ours here: whoever tries the engine out has none."""
        fault = self._faults.take("numbers")
        if fault is not None and fault.kind == "missing":
            raise Problem(404, "20404", "no such number")
        if fault is not None:
            return await self._fail(request, fault)
        return json_answer({"number": request.match_info["number"], "texts": True, "media": True})

    async def _trouble(self, request: web.Request, on: Place) -> None:
        fault = self._faults.take(on)
        if fault is not None:
            await self._fail(request, fault)

    def _listed(self, entry: Entry) -> dict[str, object]:
        return shown(entry) | {"media": as_told(entry, self._own_url)["media"]}

    # ── faults ───────────────────────────────────────────────────────────────────────────────────

    async def _show_faults(self, request: web.Request) -> web.Response:
        return json_answer({"faults": self._faults.active()})

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Problem(422, "422", str(error)) from None
        problem = fault.problem()
        if problem is not None:
            raise Problem(422, "422", problem)
        self._faults.add(fault)
        _log.info(
            "simulator.fault_set", on=fault.on, kind=fault.kind, times=fault.times, seconds=fault.seconds
        )
        return json_answer({"faults": self._faults.active()}, status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

    # ── the handset ──────────────────────────────────────────────────────────────────────────────

    async def _read(self, request: web.Request) -> web.Response:
        wanted = Wanted(recipient=request.match_info["number"], direction="outbound", limit=1000)
        entries = await self._ledger.run(lambda ledger: ledger.find(wanted))
        return json_answer({"messages": [self._listed(e) for e in entries]})

    async def _answer(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if not _NUMBER.fullmatch(number):
            raise Problem(422, "21211", "not a valid phone number")
        text, to, media = await letter_in(request)
        if not (text or media) or len(text) > MAX_TEXT or len(media) > MAX_MEDIA:
            raise Problem(422, "21617", f"1 to {MAX_TEXT} characters or 1 to {MAX_MEDIA} files are needed")
        recipient = to or await self._ledger.run(lambda ledger: ledger.last_sender_to(number))
        if recipient is None:
            raise Problem(409, "409", f"nobody has written to {masked(number)}: say whom to write to")
        entry = await self._ledger.run(
            lambda ledger: ledger.receive(sender=number, recipient=recipient, text=text, media=media)
        )
        self._courier.bring_answer(entry, self._faults.take("inbound"))
        return json_answer(self._listed(entry), status=201)
