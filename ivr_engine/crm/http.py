"""Signed requests to an address that an admin wrote. The answer is hostile: limited in time and size, never
followed elsewhere; and the address leads nowhere but into the network it may lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from ivr_engine import __version__
from ivr_engine.crm import signing
from ivr_engine.domain.addresses import Network, allowed
from ivr_engine.errors import ExternalError, Rejected, Unreachable, in_words
from ivr_engine.resolver import NotAllowed, Resolver

MOST_BYTES: Final = 65_536
"""Of an answer."""
CONNECTIONS: Final = 16

REFUSED: Final = frozenset({400, 406, 410, 413, 415, 422})
"""Answers that another try of the same would get again. Others, like 401 or 404, may be somebody's mistake
in setting up the other side, and are tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``secret_from`` names the environment variable with the secret; ``deadline_s`` is for all of it."""

    url: str
    network: Network
    secret_from: str
    deadline_s: float


class SignedPost:
    """Connections are kept between requests; made when first needed. ``now``: of the time stamps."""

    def __init__(
        self,
        address: Address,
        environ: Mapping[str, str],
        now: Callable[[], datetime],
        resolver: Resolver | None = None,
    ) -> None:
        self._address = address
        self._environ = environ
        self._now = now
        self._resolver = resolver or Resolver(address.network)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, id: str, body: bytes) -> bytes:
        """The answer's content. ``Rejected`` when the other side will never take it; ``ExternalError``."""
        keys = signing.secrets(self._environ, self._address.secret_from)
        self._check_address()
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **signing.headers(keys, id, self._now(), body),
        }
        try:
            async with asyncio.timeout(self._address.deadline_s):
                return await self._answer(headers, body)
        except TimeoutError:
            raise Unreachable(f"no answer within {self._address.deadline_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotAllowed):
                raise ExternalError(str(error.os_error)) from None
            raise Unreachable(f"the request failed ({in_words(error)})") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise Unreachable(f"the request failed ({in_words(error)})") from None

    async def _answer(self, headers: Mapping[str, str], body: bytes) -> bytes:
        async with self._open().post(
            self._address.url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = bytearray()
            async for chunk in answer.content.iter_chunked(8192):
                content += chunk
                if len(content) > MOST_BYTES:
                    answer.close()
                    break  # taken or not, says the status; nobody reads on
            _expect_taken(answer.status)
            return bytes(content[:MOST_BYTES])

    def _check_address(self) -> None:
        """An address written as such is resolved by nobody."""
        host = urlsplit(self._address.url).hostname or ""
        written_as_such = host.replace(".", "").isdigit() or ":" in host
        if written_as_such and not allowed(host, self._address.network):
            raise ExternalError(f"{host} is no address of the network '{self._address.network}'")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, resolver=self._resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"ivr-engine/{__version__}"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _expect_taken(status: int) -> None:
    if 200 <= status < 300:
        return
    if status in REFUSED:
        raise Rejected(f"it answered with status {status}")
    raise ExternalError(f"it answered with status {status}")
