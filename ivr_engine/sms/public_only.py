"""Names that resolve to this machine or its network are not connected to.

The connector connects to exactly the addresses that were checked, so a name that resolves differently a
moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A name on the internet that resolves to a private address."""


def public(text: str) -> bool:
    """Whether an IP address is one of the public internet; those that wrap another count as that one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return public(str(address.ipv4_mapped))
        if address in _NAT64:
            return public(str(ipaddress.IPv4Address(address.packed[-4:])))
        if address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


class PublicOnly(AbstractResolver):
    """``trusted`` may resolve to anything: a host that the admin configured. Addresses written as such
    never come here; whoever uses this must not accept them."""

    def __init__(self, *, trusted: str | None = None, inner: AbstractResolver | None = None) -> None:
        self._trusted = trusted
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host == self._trusted:
            return found
        if not found or not all(public(one["host"]) for one in found):
            raise PrivateAddress(f"{host} resolves to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()
