"""Links to pictures and videos for systems that have no token: signed, and good for a while.

``GET /webhooks/crm/files/<ticket>/<file>?expires=…&signature=…`` for CRMs; for SMS providers, which fetch
what goes out with a text, ``/webhooks/sms/<provider>/media/<message>/<file>?…``. They stand before the gate,
as the webhooks of SMS providers do; a link opens the one file it was made for.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ivr_engine.errors import ExternalError, Refused
from ivr_engine.ports import Clock, Store, Tx
from ivr_engine.web import files
from ivr_engine.web.errors import answer
from ivr_engine.web.services import STORE_ANSWERS_S

CRM_FILES: Final = "/webhooks/crm/files/"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class FileLinks:
    """Makes links and knows its own. ``secret`` is this engine's; ``lasts`` how long a link made now is good;
    ``public_url`` how others reach this engine; ``prefix`` the path that they begin with."""

    def __init__(
        self,
        secret: str,
        public_url: str,
        clock: Clock,
        lasts: Callable[[], timedelta],
        prefix: str = CRM_FILES,
    ) -> None:
        self.prefix = prefix
        self._secret = secret.encode()
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._lasts = lasts

    def link(self, owner_id: str, file_id: str) -> tuple[str, datetime]:
        """The address, and when it stops working."""
        expires = int((self._clock.now() + self._lasts()).timestamp())
        path = f"{self.prefix}{quote(owner_id, safe='')}/{quote(file_id, safe='')}"
        signature = self._signature(owner_id, file_id, expires)
        url = f"{self._public_url}{path}?expires={expires}&signature={signature}"
        return url, datetime.fromtimestamp(expires, UTC)

    def opens(self, owner_id: str, file_id: str, expires: str, signature: str) -> bool:
        """Whether that is one of ours, and still good. Constant time."""
        if len(expires) > 12 or not expires.isascii() or not expires.isdigit():
            return False
        made = self._signature(owner_id, file_id, int(expires))
        genuine = hmac.compare_digest(made.encode(), signature.encode())
        return genuine and self._clock.now().timestamp() < int(expires)

    def _signature(self, owner_id: str, file_id: str, expires: int) -> str:
        signed = f"{self.prefix}\n{owner_id}\n{file_id}\n{expires}".encode()
        return hmac.new(self._secret, signed, hashlib.sha256).hexdigest()


def ticket_file(tx: Tx, ticket_id: str, file_id: str) -> tuple[str, str]:
    """(name in the media folder, content type) of what a customer sent. ``Refused(missing)``."""
    file = next((each for each in tx.tickets.get(ticket_id).files if each.id == file_id), None)
    if file is None:
        raise Refused("this ticket has no such file", missing=True)
    return file.file, file.content_type


def message_file(tx: Tx, message_id: str, file_id: str) -> tuple[str, str]:
    """Likewise, of what goes out with a text."""
    media = next((each for each in tx.messages.get(message_id).media if each.id == file_id), None)
    if media is None or media.file is None:
        raise Refused("this message has no such file", missing=True)
    return media.file, media.content_type


class FileFront:
    """The ASGI application to serve: links are dealt with here, everything else goes to ``app``. ``find``
    knows the files of whatever the links name."""

    def __init__(
        self,
        app: ASGIApp,
        links: FileLinks,
        store: Store,
        media_folder: Path,
        find: Callable[[Tx, str, str], tuple[str, str]] = ticket_file,
    ) -> None:
        self._find = find
        self._app = app
        self._links = links
        self._store = store
        self._folder = media_folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._links.prefix):
            await self._app(scope, receive, send)
            return
        response = await self._response(scope)
        response.headers.update(_HEADERS)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return answer(405, "method_not_allowed", "this address does not understand that method")
        owner, _, file = scope["path"].removeprefix(self._links.prefix).partition("/")
        expires, signature = _claimed(scope["query_string"])
        if not self._links.opens(owner, file, expires, signature):
            return answer(403, "link_not_good", "this link was never good, or is not any more")
        try:
            async with asyncio.timeout(STORE_ANSWERS_S):
                found = await self._store.run(lambda tx: self._find(tx, owner, file))
            return await files.stored(self._folder, found[0], found[1], file)
        except Refused:
            return answer(404, "not_found", "the file is no longer here")
        except (ExternalError, TimeoutError):
            return answer(503, "not_now", "try again later", headers={"Retry-After": "30"})


def _claimed(query_string: bytes) -> tuple[str, str]:
    try:
        query = parse_qs(query_string.decode("latin-1"), max_num_fields=8)
    except ValueError:
        return "", ""
    return query.get("expires", [""])[0], query.get("signature", [""])[0]
