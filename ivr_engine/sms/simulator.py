"""The simulator as an SMS provider and as the caller's phone, seen from the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import msgspec

from ivr_engine.domain.messages import Media, Message, MessageStatus
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.errors import ExternalError, Gone, Refused, Rejected, Unreachable, in_words
from ivr_engine.ports import (
    Accepted,
    FindResult,
    InboundSms,
    NotListed,
    NotTaken,
    OwnNumber,
    SendResult,
    StatusReport,
    Unclear,
    WebhookRequest,
)
from ivr_engine.sms.signing import SIGNATURE_HEADER, genuine

CONNECT_S: Final = 3.0
"""To reach the provider at all; when it runs out nothing was sent."""
SEND_S: Final = 10.0
"""For the answer to a sent message; when it runs out the provider may still be at work."""
LIST_S: Final = 10.0
"""For one page of the provider's list."""
FETCH_S: Final = 30.0
"""For one picture or video."""
UNREACHABLE_RETRY_S: Final = 1.0
"""A refused connection costs nothing: try again soon."""
CREDENTIALS_RETRY_S: Final = 30.0
"""Wrong credentials are mended by people, not by trying quickly."""

_RETRYABLE_CODES: Final = {"30001": 5.0, "21611": 5.0}
"""Queue overflow at the provider: seconds to wait."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding raises on JSON that is broken, of another shape, not UTF-8 or nested without end."""

_JSON: Final = {"Content-Type": "application/json"}

_STATUS: Final = {
    "queued": MessageStatus.ACCEPTED,
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "undelivered": MessageStatus.UNDELIVERED,
    "failed": MessageStatus.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorAccount:
    """Where the simulator is and what it shares with us; ``max_media_bytes`` caps one file."""

    url: str
    secret: str
    max_media_bytes: int = 16 * 1024 * 1024
    send_s: float = SEND_S
    list_s: float = LIST_S


class _Media(msgspec.Struct, frozen=True):
    url: str
    content_type: str = ""


class _Listed(msgspec.Struct, frozen=True):
    id: str
    status: str
    sender: str = msgspec.field(name="from", default="")
    to: str = ""
    text: str = ""
    media: tuple[_Media, ...] = ()
    error_code: str | None = None


class _Page(msgspec.Struct, frozen=True):
    messages: tuple[_Listed, ...]
    next_page: str | None = None


class _Inbound(msgspec.Struct, frozen=True):
    id: str
    sender: str = msgspec.field(name="from")
    to: str
    text: str = ""
    media: tuple[_Media, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    id: str
    status: str
    error_code: str | None = None


class _Number(msgspec.Struct, frozen=True):
    texts: bool
    media: bool


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class Simulator:
    """``SmsProvider`` and ``Handset``. Make it inside the running loop; ``close`` it at the end."""

    def __init__(self, account: SimulatorAccount) -> None:
        self._account = account
        self._base = account.url.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {account.secret}", "Accept-Encoding": "identity"},
            connector=aiohttp.TCPConnector(limit=64),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A compressed answer could unpack to any size; none is asked for and none is unpacked.
            auto_decompress=False,
            raise_for_status=False,
        )

        self._send_within = _within(account.send_s)

    @property
    def name(self) -> str:
        return "simulator"

    async def close(self) -> None:
        await self._session.close()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def send(self, message: Message, status_url: str) -> SendResult:
        body = {
            "from": message.sender,
            "to": message.recipient,
            "text": message.text,
            "status_callback": status_url,
            "reference": message.id,
            "media": " ".join(media.url for media in message.media),
        }
        try:
            async with self._session.post(
                f"{self._base}/v1/messages",
                data=msgspec.json.encode(body),
                headers=_JSON,
                timeout=self._send_within,
                allow_redirects=False,
            ) as answer:
                return _sent(answer.status, answer.headers.get("Retry-After"), await answer.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # No connection came about, so nothing was asked.
            return NotTaken("unreachable", str(error), retry_after_s=UNREACHABLE_RETRY_S)
        except TimeoutError:
            return Unclear(f"no answer in {self._account.send_s:g} s", processing_over=False)
        except aiohttp.ClientError as error:
            return Unclear(f"connection lost: {in_words(error)}", processing_over=True)

    async def find(self, message: Message) -> FindResult:
        try:
            page = await self._page({"direction": "outbound", "reference": message.id, "page_size": "1"})
        except ExternalError as error:
            return Unclear(str(error), processing_over=False)
        if not page.messages:
            return NotListed()
        found = page.messages[0]
        return Accepted(found.id, _STATUS.get(found.status, MessageStatus.ACCEPTED), found.error_code)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    async def received_since(self, since: datetime) -> Sequence[InboundSms]:
        query = {"direction": "inbound", "since": str(since.timestamp()), "page_size": "1000"}
        found: list[InboundSms] = []
        while True:
            page = await self._page(query)
            found += [_inbound(m.id, m.sender, m.to, m.text, m.media) for m in page.messages]
            if page.next_page is None:
                return found
            query["page"] = page.next_page

    async def own_number(self, number: str) -> OwnNumber | None:
        if kind_of(number) is Kind.ALPHANUMERIC:
            return None
        try:
            content = await self._call("GET", f"/v1/numbers/{quote(number, safe='+')}")
        except Gone:
            return None
        try:
            told = msgspec.json.decode(content, type=_Number)
        except UNREADABLE as error:
            raise Rejected(f"the provider's answer is not understood: {error}") from error
        return OwnNumber(told.texts, told.media)

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        # The URL came in with a message: only this provider's own media are worth our credentials.
        if not media.url.startswith(f"{self._base}/v1/media/") or "?" in media.url or ".." in media.url:
            raise Rejected("the file is not kept at the provider")
        try:
            async with self._session.get(
                media.url, timeout=_within(FETCH_S), allow_redirects=False
            ) as answer:
                _expect_ok(answer)
                return answer.headers.get("Content-Type", ""), await self._limited(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"the provider's media: {in_words(error)}") from error

    async def _limited(self, answer: aiohttp.ClientResponse) -> bytes:
        most = self._account.max_media_bytes
        if "Content-Encoding" in answer.headers:
            raise Rejected("the file is compressed for transport, which was not asked for")
        content = bytearray()
        async for chunk in answer.content.iter_chunked(64 * 1024):
            content += chunk
            if len(content) > most:
                raise Rejected(f"the file is larger than {most} bytes")
        return bytes(content)

    async def _page(self, query: Mapping[str, str]) -> _Page:
        content = await self._call("GET", "/v1/messages", query=query)
        try:
            return msgspec.json.decode(content, type=_Page)
        except UNREADABLE as error:
            raise Rejected(f"the provider's list is not understood: {error}") from error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: aiohttp.FormData | None = None,
    ) -> bytes:
        url = f"{self._base}{path}"
        timeout = _within(self._account.list_s)
        try:
            async with self._session.request(
                method, url, params=query, data=form, timeout=timeout, allow_redirects=False
            ) as answer:
                content = await answer.read()
                _expect_ok(answer, content)
                return content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"the provider: {in_words(error)}") from error

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────

    def read_webhook(self, request: WebhookRequest) -> InboundSms | StatusReport:
        claimed = next((v for k, v in request.headers.items() if k.lower() == SIGNATURE_HEADER.lower()), None)
        if not genuine(self._account.secret, request.url, request.body, claimed):
            raise Refused("the signature is not the provider's")
        parts = urlsplit(request.url)
        try:
            if parts.path.endswith("/status"):
                return _status(msgspec.json.decode(request.body, type=_Status), parts.query)
            told = msgspec.json.decode(request.body, type=_Inbound)
        except UNREADABLE as error:
            raise Refused(f"the body is not understood: {error}") from error
        return _inbound(told.id, told.sender, told.to, told.text, told.media)

    # ── the handset ──────────────────────────────────────────────────────────────────────────────

    async def read(self, number: str) -> Sequence[Mapping[str, object]]:
        content = await self._call("GET", f"/handset/{quote(number, safe='+')}/messages")
        return msgspec.json.decode(content, type=dict[str, list[dict[str, object]]])["messages"]

    async def answer(self, number: str, to: str | None, text: str, media: Sequence[tuple[str, bytes]]) -> str:
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("text", text)
        if to is not None:
            form.add_field("to", to)
        for index, (content_type, content) in enumerate(media):
            form.add_field("media", content, filename=f"file{index}", content_type=content_type)
        content = await self._call("POST", f"/handset/{quote(number, safe='+')}/messages", form=form)
        return msgspec.json.decode(content, type=_Listed).id


def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_S, seconds))


def _sent(status: int, retry_after: str | None, content: bytes) -> SendResult:
    """What the provider's answer to a send means."""
    if status in (200, 201):
        try:
            listed = msgspec.json.decode(content, type=_Listed)
        except UNREADABLE:
            return Unclear("the answer is not understood", processing_over=True)
        return Accepted(listed.id, _STATUS.get(listed.status, MessageStatus.ACCEPTED), listed.error_code)
    if status >= 500 or status == 408 or status < 400:
        return Unclear(f"the provider answered {status}", processing_over=True)
    problem = _problem(content)
    if status == 429:
        return NotTaken(problem.code or "429", problem.message, retry_after_s=_seconds(retry_after))
    if status in (401, 403, 404):
        return NotTaken(problem.code or str(status), problem.message, retry_after_s=CREDENTIALS_RETRY_S)
    return NotTaken(
        problem.code or str(status), problem.message, retry_after_s=_RETRYABLE_CODES.get(problem.code)
    )


def _seconds(retry_after: str | None) -> float:
    """``Retry-After`` in seconds; the form with a date is not used by this provider."""
    try:
        return min(max(float(retry_after or "1"), 0.1), 3600.0)
    except ValueError:
        return 1.0


def _problem(content: bytes) -> _Problem:
    try:
        return msgspec.json.decode(content, type=_Problem)
    except UNREADABLE:
        return _Problem()


def _expect_ok(answer: aiohttp.ClientResponse, content: bytes = b"") -> None:
    if answer.status == 404:
        raise Gone("the provider does not have it (any more)")
    if answer.status == 429 or answer.status >= 500:
        raise Unreachable(f"the provider answered {answer.status}")
    if answer.status in (409, 422):
        raise Refused(_problem(content).message or "the provider refused")
    if answer.status not in (200, 201):
        raise Rejected(f"the provider answered {answer.status}")


def _status(told: _Status, query: str) -> StatusReport:
    status = _STATUS.get(told.status)
    if status is None:
        raise Refused("the status is not one of this provider's")
    ours = parse_qs(query).get("message")
    return StatusReport(told.id, status, message_id=ours[0] if ours else None, error_code=told.error_code)


def _inbound(id: str, sender: str, to: str, text: str, media: Sequence[_Media]) -> InboundSms:
    return InboundSms(id, sender, to, text, tuple((m.url, m.content_type) for m in media))
