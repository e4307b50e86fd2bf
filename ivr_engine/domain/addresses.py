"""Which IP addresses may be connected to when somebody else says where."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

Network = Literal["public", "private", "loopback"]
"""``private``: the own network, and the internet."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_OWN: Final = tuple(
    ipaddress.ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Not among them: link-local addresses, where machines in clouds are told their credentials."""


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


def allowed(text: str, network: Network) -> bool:
    """Whether an IP address may be connected to."""
    if network == "public":
        return public(text)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if network == "loopback":
        return address.is_loopback
    return public(text) or any(address in own for own in _OWN if own.version == address.version)
