"""What is wrong, or doubtful, about the systems that are told about conversations."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from ivr_engine.domain.addresses import allowed
from ivr_engine.domain.crm import BUILT_IN
from ivr_engine.errors import ConfigError
from ivr_engine.site.crm import Reached
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Node, shown


def reached(site: Site) -> Iterator[tuple[tuple[str, ...], Reached]]:
    """Every address, with its path."""
    for name, webhook in site.crm.webhooks.items():
        yield ("crm", "webhooks", name), webhook
    if site.crm.contacts is not None:
        yield ("crm", "contacts"), site.crm.contacts


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    if BUILT_IN in site.crm.webhooks:
        file, line = tree.at(("crm", "webhooks", BUILT_IN))
        what = f"'{BUILT_IN}' is the name of the CRM that is built in"
        yield ConfigError(file, line, what, "give the webhook another name")
    for path, one in reached(site):
        file, line = tree.at((*path, "url"))
        parts = urlsplit(one.url)
        if parts.scheme != "https" and one.network != "loopback":
            what = f"{shown(one.url)} is sent to without encryption"
            yield ConfigError(file, line, what, "write https:// (http only with 'network: loopback')")
        host = parts.hostname or ""
        if _is_address(host) and not allowed(host, one.network):
            what = f"{host} is no address of the network '{one.network}'"
            yield ConfigError(file, line, what, "choose 'network: public', 'private' or 'loopback' to match")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
