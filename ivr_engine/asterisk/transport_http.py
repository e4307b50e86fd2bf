"""ARI requests over plain HTTP: for what may block Asterisk, or, by a setting, for everything.

Requests on the event socket run one after another in Asterisk; these run beside it.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from ivr_engine.asterisk.http_connections import HttpConnections
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.transport import Payload, Query, check
from ivr_engine.errors import Unreachable

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes. A recording of ten minutes is 10 MB."""

_NO_CONNECTION = "there is no connection to Asterisk; the engine starts or stops"


def authorization(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@dataclass(slots=True)
class _Pool:
    session: aiohttp.ClientSession | None = None
    connections: HttpConnections | None = None


class HttpTransport:
    """Usable inside ``async with``, which opens the connection pool; else ``Unreachable``."""

    def __init__(self, settings: AriSettings, deadline_s: float, pool: _Pool | None = None) -> None:
        self._settings = settings
        self._url = URL(settings.url.rstrip("/"))
        self._deadline_s = deadline_s
        self._pool = pool or _Pool()

    def with_deadline(self, deadline_s: float) -> HttpTransport:
        """The same connections, another patience."""
        return HttpTransport(self._settings, deadline_s, self._pool)

    @property
    def session(self) -> aiohttp.ClientSession:
        """To open the event socket with."""
        if self._pool.session is None:
            raise Unreachable(_NO_CONNECTION)
        return self._pool.session

    async def __aenter__(self) -> HttpTransport:
        headers = authorization(self._settings.user, self._settings.password)
        self._pool.session = aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar())
        self._pool.connections = HttpConnections(self._url, headers, LARGEST_ANSWER)
        return self

    async def __aexit__(self, *_: object) -> None:
        session, connections = self._pool.session, self._pool.connections
        self._pool.session = self._pool.connections = None
        if connections is not None:
            connections.close()
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Payload:
        if self._pool.connections is None:
            raise Unreachable(_NO_CONNECTION)
        target = self._url.raw_path + path
        if query:
            target += "?" + urlencode(query, quote_via=quote)
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._pool.connections.request(method, target, content)
        except TimeoutError as error:
            raise Unreachable(
                f"{method} {path}: no answer in {self._deadline_s:g} s; is Asterisk alive and not overloaded?"
            ) from error
        except OSError as error:
            raise Unreachable(f"{method} {path}: {error}; is Asterisk running at {self._url}?") from error
        return check(method, path, answer.status, answer.body)
