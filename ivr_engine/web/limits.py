"""How much, and for how long, a request may send. Applies after the gate, before the routes.

Bodies are never unpacked (``Content-Encoding`` is not understood), so what is counted is what is held.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivr_engine.web.errors import answer

BODY_BYTES: Final = 256 * 1024
"""The largest body of an ordinary request."""

UPLOAD_BYTES: Final = 24 * 1024 * 1024
"""The largest body where pictures are sent along: see ``UPLOADS``."""

UPLOADS: Final = re.compile(r"/api/v1/(handset/|calls/[^/]+/sms/file$)")

BODY_ARRIVES_S: Final = 30.0
"""Seconds from the first byte of a body asked for to its last."""


class Limits:
    """ASGI middleware: 413 for a body too large, 408 for one too slow; 400 for what no database takes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await answer(400, "bad_request", "the address has a zero byte")(scope, receive, send)
            return
        most = UPLOAD_BYTES if UPLOADS.match(scope["path"]) else BODY_BYTES
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > most:
            await answer(413, "too_large", _too_large(most))(scope, receive, send)
            return
        if headers.get("content-encoding", "identity").lower() != "identity":
            await answer(415, "unsupported_media_type", "send the body uncompressed")(scope, receive, send)
            return
        await self._app(scope, _Counted(receive, most), send)


class _Counted:
    """A ``receive`` that counts. It raises what the application turns into an answer."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most
        self._most = most
        self._deadline: float | None = None
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the other side to disconnect: no deadline
        now = asyncio.get_running_loop().time()
        self._deadline = self._deadline or now + BODY_ARRIVES_S
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {BODY_ARRIVES_S:.0f} s") from None
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            raise HTTPException(413, _too_large(self._most))
        return message


def _too_large(most: int) -> str:
    return f"the body is larger than {most // 1024} KB"
