"""What must agree about the texts of flows: words in every language, and callers who asked for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.flow_texts import LINK_FACTS, AppLink, GoBySms
from ivr_engine.site.flows import Flow
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Node, shown
from ivr_engine.site.values import unknown_placeholders

Path = tuple[str, ...]
Found = tuple[Path, str, str]
"""Path below the node, what is wrong, remedy."""

_FILLED_IN = "x" * 32
"""About as long as what a link is filled in with."""


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Everything that keeps callers from getting what they asked for, or sends it to who did not ask."""
    for path, flow, texting in _texting(site):
        for where, what, remedy in [*_whole(site, texting), *_asked_for(flow, path[3])]:
            file, line = tree.at((*path, *where))
            yield ConfigError(file, line, f"node '{path[3]}': {what}", remedy)


def texts(site: Site) -> Iterator[tuple[Path, str]]:
    """Each as it is sent, but for the brand, with its path."""
    for path, _, texting in _texting(site):
        link = re.sub(r"\{[^}]*\}", _FILLED_IN, texting.link) if isinstance(texting, AppLink) else "{link}"
        for language, text in texting.text.items():
            yield (*path, "text", language), text.replace("{link}", link)


def _texting(site: Site) -> Iterator[tuple[Path, Flow, GoBySms | AppLink]]:
    for name, flow in site.flows.items():
        for node, settings in flow.nodes.items():
            if settings.sms is not None:
                yield ("flows", name, "nodes", node, "sms"), flow, settings.sms
            if settings.app_link is not None:
                yield ("flows", name, "nodes", node, "app_link"), flow, settings.app_link


def _whole(site: Site, texting: GoBySms | AppLink) -> Iterator[Found]:
    if texting.queue not in site.queues:
        yield ("queue",), f"unknown queue '{texting.queue}'", nearest(texting.queue, site.queues)
    for language in site.languages:
        if language not in texting.text:
            remedy = f"add '{language}: …' below 'text'"
            yield ("text",), f"the SMS has no text in language '{language}'", remedy
    if not isinstance(texting, AppLink):
        return
    for language, text in texting.text.items():
        if "{link}" not in text:
            yield ("text", language), "the SMS does not hold the link", "write {link} where it is to stand"
    for name in unknown_placeholders(texting.link, LINK_FACTS):
        what = f"nothing is known as {shown('{' + name + '}')}"
        yield ("link",), what, nearest(name, LINK_FACTS)


def _asked_for(flow: Flow, node: str) -> Iterator[Found]:
    """A key is the consent, so whoever comes to ``node`` must have pressed one for it."""
    if node in _come_to_unasked(flow):
        what = "callers come here who pressed no key for the text"
        yield (), what, "let nothing but keys of menus lead here: the key that is pressed is the consent"


def _come_to_unasked(flow: Flow) -> set[str]:
    """Nodes that callers come to without a key since they last heard something."""
    silent = {name for name, node in flow.nodes.items() if node.hours is not None or node.set is not None}
    unasked, further = {flow.start}, list[str]()
    for name in flow.nodes.keys() - silent:
        unasked |= {way.target for _, way in flow.ways(name) if not way.key}
    further += unasked & silent
    while further:
        new = {way.target for _, way in flow.ways(further.pop())} - unasked
        unasked |= new
        further += new & silent
    return unasked
