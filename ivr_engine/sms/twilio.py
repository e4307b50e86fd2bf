"""Twilio as an SMS provider. ``docs/twilio.md`` is for admins.

Twilio has no field for an id of ours, so a lost answer is looked for by sender, recipient, time and text; see
``Twilio.find`` for what is concluded from that, and what never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import aiohttp
from yarl import URL

from ivr_engine.domain.messages import Media, Message
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.errors import ExternalError, Gone, Refused, Rejected, in_words
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
from ivr_engine.resolver import Resolver
from ivr_engine.sms import twilio_codes
from ivr_engine.sms.claims import Claims, Recent
from ivr_engine.sms.twilio_account import TWILIO_URL, TwilioAccount
from ivr_engine.sms.twilio_client import UNREADABLE, Answered, Signatures, TwilioApi
from ivr_engine.sms.twilio_list import Listed
from ivr_engine.sms.twilio_media import MediaFetcher
from ivr_engine.sms.twilio_webhooks import form_of, understood

NAME: Final = "twilio"
"""In the site's YAML, in the webhooks' paths, and with each message."""
UNREACHABLE_RETRY_S: Final = 1.0
"""A refused connection costs nothing: try again soon."""
FIND_S: Final = 30.0
"""For one look into the list, all its pages together."""
CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""Twilio's clock and ours."""
MEDIA_KEPT: Final = 1000
"""Messages whose media are remembered, as the same list is read again and again."""
SIGNATURE_HEADER: Final = "X-Twilio-Signature"

OwnerOf = Callable[[str], Awaitable[str | None]]
"""The id of the stored message of ours that has this provider id; raises ``ExternalError``."""


class Twilio:
    """``SmsProvider``. Make it inside the running loop; ``close`` it at the end.

    ``numbers``: those of ours whose inbound texts are asked for; none: all of the account's. ``owner_of``
    asks the store; without it only what this process itself saw is known.
    """

    def __init__(
        self,
        account: TwilioAccount,
        *,
        numbers: Callable[[], Sequence[str]] = tuple,
        owner_of: OwnerOf | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._account = account
        self._numbers = numbers
        self._owner_of = owner_of
        trusted = None if account.url == TWILIO_URL else URL(account.url).host
        self._session = aiohttp.ClientSession(
            headers={"Accept-Encoding": "identity"},
            connector=aiohttp.TCPConnector(limit=64, resolver=resolver or Resolver(trusted=trusted)),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A compressed answer could unpack to any size; none is asked for and none is unpacked.
            auto_decompress=False,
            raise_for_status=False,
        )
        self._api = TwilioApi(self._session, account)
        self._files = MediaFetcher(self._session, account)
        self._signatures = Signatures(account.auth_token)
        self._claims = Claims()
        self._media_of: Recent[str, tuple[tuple[str, str], ...]] = Recent(MEDIA_KEPT)

    @property
    def name(self) -> str:
        return NAME

    async def close(self) -> None:
        await self._session.close()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def send(self, message: Message, status_url: str) -> SendResult:
        self._claims.sending(message)
        result = await self._send(message, status_url)
        if isinstance(result, Accepted):
            self._claims.settled(message.id, result.provider_id)
        elif isinstance(result, NotTaken):
            self._claims.settled(message.id, None)
        return result

    async def _send(self, message: Message, status_url: str) -> SendResult:
        try:
            made = await self._api.create(message, status_url)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # No connection came about, so nothing was asked.
            return NotTaken("unreachable", str(error), retry_after_s=UNREACHABLE_RETRY_S)
        except TimeoutError:
            return Unclear(f"no answer in {self._account.send_s:g} s", processing_over=False)
        except aiohttp.ClientError as error:
            return Unclear(f"connection lost: {in_words(error)}", processing_over=True)
        except Answered as answer:
            return twilio_codes.refused(
                answer.status, answer.code, answer.reason, answer.retry_after, attempts=message.attempts
            )
        except (*UNREADABLE, Rejected):
            return Unclear("the answer is not understood", processing_over=True)
        return made.accepted()

    # ── looking up ───────────────────────────────────────────────────────────────────────────────

    async def find(self, message: Message) -> FindResult:
        """By Twilio's id where it is known. Else what the list has from and to the same numbers, with the
        same text, made since ours was written, and belonging to no other message of ours:

        - nothing, in the whole list: ``NotListed``
        - one, and no other message like it has an open outcome: that is it
        - several, or one that might be the other's, or texts that Twilio hides: ``Unclear``; the status
          callback, whose address names our message, tells, or people do.
        """
        try:
            async with asyncio.timeout(FIND_S):
                if message.provider_id is not None:
                    return await self._with_id(message.provider_id)
                return await self._like(message)
        except TimeoutError:
            return Unclear("the list did not come in time", processing_over=False)
        except ExternalError as error:
            return Unclear(str(error), processing_over=False)

    async def _with_id(self, sid: str) -> FindResult:
        try:
            listed = await self._api.get(sid)
        except Gone:
            return NotListed()
        return listed.accepted()

    async def _like(self, message: Message) -> FindResult:
        earliest = message.created_at - CLOCKS_DIFFER
        free: dict[str, Listed] = {}
        async for one in self._api.listed(earliest, to=message.recipient, sender=message.sender):
            if one.inbound or one.made_before(earliest) or not one.may_say(message.text):
                continue
            owner = await self._owner(one.sid)
            if owner == message.id:
                return one.accepted()
            if owner is None:
                free[one.sid] = one
        if not free:
            return NotListed()
        if len(free) > 1 or self._claims.has_open_twin(message):
            return Unclear("several messages could be this one", processing_over=False)
        [found] = free.values()
        if not found.text:
            return Unclear("Twilio hides the texts of this account", processing_over=False)
        self._claims.settled(message.id, found.sid)
        return found.accepted()

    async def _owner(self, sid: str) -> str | None:
        stored = await self._owner_of(sid) if self._owner_of else None
        return stored or self._claims.owner(sid)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    async def received_since(self, since: datetime) -> Sequence[InboundSms]:
        found: dict[str, Listed] = {}
        for number in self._numbers() or (None,):
            async for one in self._api.listed(since, to=number, sent_since=since):
                # What is still being received may lack its pictures; a later look finds it whole.
                if one.inbound and one.status != "receiving" and one.since(since):
                    found[one.sid] = one
        oldest_first = sorted(reversed(found.values()), key=lambda one: one.sent or one.made or since)
        return [
            InboundSms(one.sid, one.sender, one.recipient, one.text, await self._media(one))
            for one in oldest_first
        ]

    async def _media(self, one: Listed) -> tuple[tuple[str, str], ...]:
        if not one.has_files:
            return ()
        known = self._media_of.get(one.sid)
        if known is None:
            known = await self._api.media(one.sid)
            self._media_of.put(one.sid, known)
        return known

    async def own_number(self, number: str) -> OwnNumber | None:
        match kind_of(number):
            case Kind.ALPHANUMERIC:
                return None
            case Kind.SHORT_CODE:
                return await self._api.short_code(number)
            case _:
                return await self._api.phone_number(number)

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        return await self._files.fetch(media.url)

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────

    def read_webhook(self, request: WebhookRequest) -> InboundSms | StatusReport:
        claimed = next((v for k, v in request.headers.items() if k.lower() == SIGNATURE_HEADER.lower()), "")
        form = form_of(request)
        if not self._signatures.genuine(request.url, form, claimed):
            raise Refused("the signature is not Twilio's")
        told = understood(request, form, self._account.sid)
        if isinstance(told, StatusReport) and told.message_id is not None:
            self._claims.settled(told.message_id, told.provider_id)
        return told
