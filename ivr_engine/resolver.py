"""Names that resolve to addresses which are not to be connected to, like this machine's, are not.

The connector connects to exactly the addresses that were checked, so a name that resolves differently a
moment later gains nothing.
"""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from ivr_engine.domain.addresses import Network, allowed


class NotAllowed(OSError):
    """A name that resolves to an address that is not connected to."""


class Resolver(AbstractResolver):
    """``trusted`` may resolve to anything: a host that the admin configured. Addresses written as such never
    come here; whoever uses this must see to them."""

    def __init__(
        self,
        network: Network = "public",
        *,
        trusted: str | None = None,
        inner: AbstractResolver | None = None,
    ) -> None:
        self._network: Network = network
        self._trusted = trusted
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host == self._trusted:
            return found
        if not found or not all(allowed(one["host"], self._network) for one in found):
            raise NotAllowed(f"{host} resolves to an address that is not {self._network}")
        return found

    async def close(self) -> None:
        await self._inner.close()
