"""Fills in what differs between two Asterisks: the files of this folder, with every ``@{name}`` replaced.

``python3 configure.py /etc/asterisk [GROUP]`` writes the configuration of a machine's own Asterisk or of the
one in the container image, from the variables of ``docs/settings.md``; with GROUP, its members may read it.
``scripts/run`` and the tests do the same for theirs. It stands by itself: standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

TEMPLATES = Path(__file__).parent
LOOPBACK = "127.0.0.1"
PRIVATE_NETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
DEBIAN_FOLDERS: Mapping[str, str] = {
    "etc": "/etc/asterisk",
    "cache": "/var/cache/asterisk",
    "lib": "/var/lib/asterisk",
    "data": "/usr/share/asterisk",
    "spool": "/var/spool/asterisk",
    "run": "/run/asterisk",
    "log": "/var/log/asterisk",
}
"""Where Debian's package keeps things, by the names the templates use."""


class Unusable(Exception):
    """A setting that cannot be used: which, and what to write instead."""


@dataclass(frozen=True)
class Ports:
    """SIP over UDP, ARI over HTTP, and the range of UDP ports for sound (both ends included)."""

    sip: int = 5060
    http: int = 8088
    rtp_start: int = 20000
    rtp_end: int = 29999
    ami: int = 5038
    """Opened only where an Asterisk is given a password for it."""


@dataclass(frozen=True)
class Network:
    """Where Asterisk listens, how the world sees it, and whom it hears. By default: this machine alone."""

    sip_host: str = LOOPBACK
    """SIP and sound; ``0.0.0.0`` for all addresses of the machine."""
    external_address: str = ""
    """Behind NAT: what others are told to send to."""
    local_nets: tuple[str, ...] = PRIVATE_NETS
    """Who is on our side of the NAT."""
    callers: tuple[str, ...] = (LOOPBACK,)
    """Whose calls are taken, besides those of the lines in ``trunks.conf``: addresses and networks."""
    ari_host: str = LOOPBACK


@dataclass(frozen=True)
class Settings:
    """What differs between two Asterisks."""

    ari_password: str = field(repr=False)
    ari_user: str = "ivr"
    ami_password: str = field(default="", repr=False)
    """Empty: no manager interface."""
    ports: Ports = Ports()
    network: Network = Network()
    fallback_limit_s: int = 600
    offer_ms: int = 500
    """How long a new call is offered to the engines, before the fallback answers it."""
    folders: Mapping[str, str] = field(default_factory=lambda: DEBIAN_FOLDERS)

    def values(self) -> dict[str, str]:
        """By the names the templates use."""
        network = self.network
        everywhere = network.sip_host == "0.0.0.0"
        return {
            "sip_port": str(self.ports.sip),
            "sips_port": str(self.ports.sip + 1),
            "http_port": str(self.ports.http),
            "rtp_start": str(self.ports.rtp_start),
            "rtp_end": str(self.ports.rtp_end),
            "ari_host": network.ari_host,
            "ari_user": self.ari_user,
            "ari_password": self.ari_password,
            "ami_enabled": "yes" if self.ami_password else "no",
            "ami_port": str(self.ports.ami),
            "ami_password": self.ami_password or os.urandom(24).hex(),
            "fallback_limit_s": str(self.fallback_limit_s),
            "offer_ms": str(self.offer_ms),
            "bind_address": network.sip_host,
            # Nobody can send to "all addresses": Asterisk then names the one that leads to the other side.
            "media_address": "" if everywhere else network.sip_host,
            "external_address": network.external_address,
            "local_nets": ",".join(network.local_nets) if network.external_address else "",
            "callers": ",".join(network.callers),
            **{f"{name}_folder": folder for name, folder in self.folders.items()},
        }


def from_environ(environ: Mapping[str, str]) -> Settings:
    """What the variables say; an empty one counts as not set. Raises ``Unusable``."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    watched = bool(given.get("IVR_TRUNKS"))
    return Settings(
        ari_user=_word(given, "IVR_ARI_USER", "ivr"),
        ari_password=_needed(given, "IVR_ARI_PASSWORD"),
        ami_password=_needed(given, "IVR_AMI_PASSWORD") if watched else "",
        ports=ports(given),
        network=network(given),
        fallback_limit_s=_number(given, "IVR_FALLBACK_LIMIT", 600, range(1, 86_401)),
    )


def ports(given: Mapping[str, str]) -> Ports:
    """The ports the variables name. Raises ``Unusable``."""
    ours = Ports()
    text = given.get("IVR_RTP_PORTS", f"{ours.rtp_start}-{ours.rtp_end}")
    start, _, end = text.partition("-")
    if not (start.isdecimal() and end.isdecimal() and 1024 <= int(start) < int(end) < 65536):
        raise Unusable(f"IVR_RTP_PORTS is {text!r}; it must be like 20000-29999.")
    known = range(1, 65536)
    return Ports(
        sip=_number(given, "IVR_SIP_PORT", ours.sip, known),
        http=_number(given, "IVR_ARI_PORT", ours.http, known),
        rtp_start=int(start),
        rtp_end=int(end),
        ami=_number(given, "IVR_AMI_PORT", ours.ami, known),
    )


def network(given: Mapping[str, str]) -> Network:
    """The addresses the variables name. Raises ``Unusable``."""
    ours = Network()
    external = given.get("IVR_EXTERNAL_ADDRESS", "")
    if not re.fullmatch(r"[A-Za-z0-9.-]*", external):
        raise Unusable(f"IVR_EXTERNAL_ADDRESS is {external!r}; it must be an IPv4 address or a host's name.")
    return Network(
        sip_host=_address(given, "IVR_SIP_HOST", ours.sip_host),
        external_address=external,
        local_nets=_networks(given, "IVR_LOCAL_NETS", ours.local_nets),
        callers=_networks(given, "IVR_CALLERS", ours.callers),
        ari_host=_address(given, "IVR_ARI_HOST", ours.ari_host),
    )


def render(settings: Settings, into: Path, group: str | None = None) -> None:
    """Write every ``*.conf`` of this folder into ``into``, readable by its owner alone (and by ``group``)."""
    values = settings.values()
    for template in sorted(TEMPLATES.rglob("*.conf")):
        text = _filled(template, values)
        target = into / template.relative_to(TEMPLATES)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text(text)
        for path, mode in ((target, 0o600), (target.parent, 0o700)):
            path.chmod(mode | (mode >> 3 & 0o050 if group else 0))
            if group:
                shutil.chown(path, group=group)


def _filled(template: Path, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise Unusable(f"{template}: there is no value for {found[0]}.")
        return values[found[1]]

    return re.sub(r"@\{(\w+)\}", value, template.read_text())


def secret(given: Mapping[str, str], name: str) -> str | None:
    """From the variable, or from the file that the variable with ``_FILE`` behind its name names; ``None``
    when neither is set. Raises ``Unusable``."""
    if name in given:
        return _word(given, name, "")
    file = given.get(f"{name}_FILE")
    if file is None:
        return None
    try:
        return _word({name: Path(file).read_text().strip()}, name, "")
    except (OSError, ValueError) as error:
        raise Unusable(f"{name}_FILE: {file} cannot be read: {error}.") from None


def _needed(given: Mapping[str, str], name: str) -> str:
    found = secret(given, name)
    if found is None:
        raise Unusable(f"{name} is not set, nor is {name}_FILE, which names a file that holds it.")
    return found


def _word(given: Mapping[str, str], name: str, default: str) -> str:
    """What may stand in a line of Asterisk's configuration: nothing that ends the value there."""
    text = given.get(name, default)
    if not re.fullmatch(r"[!-:<-~]+", text):
        raise Unusable(f"{name} must be of ASCII letters, digits and signs other than ';', without spaces.")
    return text


def _number(given: Mapping[str, str], name: str, default: int, known: range) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) in known):
        raise Unusable(f"{name} is {text!r}; it must be a number, {known[0]} to {known[-1]}.")
    return int(text)


def _address(given: Mapping[str, str], name: str, default: str) -> str:
    text = given.get(name, default)
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise Unusable(
            f"{name} is {text!r}; it must be an IPv4 address of this machine, or 0.0.0.0."
        ) from None


def _networks(given: Mapping[str, str], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    texts = [one.strip() for one in given.get(name, ",".join(default)).split(",")]
    try:
        networks = [IPv4Network(text) for text in texts]
    except ValueError as error:
        raise Unusable(f"{name}: {error}; it must be like 192.0.2.7,198.51.100.0/24.") from None
    if any(one.prefixlen == 0 for one in networks):
        raise Unusable(f"{name} must not be everybody; name the networks.")
    return tuple(str(one).removesuffix("/32") for one in networks)


def main(arguments: list[str]) -> int:
    """The exit status. What is wrong is said in one sentence."""
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    folder, group = Path(arguments[0]), arguments[1] if len(arguments) > 1 else None
    try:
        render(from_environ(os.environ), folder, group)
    except (Unusable, OSError, LookupError) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
