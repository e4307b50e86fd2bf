"""A Twilio of our own: what its API does that a mock made from its description cannot.

It keeps messages, lists them in pages, calls webhooks back (signed by Twilio's rule, written down here anew),
keeps pictures behind a redirect, and fails in Twilio's ways when told to.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from multidict import MultiDictProxy
from yarl import URL

from ivr_engine.domain.messages import Message
from ivr_engine.ports import WebhookRequest
from ivr_engine.sms.twilio import Twilio
from ivr_engine.sms.twilio_account import TwilioAccount
from tests.contract.sms_worlds import PHONE, SENDER, SOON, Sink, sink

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "an auth token of the tests"
ROOT = f"/2010-04-01/Accounts/{SID}"
Fields = list[tuple[str, str]]


@dataclass(kw_only=True)
class Row:
    """A message as Twilio keeps it."""

    sid: str
    direction: str
    sender: str
    recipient: str
    body: str
    status: str
    made: datetime
    error_code: int | None = None
    callback: str | None = None
    media_urls: list[str] = field(default_factory=list[str])
    files: list[tuple[str, str, bytes]] = field(default_factory=list[tuple[str, str, bytes]])

    def shown(self) -> dict[str, object]:
        at = format_datetime(self.made)
        return {
            "account_sid": SID,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": at,
            "date_sent": None if self.status == "queued" else at,
            "date_updated": at,
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": None,
            "num_media": str(len(self.files)),
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{ROOT}/Messages/{self.sid}/Media.json"},
            "to": self.recipient,
            "uri": f"{ROOT}/Messages/{self.sid}.json",
        }


def signature(url: str, fields: Fields, token: str = TOKEN) -> str:
    """As https://www.twilio.com/docs/usage/security describes it."""
    text = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class FakeTwilio:
    """``failing``: how the next requests to send go wrong. ``list_failing``: the same for lists.

    ``undelivered``: the error code each next message ends with, empty for one that arrives. ``reached_at``:
    an address on the internet, and where it leads to here, as a tunnel or a reverse proxy does it.
    ``answers``: how the webhooks were answered.
    """

    def __init__(self, engine: str, group: asyncio.TaskGroup, http: aiohttp.ClientSession) -> None:
        self.url = ""
        self.rows: list[Row] = []
        self.failing: list[str] = []
        self.list_failing: list[str] = []
        self.requests: list[str] = []
        self.numbers = {SENDER: {"voice": True, "sms": True, "mms": True, "fax": False}}
        self.short_codes = {"72000"}
        self.callbacks = True
        self.undelivered: list[str] = []
        self.hang_s = SOON
        self.reached_at: tuple[str, str] = ("", "")
        self.answers: list[int] = []
        self.redirect_to: Callable[[str], str] = lambda file: f"/cdn/{file}"
        self.tasks: list[asyncio.Task[None]] = []
        self._engine = engine
        self._group = group
        self._http = http

    # ── what Twilio's customers and their correspondents do ──────────────────────────────────────

    def add(self, *, direction: str, sender: str, recipient: str, body: str, status: str) -> Row:
        number = f"{len(self.rows) + 1:032x}"
        row = Row(
            sid=("SM" if direction != "inbound" else "MM") + number,
            direction=direction,
            sender=sender,
            recipient=recipient,
            body=body,
            status=status,
            made=datetime.now(UTC).replace(microsecond=0),
        )
        self.rows.append(row)
        return row

    def text_from_phone(self, text: str, media: Sequence[tuple[str, bytes]] = ()) -> Row:
        row = self.add(direction="inbound", sender=PHONE, recipient=SENDER, body=text, status="received")
        row.files = [(f"ME{row.sid[2:20]}{n:014x}", kind, content) for n, (kind, content) in enumerate(media)]
        return row

    def inbound_fields(self, row: Row) -> Fields:
        files = [
            pair
            for n, (file, kind, _) in enumerate(row.files)
            for pair in ((f"MediaUrl{n}", self.media_url(row, file)), (f"MediaContentType{n}", kind))
        ]
        return [
            ("ToCountry", "DE"),
            ("ToState", ""),
            ("SmsMessageSid", row.sid),
            ("NumMedia", str(len(row.files))),
            ("FromCity", ""),
            ("SmsStatus", "received"),
            ("Body", row.body),
            ("To", row.recipient),
            ("MessageSid", row.sid),
            ("AccountSid", SID),
            ("From", row.sender),
            ("ApiVersion", "2010-04-01"),
            ("SomethingNew", "that nobody has heard of"),
            *files,
        ]

    def status_fields(self, row: Row, status: str, code: str | None = None) -> Fields:
        fields = [
            ("AccountSid", SID),
            ("From", row.sender),
            ("MessageSid", row.sid),
            ("MessageStatus", status),
            ("SmsSid", row.sid),
            ("SmsStatus", status),
            ("To", row.recipient),
        ]
        return fields if code is None else [*fields, ("ErrorCode", code)]

    def media_url(self, row: Row, file: str) -> str:
        return f"{self.url}{ROOT}/Messages/{row.sid}/Media/{file}"

    def tell(self, url: str, *bodies: Fields) -> None:
        """Call a webhook with one body after the other."""
        self.tasks.append(self._group.create_task(self._tell(url, bodies)))

    def tell_of(self, row: Row) -> None:
        self.tell(f"{self._engine}/webhooks/sms/twilio/inbound", self.inbound_fields(row))

    async def _tell(self, url: str, bodies: Sequence[Fields]) -> None:
        for fields in bodies:
            headers = {
                "X-Twilio-Signature": signature(url, fields),
                "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            }
            target = URL(url.replace(*self.reached_at, 1), encoded=True)
            async with self._http.post(target, data=urlencode(fields), headers=headers) as answer:
                self.answers.append(answer.status)

    # ── the API ──────────────────────────────────────────────────────────────────────────────────

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._signed_in])
        app.router.add_post(f"{ROOT}/Messages.json", self._send)
        app.router.add_get(f"{ROOT}/Messages.json", self._list)
        app.router.add_get(f"{ROOT}/Messages/{{sid}}.json", self._get)
        app.router.add_get(f"{ROOT}/Messages/{{sid}}/Media.json", self._media_list)
        app.router.add_get(f"{ROOT}/Messages/{{sid}}/Media/{{file}}", self._media)
        app.router.add_get(f"{ROOT}/IncomingPhoneNumbers.json", self._own_numbers)
        app.router.add_get(f"{ROOT}/SMS/ShortCodes.json", self._own_short_codes)
        app.router.add_get("/cdn/{file}", self._cdn)
        return app

    @web.middleware
    async def _signed_in(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        expected = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        given = request.headers.get("Authorization")
        if request.path.startswith("/cdn/"):
            # The place of the files is another company's: our credentials have no business there.
            return await handler(request) if given is None else web.Response(status=400)
        if given != expected:
            return _problem(401, 20003, "Authenticate")
        return await handler(request)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        how = self.failing.pop(0) if self.failing else ""
        match how:
            case "busy":
                return _problem(429, 20429, "Too Many Requests", {"Retry-After": "7"})
            case "error":
                return web.Response(status=503, text="<html>")
            case "refuse":
                return _problem(400, 21610, "Attempt to send to unsubscribed recipient")
            case "hang":
                await asyncio.sleep(self.hang_s)
            case "reset":
                _cut(request)
                return web.Response()
            case _ if how.isdigit():
                return _problem(400, int(how), "as the test wants it")
            case _:
                pass
        wrong = _wrong(form)
        if wrong is not None:
            return wrong
        row = self.add(
            direction="outbound-api",
            sender=str(form["From"]),
            recipient=str(form["To"]),
            body=str(form.get("Body", "")),
            status="queued",
        )
        row.media_urls = [str(url) for url in form.getall("MediaUrl", [])]
        row.callback = str(form["StatusCallback"]) if "StatusCallback" in form else None
        shown = row.shown()
        self._deliver(row, self.undelivered.pop(0) if self.undelivered else "")
        if how == "lose_answer":
            _cut(request)
        if how == "garble":
            return web.Response(status=201, text="{")
        return web.json_response(shown, status=201)

    def _deliver(self, row: Row, code: str) -> None:
        """Told step by step; what was not delivered is in the list too."""
        if code:
            row.status, row.error_code = "undelivered", int(code)
        if self.callbacks and row.callback is not None:
            last = ("undelivered", code) if code else ("delivered", None)
            self.tell(row.callback, self.status_fields(row, "sent"), self.status_fields(row, *last))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        how = self.list_failing.pop(0) if self.list_failing else ""
        if how == "garble":
            return web.json_response({"messages": [{"sid": None}], "next_page_uri": None})
        if how:
            return _problem(int(how), 20500, "as the test wants it")
        query = request.query
        size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        wanted = [
            row
            for row in sorted(reversed(self.rows), key=lambda row: row.made, reverse=True)
            if query.get("To", row.recipient) == row.recipient
            and query.get("From", row.sender) == row.sender
            and ("DateSent>" not in query or f"{row.made:%Y-%m-%d}" >= query["DateSent>"][:10])
        ]
        more = len(wanted) > (page + 1) * size
        following = str(request.rel_url.update_query({"Page": str(page + 1), "PageToken": f"PA{page}"}))
        return web.json_response(
            {
                "messages": [row.shown() for row in wanted[page * size : (page + 1) * size]],
                "end": len(wanted),
                "first_page_uri": request.path_qs,
                "next_page_uri": following if more else None,
                "page": page,
                "page_size": size,
                "previous_page_uri": None,
                "start": page * size,
                "uri": request.path_qs,
            }
        )

    async def _own_numbers(self, request: web.Request) -> web.StreamResponse:
        """As at Twilio, what is asked for is a part of a number."""
        part = request.query.get("PhoneNumber", "")
        found: list[dict[str, object]] = [
            {"sid": f"PN{n:032x}", "phone_number": number, "capabilities": able}
            for n, (number, able) in enumerate(self.numbers.items())
            if part in number
        ]
        return self._page(request, "incoming_phone_numbers", found)

    async def _own_short_codes(self, request: web.Request) -> web.StreamResponse:
        part = request.query.get("ShortCode", "")
        return self._page(
            request, "short_codes", [{"short_code": code} for code in self.short_codes if part in code]
        )

    def _page(self, request: web.Request, name: str, found: list[dict[str, object]]) -> web.StreamResponse:
        how = self.list_failing.pop(0) if self.list_failing else ""
        if how:
            return _problem(int(how), 20500, "as the test wants it")
        return web.json_response({name: found, "next_page_uri": None, "page": 0, "uri": request.path_qs})

    def row(self, sid: str) -> Row | None:
        return next((row for row in self.rows if row.sid == sid), None)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        row = self.row(request.match_info["sid"])
        return web.json_response(row.shown()) if row else _problem(404, 20404, "not found")

    async def _media_list(self, request: web.Request) -> web.StreamResponse:
        row = self.row(request.match_info["sid"])
        if row is None:
            return _problem(404, 20404, "not found")
        uri = f"{ROOT}/Messages/{row.sid}/Media"
        files = [
            {"sid": file, "account_sid": SID, "parent_sid": row.sid, "content_type": kind}
            | {"uri": f"{uri}/{file}.json", "date_created": None, "date_updated": None}
            for file, kind, _ in row.files
        ]
        return web.json_response({"media_list": files, "next_page_uri": None, "uri": f"{uri}.json"})

    async def _media(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": self.redirect_to(request.match_info["file"])})

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["file"] == "circle":
            return web.Response(status=302, headers={"Location": "circle"})
        for row in self.rows:
            for file, kind, content in row.files:
                if file == request.match_info["file"]:
                    return web.Response(body=content, content_type=kind)
        return web.Response(status=404)


def _problem(
    status: int, code: int, message: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    told = {"code": code, "message": message, "more_info": "https://www.twilio.com/docs", "status": status}
    return web.json_response(told, status=status, headers=headers)


def _wrong(form: MultiDictProxy[str | bytearray | bytes | web.FileField]) -> web.StreamResponse | None:
    if len(str(form.get("To", ""))) < 8:
        return _problem(400, 21211, "Invalid 'To' Phone Number")
    if not form.get("Body") and not form.get("MediaUrl"):
        return _problem(400, 21602, "Message body is required.")
    return None


def _cut(request: web.Request) -> None:
    """The connection breaks; nothing that is answered after this arrives."""
    assert request.transport is not None
    request.transport.abort()


@dataclass
class TwilioWorld:
    provider: Twilio
    fake: FakeTwilio
    sink: Sink

    async def accepted(self, to: str = PHONE) -> list[str]:
        return [r.body for r in self.fake.rows if r.recipient == to and r.direction == "outbound-api"]

    async def fails(self, how: str) -> None:
        self.fake.failing.append(how)

    async def lacks(self, number: str) -> None:
        self.fake.numbers.pop(number, None)

    async def phone_writes(self, text: str, media: Sequence[tuple[str, bytes]] = ()) -> str:
        row = self.fake.text_from_phone(text, media)
        self.fake.tell_of(row)
        return row.sid

    async def called(self, count: int) -> list[WebhookRequest]:
        return await self.sink.wait_for(count)

    def status_url(self, message: Message) -> str:
        return f"{self.sink.url}/webhooks/sms/twilio/status?message={message.id}"


def account(url: str, *, send_s: float = 3.0) -> TwilioAccount:
    return TwilioAccount(
        sid=SID,
        auth_token=TOKEN,
        user=SID,
        password=TOKEN,
        url=url,
        max_media_bytes=100_000,
        send_s=send_s,
        list_s=3.0,
    )


@asynccontextmanager
async def fake_twilio(engine: str) -> AsyncGenerator[FakeTwilio]:
    """One that listens on this machine and knows the engine by the address ``engine``."""
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        fake = FakeTwilio(engine, group, http)
        runner = web.AppRunner(fake.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield fake
        finally:
            await runner.cleanup()
            for task in fake.tasks:
                task.cancel()


@asynccontextmanager
async def twilio_world(*, send_s: float = 3.0) -> AsyncGenerator[TwilioWorld]:
    async with sink() as engine, fake_twilio(engine.url) as fake:
        provider = Twilio(account(fake.url, send_s=send_s))
        try:
            yield TwilioWorld(provider, fake, engine)
        finally:
            await provider.close()
