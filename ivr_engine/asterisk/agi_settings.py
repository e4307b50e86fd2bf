"""Where FastAGI listens and whom it hears: read from the environment, and refused where it would be unsafe.

AGI has no passwords: whoever reaches the port can have the engine hold a conversation with "a caller", send a
text to the number they name, and be told. So it is closed until a port is named, open to this machine alone
until told otherwise, and beyond that only to addresses that are named and bring a shared secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from ivr_engine.asterisk.ami_connection import AmiAccount
from ivr_engine.errors import ConfigError

SHORTEST_SECRET: Final = 16
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiSettings:
    """``pbx``: its manager interface, which tells of the ends of its calls; ``None``: nobody does. Times in
    seconds."""

    host: str = _LOOPBACK
    port: int
    allow: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1"))
    secret: str = field(default="", repr=False)
    sounds: str = "ivr/"
    """What the PBX calls the folder of prompts: under its own sounds, or a path from the root."""
    pbx: AmiAccount | None = None
    deadline_s: float = 5.0
    """For the headers, and for each answer."""
    connections: int = 1_000
    """At a time; of those that are no visit yet, a tenth."""

    def hears(self, address: str) -> bool:
        """Whether a connection from there is taken."""
        try:
            source = ip_address(address)
        except ValueError:
            return False
        if isinstance(source, IPv6Address) and source.ipv4_mapped is not None:
            source = source.ipv4_mapped
        return any(source in network for network in self.allow)


def agi_settings(given: Mapping[str, str]) -> AgiSettings | None:
    """From the variables that are set; ``None`` without ``IVR_AGI_PORT``. Raises ``ConfigError``."""
    if "IVR_AGI_PORT" not in given:
        return None
    ours = AgiSettings(port=_port(given, "IVR_AGI_PORT"))
    host, secret = given.get("IVR_AGI_HOST", _LOOPBACK), given.get("IVR_AGI_SECRET", "")
    if not (secret.isascii() and secret.isalnum()) and secret:
        raise ConfigError(
            "IVR_AGI_SECRET",
            None,
            "holds more than letters and digits",
            "it stands in the dialplan: use these",
        )
    allow = _networks(given["IVR_AGI_ALLOW"]) if "IVR_AGI_ALLOW" in given else ours.allow
    if not _is_loopback(host):
        _guarded(given, secret)
    return AgiSettings(
        host=host,
        port=ours.port,
        allow=allow,
        secret=secret,
        sounds=_folder(given.get("IVR_AGI_SOUNDS", "ivr")),
        pbx=_pbx(given),
    )


def _guarded(given: Mapping[str, str], secret: str) -> None:
    if "IVR_AGI_ALLOW" not in given:
        raise ConfigError(
            "IVR_AGI_ALLOW",
            None,
            "is not set, and IVR_AGI_HOST is not this machine alone",
            "name the PBX's address",
        )
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(
            "IVR_AGI_SECRET",
            None,
            f"has fewer than {SHORTEST_SECRET} characters, and IVR_AGI_HOST is not this machine alone",
            "set one, and give it in the dialplan as key=...",
        )


def _pbx(given: Mapping[str, str]) -> AmiAccount | None:
    if "IVR_AGI_AMI_PORT" not in given:
        return None
    if "IVR_AGI_AMI_PASSWORD" not in given:
        raise ConfigError(
            "IVR_AGI_AMI_PASSWORD", None, "is not set", "set it to the secret in the PBX's manager.conf"
        )
    for name in ("IVR_AGI_AMI_USER", "IVR_AGI_AMI_PASSWORD"):
        if not given.get(name, "").isprintable():
            raise ConfigError(name, None, "holds a control character", "write it in one line")
    return AmiAccount(
        port=_port(given, "IVR_AGI_AMI_PORT"),
        user=given.get("IVR_AGI_AMI_USER", "ivr-engine"),
        password=given["IVR_AGI_AMI_PASSWORD"],
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        raise ConfigError("IVR_AGI_HOST", None, f"{host!r} is no address", "write an IP address") from None


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        networks = tuple(ip_network(one.strip()) for one in text.split(","))
    except ValueError as error:
        raise ConfigError(
            "IVR_AGI_ALLOW", None, str(error), "write it like 192.0.2.7,198.51.100.0/24"
        ) from None
    if any(network.prefixlen == 0 for network in networks):
        raise ConfigError("IVR_AGI_ALLOW", None, "is everybody", "name the PBX's address")
    return networks


def _folder(text: str) -> str:
    if not text.isprintable() or set(text) & set('"&|,;'):
        raise ConfigError(
            "IVR_AGI_SOUNDS", None, f"{text!r} is no folder Asterisk plays from", "use ivr, or a path"
        )
    return text.rstrip("/") + "/"


def _port(given: Mapping[str, str], name: str) -> int:
    text = given[name]
    if len(text) > 5 or not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise ConfigError(name, None, f"{text!r} is no port", "use a number from 1 to 65535")
    return int(text)
