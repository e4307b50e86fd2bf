"""Twilio's own library, made to keep our promises: deadlines, size limits, silence about numbers and texts.
The only file that imports it.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar, cast
from urllib.parse import urlparse

import aiohttp
import msgspec

# The library has annotations but declares none of them to be complete.
# pyright: reportMissingTypeStubs=false
from twilio.base.exceptions import TwilioException
from twilio.base.values import unset
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance, MessagePage
from yarl import URL

from ivr_engine.domain.messages import Message
from ivr_engine.errors import Gone, Rejected, Unreachable, in_words
from ivr_engine.ports import OwnNumber
from ivr_engine.sms.twilio_account import TWILIO_URL, TwilioAccount
from ivr_engine.sms.twilio_list import Listed
from ivr_engine.sms.twilio_media import CONNECT_S, limited
from ivr_engine.sms.twilio_webhooks import SID, Form, code_of

ANSWER_BYTES: Final = 8 * 1024 * 1024
"""The largest answer read: a page of the longest messages is a tenth of it."""
PAGE_SIZE: Final = 200
PAGES: Final = 500
"""Pages read of one list; above that something is wrong."""
LIST_ORDER: Final = timedelta(days=1)
"""The list is sorted by the time of sending, which for a message is later than the time of its making."""

T = TypeVar("T")


class TwilioApi:
    """``session`` carries no credentials of its own."""

    def __init__(self, session: aiohttp.ClientSession, account: TwilioAccount) -> None:
        self._account = account
        client = Client(
            account.user,
            account.password,
            account.sid,
            http_client=_Http(session, account),
            environment={"TWILIO_REGION": ""},  # the library would read the process's otherwise
        )
        of_account = client.api.v2010.accounts(account.sid)
        self._messages = of_account.messages
        self._phone_numbers = of_account.incoming_phone_numbers
        self._short_codes = of_account.short_codes

    async def create(self, message: Message, status_url: str) -> Listed:
        """Raises what happened, as it happened: ``Answered``, one of ``UNREADABLE``, ``aiohttp``'s errors,
        ``TimeoutError``, ``Rejected``."""
        return _listed(
            await self._messages.create_async(
                to=message.recipient,
                from_=message.sender,
                body=message.text or unset,
                status_callback=status_url,
                media_url=[media.url for media in message.media] or unset,
            )
        )

    async def get(self, sid: str) -> Listed:
        """``ExternalError``; ``Gone`` when there is none."""
        return _listed(await _asked(self._messages(sid).fetch_async()))

    async def media(self, sid: str) -> tuple[tuple[str, str], ...]:
        """(address, content type) of what came with a message."""
        try:
            files = await _asked(self._messages(sid).media.list_async(limit=10, page_size=10))
        except Gone:
            return ()
        return tuple(
            (self._account.url + file.uri.removesuffix(".json"), file.content_type or "")
            for file in files
            if file.uri
        )

    async def phone_number(self, number: str) -> OwnNumber | None:
        """``None`` when the account has no such number; ``ExternalError``."""
        found = await _asked(self._phone_numbers.list_async(phone_number=number, limit=PAGE_SIZE))
        for one in found:
            if one.phone_number == number:
                able = cast(object, one.capabilities)  # a mapping, whatever the library says
                if not isinstance(able, Mapping):
                    raise Rejected("Twilio does not say what the number can do")
                told = cast(Mapping[str, object], able)
                return OwnNumber(texts=told.get("sms") is True, media=told.get("mms") is True)
        return None

    async def short_code(self, number: str) -> OwnNumber | None:
        """Likewise. Twilio does not say whether it carries media."""
        found = await _asked(self._short_codes.list_async(short_code=number, limit=PAGE_SIZE))
        return OwnNumber(texts=True, media=False) if any(one.short_code == number for one in found) else None

    async def listed(
        self,
        until: datetime,
        *,
        to: str | None = None,
        sender: str | None = None,
        sent_since: datetime | None = None,
    ) -> AsyncIterator[Listed]:
        """Twilio's list, newest first, on to where all is clearly older than ``until``; ``ExternalError``
        when any of it cannot be had or understood."""
        page = await _asked(
            self._messages.page_async(
                to=to or unset,
                from_=sender or unset,
                date_sent_after=sent_since.astimezone(UTC) if sent_since else unset,
                page_size=PAGE_SIZE,
            )
        )
        for _ in range(PAGES):
            rows, following = _read(page)
            for row in rows:
                yield row
            if following is None or (rows and all(row.made_before(until - LIST_ORDER) for row in rows)):
                return
            page = await _asked(self._messages.get_page_async(following))
        raise Rejected("Twilio's list has no end")


class Signatures:
    """Twilio signs the address, with or without its port as it pleases, and all fields posted to it."""

    def __init__(self, auth_token: str) -> None:
        self._validator = RequestValidator(auth_token)

    def genuine(self, url: str, form: Form, claimed: str) -> bool:
        given = claimed.encode("utf-8", "surrogateescape")
        try:
            good = [hmac.compare_digest(self._of(one, form), given) for one in _spellings(url)]
        except ValueError:
            return False
        return any(good)

    def _of(self, url: str, form: Form) -> bytes:
        made = self._validator.compute_signature(url, form)  # pyright: ignore[reportUnknownMemberType]
        return made.encode()


def _spellings(url: str) -> set[str]:
    """``url`` as it is, and with the usual port added or left out."""
    parts = urlparse(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host, _, port = parts.netloc.rpartition(":")
    spellings = {url}
    if usual is not None and parts.port is None:
        spellings.add(url.replace(parts.netloc, f"{parts.netloc}:{usual}", 1))
    elif port and parts.port is not None:
        spellings.add(url.replace(parts.netloc, host, 1))
    return spellings


UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError, TwilioException)
"""What the library raises on an answer that is broken or of another shape."""


class Answered(Exception):
    """Twilio answered with something other than success."""

    def __init__(self, status: int, retry_after: str | None, content: bytes) -> None:
        self.status = status
        self.retry_after = retry_after
        try:
            told = msgspec.json.decode(content, type=_Problem)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            told = _Problem()
        self.code = str(told.code) if told.code else ""
        self.reason = told.message[:300]
        super().__init__(f"Twilio answered {status} {self.code}".strip())


class _Problem(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str = ""


class _Http(AsyncTwilioHttpClient):
    """Where the library would wait without end, follow the environment, or log numbers and texts: deadlines,
    a size limit, silence. Credentials go to the configured address and nowhere else."""

    def __init__(self, session: aiohttp.ClientSession, account: TwilioAccount) -> None:
        super().__init__(pool_connections=False)  # pyright: ignore[reportUnknownMemberType]
        self._ours = session
        self._account = account

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        allow_redirects: bool = False,
    ) -> Response:
        if not url.startswith(f"{TWILIO_URL}/") or auth is None:
            raise Rejected("a request to somewhere else than Twilio's API")
        within = self._account.send_s if method.upper() == "POST" else self._account.list_s
        # Not the library's: it would log what it sends.
        async with self._ours.request(
            method,
            URL(self._account.url + url.removeprefix(TWILIO_URL), encoded=True),
            params=_pairs(params),
            data=_pairs(data) or None,
            headers={**(headers or {}), "Authorization": aiohttp.encode_basic_auth(*auth)},
            timeout=aiohttp.ClientTimeout(total=within, sock_connect=min(CONNECT_S, within)),
            allow_redirects=False,
        ) as answer:
            content = await limited(answer, ANSWER_BYTES)
            if answer.status not in (200, 201):
                raise Answered(answer.status, answer.headers.get("Retry-After"), content or b"")
            if content is None:
                raise ValueError("the answer is too large")
            return Response(answer.status, content.decode("utf-8"), answer.headers)


def _pairs(fields: dict[str, object] | None) -> list[tuple[str, str]]:
    """One pair a value: the library gives lists for what may be there several times."""
    return [
        (name, str(one))
        for name, value in (fields or {}).items()
        for one in (cast(list[object], value) if isinstance(value, list) else [value])
        if one is not None
    ]


async def _asked(answer: Awaitable[T]) -> T:
    """What the library returns, or an ``ExternalError``. Not for sending."""
    try:
        return await answer
    except Answered as error:
        if error.status == 404:
            raise Gone("Twilio does not have it (any more)") from error
        if error.status in (401, 403, 408, 429) or error.status >= 500:
            raise Unreachable(str(error)) from error
        raise Rejected(str(error)) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"Twilio: {in_words(error)}") from error
    except UNREADABLE as error:
        raise Rejected(f"Twilio's answer is not understood: {in_words(error)}") from error


def _read(page: MessagePage) -> tuple[list[Listed], str | None]:
    """The rows of a page and the address of the next one."""
    try:
        return [_listed(row) for row in cast(Iterable[MessageInstance], page)], page.next_page_url
    except UNREADABLE as error:
        raise Rejected("Twilio's list is not understood") from error


def _listed(row: MessageInstance) -> Listed:
    """``Rejected`` when a row has no message id: nothing may be concluded from such a list."""
    if not SID.fullmatch(str(row.sid)):
        raise Rejected("Twilio's answer has no message id")
    return Listed(
        sid=str(row.sid),
        direction=str(row.direction or ""),
        sender=row.from_ or "",
        recipient=row.to or "",
        text=row.body or "",
        status=str(row.status or ""),
        made=_time(row.date_created),
        sent=_time(row.date_sent),
        has_files=str(row.num_media or "0") != "0",
        error_code=code_of(str(row.error_code or "")),
    )


def _time(told: object) -> datetime | None:
    return told if isinstance(told, datetime) and told.tzinfo is not None else None
