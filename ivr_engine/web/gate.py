"""The gate in front of every route: nothing is open without a credential unless it is named here.

It stands before the routing, so a route added later is closed without anybody thinking of it. Only
``/health`` is open. (Webhooks, whose callers sign what they send, are dealt with before the gate.)

A wrong guess costs the guesser its address's ration and then gets 429; the right token always passes,
whatever others guessed before: nobody can lock the owner out. The token has 192 bits, so what is
throttled is noise, not a search that could succeed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivr_engine.observability.rationed import RationedLog
from ivr_engine.web.errors import answer

OPEN_PATHS: Final = frozenset({"/health"})
BROWSER_PATHS: Final = frozenset({"/docs", "/openapi.json"})
"""Where a browser may also ask its user: Basic authentication, any name, the token as password."""

GUESSES: Final = 20
"""Wrong guesses an address may make at once."""

REFILL_S: Final = 3.0
"""Seconds until one more is allowed."""

SHORT_TOKEN: Final = 16
"""Characters below which a token that somebody chose could be guessed after all."""

_ADDRESSES: Final = 4096

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = structlog.get_logger()


class Guesses:
    """How many wrong guesses each address has left; remembers the last few thousand addresses."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, address: str) -> int:
        """0 when the guess was within the ration, else seconds to wait."""
        now = self._monotonic()
        left, at = self._left.pop(address, (float(GUESSES), now))
        left = min(float(GUESSES), left + (now - at) / REFILL_S)
        wait = 0 if left >= 1 else math.ceil((1 - left) * REFILL_S)
        self._left[address] = (left if wait else left - 1, now)
        if len(self._left) > _ADDRESSES:
            self._left.popitem(last=False)
        return wait


class Gate:
    """ASGI middleware: the token, and the headers every answer carries."""

    def __init__(self, app: ASGIApp, token: str, guesses: Guesses | None = None) -> None:
        if not token:
            raise ValueError("the API is never open: a token is needed")
        if len(token) < SHORT_TOKEN:
            log.warning(
                "api_token.is_short", characters=len(token), remedy="unset IVR_API_TOKEN: one is made"
            )
        self._app = app
        self._digest = _digest(token.encode())
        self._guesses = guesses or Guesses()
        self._rationed_log = RationedLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app if _is_open(scope["path"]) or self._knows(scope) else self._refusal(scope)
        await app(scope, receive, send_with_headers)

    def _knows(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("authorization")
        if len(given) != 1:
            return False
        scheme, _, rest = given[0].partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(_digest(rest.strip().encode("latin-1")), self._digest)
        if scheme.lower() == "basic" and scope["path"] in BROWSER_PATHS:
            return hmac.compare_digest(_digest(_basic_password(rest)), self._digest)
        return False

    def _refusal(self, scope: Scope) -> ASGIApp:
        challenge = "Basic" if scope["path"] in BROWSER_PATHS else "Bearer"
        headers = {"WWW-Authenticate": f'{challenge} realm="ivr-engine"'}
        if "authorization" not in Headers(scope=scope):
            return answer(401, "no_token", "send the header: Authorization: Bearer <token>", headers=headers)
        address = scope["client"][0] if scope.get("client") else "?"
        wait = self._guesses.spend(address)
        if wait:
            headers["Retry-After"] = str(wait)
            return answer(
                429, "too_many_guesses", f"wrong tokens from here; again in {wait} s", headers=headers
            )
        self._rationed_log.warning("api_token.refused", address=address)
        return answer(401, "wrong_token", "this token is not the engine's", headers=headers)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS


def _digest(token: bytes) -> bytes:
    """Of one length whatever came in, so that comparing tells nothing."""
    return hashlib.sha256(token).digest()


def _basic_password(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
