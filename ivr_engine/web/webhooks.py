"""Where the SMS provider calls: ``/webhooks/sms/<provider>/inbound`` and ``…/status``.

Verify, store, answer 204; everything else (fetching pictures, telling people) happens afterwards, because
providers wait only seconds and try only twice. Nothing is acknowledged that is not durable: when the store
is down the answer is 503. The effects are deduplicated by their ids, so a replay changes nothing.

Two callbacks come for every SMS, so they do not walk through the API's routes and layers: ``WebhookFront``
stands before the application and is complete in itself (size, time, signature, errors).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ivr_engine.domain.messages import Message
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging.inbound import InboundRules, received, status_reported
from ivr_engine.messaging.unhurried import TICK_S, Unhurried
from ivr_engine.observability.rationed import RationedLog, Trouble
from ivr_engine.ports import Clock, InboundSms, SmsProvider, StatusReport, Store, Tx, WebhookRequest
from ivr_engine.web.errors import answer

T = TypeVar("T")

PREFIX: Final = "/webhooks/sms/"
BODY_BYTES: Final = 64 * 1024
"""The largest webhook: a text of the longest kind with ten media addresses is a tenth of it."""
BODY_ARRIVES_S: Final = 5.0
"""For the whole body to arrive."""
STORED_WITHIN_S: Final = 10.0
"""For the store; providers wait up to 15 s. Later the provider tries again, or the list tells."""

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookServices:
    """``providers`` by the name in the path; ``public_url`` as the provider is told it (signatures are made
    over it; what a ``Host`` header claims is of no interest). ``stored`` hears of each new text. ``tick_s``:
    how long reports gather before they are committed together, in seconds."""

    store: Store
    clock: Clock
    providers: Mapping[str, SmsProvider]
    rules: Mapping[str, Callable[[], InboundRules]]
    public_url: str
    stored: Callable[[Message], None]
    tick_s: float = TICK_S


class _Refusal(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = answer(status, code, message, headers=_HEADERS)


class WebhookFront:
    """The ASGI application to serve: webhooks are dealt with here, everything else goes to ``app``."""

    def __init__(self, app: ASGIApp, services: WebhookServices) -> None:
        self._app = app
        self._services = services
        self._unhurried = Unhurried(services.store, services.tick_s)
        self._rationed_log = RationedLog()
        self._storing = Trouble("webhook.not_stored", "webhook.stored_again")
        self._public_url = services.public_url.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            await self._deal_with(scope, receive)
            response = Response(status_code=204, headers=_HEADERS)
        except _Refusal as refusal:
            response = refusal.answer
        await response(scope, receive, send)

    async def _deal_with(self, scope: Scope, receive: Receive) -> None:
        name, _, what = scope["path"].removeprefix(PREFIX).partition("/")
        provider = self._services.providers.get(name)
        if provider is None or what not in ("inbound", "status"):
            raise _Refusal(404, "not_found", "there is nothing at this address")
        if scope["method"] != "POST":
            raise _Refusal(405, "method_not_allowed", "this address does not understand that method")
        told = self._genuine(provider, scope, await _body(scope, receive))
        match told:
            case InboundSms() if what == "inbound":
                await self._inbound(told, name)
            case StatusReport() if what == "status":
                await self._status(told, name)
            case _:
                raise _Refusal(422, "invalid", f"this is no {what} webhook")

    async def _inbound(self, sms: InboundSms, provider: str) -> None:
        rules = self._services.rules[provider]()
        # At once: somebody looks at the screen, and the provider counts the milliseconds.
        message = await self._run(
            self._services.store, lambda tx: received(tx, sms, rules, self._services.clock.now())
        )
        if message is not None:
            self._services.stored(message)

    async def _status(self, report: StatusReport, provider: str) -> None:
        await self._run(
            self._unhurried, lambda tx: status_reported(tx, report, provider, self._services.clock.now())
        )

    def _genuine(self, provider: SmsProvider, scope: Scope, body: bytes) -> InboundSms | StatusReport:
        query = scope["query_string"].decode("latin-1")
        url = f"{self._public_url}{scope['path']}" + (f"?{query}" if query else "")
        try:
            return provider.read_webhook(WebhookRequest(url, Headers(scope=scope), body))
        except Refused as refusal:
            self._rationed_log.warning(
                "webhook.refused",
                cause=f"{provider.name}: {refusal.reason}",
                provider=provider.name,
                reason=refusal.reason,
            )
            raise _Refusal(403, "not_genuine", "not from the provider") from None

    async def _run(self, store: Store, transaction: Callable[[Tx], T]) -> T:
        try:
            async with asyncio.timeout(STORED_WITHIN_S):
                stored = await store.run(transaction)
        except (ExternalError, TimeoutError) as error:
            self._storing.met(error, meaning="the provider was told to try again")
            raise _Refusal(503, "not_stored", "not stored: try again") from None
        self._storing.over()
        return stored


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The body as sent, whatever ``Content-Length`` says; never unpacked."""
    if any(name == b"content-encoding" for name, _ in scope["headers"]):
        raise _Refusal(415, "unsupported_media_type", "send the body uncompressed")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_ARRIVES_S):
            while True:
                part = await receive()
                if part["type"] == "http.disconnect":
                    raise _Refusal(400, "bad_request", "the body did not come to its end")
                body += part.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise _Refusal(413, "too_large", f"the body is larger than {BODY_BYTES // 1024} KB")
                if not part.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise _Refusal(408, "too_slow", "the body came too slowly") from None
