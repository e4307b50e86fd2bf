"""Fetching what came with a text, without being led anywhere by the address it came with.

Our credentials go to Twilio's API only, to an address of our own account's media and nothing else. Twilio
answers with a redirect to a link that is valid for hours; it is followed without credentials, over https, to
Twilio's own hosts.
"""

from __future__ import annotations

import re
from typing import Final

import aiohttp
from yarl import URL

from ivr_engine.errors import Gone, Rejected, Unreachable, in_words
from ivr_engine.resolver import NotAllowed
from ivr_engine.sms.twilio_account import TWILIO_URL, TwilioAccount

CONNECT_S: Final = 3.0
"""To reach Twilio at all."""
FETCH_S: Final = 30.0
"""For one picture or video, redirects included each."""
HOPS: Final = 3
"""Redirects followed."""

_SUFFIXES: Final = (".twilio.com", ".twiliocdn.com")
"""Where Twilio keeps media, as https://www.twilio.com/docs/messaging/api/media-resource leads to."""


class MediaFetcher:
    """``session`` carries no credentials of its own and resolves names with ``Resolver``."""

    def __init__(self, session: aiohttp.ClientSession, account: TwilioAccount) -> None:
        self._session = session
        self._account = account
        self._auth = {"Authorization": aiohttp.encode_basic_auth(account.user, account.password)}
        self._own = re.compile(
            rf"({_api(account.url)})/2010-04-01/Accounts/{account.sid}"
            r"/Messages/(SM|MM)[0-9a-fA-F]{32}/Media/ME[0-9a-fA-F]{32}"
        )

    async def fetch(self, url: str) -> tuple[str, bytes]:
        """(content type claimed, content); ``ExternalError``."""
        if not self._own.fullmatch(url):
            raise Rejected("the file is not kept at Twilio for this account")
        target, headers = URL(url, encoded=True), self._auth
        try:
            for _ in range(HOPS + 1):
                async with self._session.get(
                    target,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=FETCH_S, sock_connect=CONNECT_S),
                    allow_redirects=False,
                ) as answer:
                    if answer.status not in (301, 302, 303, 307, 308):
                        _expect_ok(answer.status)
                        return answer.headers.get("Content-Type", ""), await self._limited(answer)
                    target, headers = self._next(target, answer.headers.get("Location", "")), {}
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotAllowed):
                raise Rejected(str(error.os_error)) from error
            raise Unreachable(f"Twilio's media: {in_words(error)}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"Twilio's media: {in_words(error)}") from error
        raise Rejected("the file is redirected without end")

    def _next(self, came_from: URL, location: str) -> URL:
        if not location:
            raise Rejected("the file is redirected to no address")
        try:
            target = came_from.join(URL(location))
            origin, port = target.origin(), target.explicit_port
        except ValueError as error:
            raise Rejected("the file is redirected to no address") from error
        host = target.host or ""
        at_twilio = target.scheme == "https" and host.endswith(_SUFFIXES) and port in (None, 443)
        # Only where the admin named another server than Twilio's: that server itself.
        there = self._account.url != TWILIO_URL and origin == URL(self._account.url).origin()
        if target.user is not None or not (at_twilio or there):
            raise Rejected("the file is redirected away from Twilio")
        return target

    async def _limited(self, answer: aiohttp.ClientResponse) -> bytes:
        if "Content-Encoding" in answer.headers:
            raise Rejected("the file is compressed for transport, which was not asked for")
        content = await limited(answer, self._account.max_media_bytes)
        if content is None:
            raise Rejected(f"the file is larger than {self._account.max_media_bytes} bytes")
        return content


async def limited(answer: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The content, or ``None`` when there is more than ``most`` bytes of it; the rest is not read."""
    if answer.content_length is not None and answer.content_length > most:
        return None
    content = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > most:
            return None
    return bytes(content)


def _api(url: str) -> str:
    """Twilio's API, in whichever of its regions, or the server named instead."""
    twilio = r"https://api(\.[a-z0-9-]+){0,2}\.twilio\.com"
    return twilio if re.fullmatch(twilio, url) else re.escape(url)


def _expect_ok(status: int) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise Gone("Twilio does not have the file (any more)")
    if status in (401, 403, 408, 429) or status >= 500:
        # 403 from a link that has expired: the next try gets a new one.
        raise Unreachable(f"Twilio's media answered {status}")
    raise Rejected(f"Twilio's media answered {status}")
