"""Asterisk's configuration: the files of ``dialplan/`` with ``@{name}`` replaced."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from scripts.stack.errors import StackError
from scripts.stack.ports import LOOPBACK, Ports
from scripts.stack.system import PROJECT

TEMPLATES = PROJECT / "dialplan"


@dataclass(frozen=True)
class Settings:
    """What differs between two Asterisks."""

    ports: Ports
    ari_user: str
    ari_password: str
    ami_password: str = ""
    """Empty: no manager interface."""
    fallback_limit_s: int = 600
    bind_address: str = LOOPBACK
    trunk_match: str = LOOPBACK
    """Whose calls are taken: addresses or networks, comma separated."""

    def values(self) -> dict[str, str]:
        """By the names the templates use."""
        return {
            "sip_port": str(self.ports.sip),
            "sips_port": str(self.ports.sip + 1),
            "http_port": str(self.ports.http),
            "rtp_start": str(self.ports.rtp_start),
            "rtp_end": str(self.ports.rtp_end),
            "ari_user": self.ari_user,
            "ari_password": self.ari_password,
            "ami_enabled": "yes" if self.ami_password else "no",
            "ami_port": str(self.ports.ami),
            "ami_password": self.ami_password or secrets.token_urlsafe(24),
            "fallback_limit_s": str(self.fallback_limit_s),
            "bind_address": self.bind_address,
            "trunk_match": self.trunk_match,
        }


def render(settings: Settings, into: Path) -> None:
    """Write every ``*.conf`` below ``dialplan/`` into the folder ``into``, readable by its owner only."""
    values = settings.values()
    into.mkdir(parents=True, exist_ok=True)
    into.chmod(0o700)
    for template in sorted(TEMPLATES.rglob("*.conf")):
        target = into / template.relative_to(TEMPLATES)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text(_filled(template, values))


def _filled(template: Path, values: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise StackError(f"{template}: there is no value for {found[0]}.")
        return values[found[1]]

    return re.sub(r"@\{(\w+)\}", value, template.read_text())
