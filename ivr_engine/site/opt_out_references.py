"""What must agree in the answers to STOP, HELP and START, and in how long things are kept."""

from __future__ import annotations

from collections.abc import Iterator

from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.in_call_references import costs
from ivr_engine.site.models import Site
from ivr_engine.site.opt_outs import Answer
from ivr_engine.site.tree import Node, shown
from ivr_engine.site.values import unknown_placeholders

Path = tuple[str, ...]


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    for path, language, text in _own(site):
        file, line = tree.at(path)
        where = ".".join(path)
        if language not in site.languages:
            remedy = f"{nearest(language, site.languages)} Else add it to 'languages'"
            yield ConfigError(
                file, line, f"'{where}': language '{language}' is not one of the site's", remedy
            )
        for name in unknown_placeholders(text, {"brand", "contact"}):
            what = f"'{where}': unknown placeholder {shown('{' + name + '}')}"
            yield ConfigError(file, line, what, "only {brand} and {contact} are filled in")
    for kind, days in (("messages", site.retention.messages), ("calls", site.retention.calls)):
        files = site.retention.media
        if days is not None and (files is None or files > days):
            file, line = tree.at(("retention",))
            what = f"'retention.media': files cannot be kept longer than the {kind} they belong to"
            yield ConfigError(file, line, what, f"write 'media: {days}', or less")


def doubtful(site: Site, tree: Node) -> Iterator[ConfigError]:
    """What is probably not meant: of a site without errors."""
    for answer in Answer:
        missing = [language for language in site.languages if not site.opt_out.has(answer, language)]
        if missing:
            file, line = tree.at(("opt_out", answer.value))
            what = f"'opt_out.{answer}' has no text in {', '.join(missing)}: those people get the default"
            yield ConfigError(file, line, what, f"add '{missing[0]}: …' below it")
    for path, _, text in _own(site):
        file, line = tree.at(path)
        where, filled = ".".join(path), site.filled_in(text, site.opt_out.contact or "+49301234567")
        if site.brand.lower() not in filled.lower():
            yield ConfigError(file, line, f"'{where}' does not name the brand", "begin it with '{brand}: '")
        if cost := costs(where, filled):
            yield ConfigError(file, line, *cost)


def _own(site: Site) -> Iterator[tuple[Path, str, str]]:
    for answer in Answer:
        for language, text in site.opt_out.written(answer).items():
            yield ("opt_out", answer.value, language), language, text
