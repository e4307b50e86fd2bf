"""Secrets that the site names and the environment lacks: the files may be checked where no engine runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ivr_engine.errors import ConfigError
from ivr_engine.settings import secret_named
from ivr_engine.site.crm_references import reached
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Node

Path = tuple[str, ...]


def missing(site: Site, tree: Node, environ: Mapping[str, str]) -> Iterator[ConfigError]:
    """Warnings."""
    for path, variable, without in _named(site):
        file, line = tree.at(path)
        try:
            there = secret_named(environ, variable)
        except ConfigError as error:
            yield ConfigError(file, line, f"{error.file}: {error.what}: {without}", error.remedy)
            continue
        if not there:
            what = f"the environment variable {variable} is not set: {without}"
            yield ConfigError(file, line, what, f"set it where the engine runs, or {variable}_FILE")


def _named(site: Site) -> Iterator[tuple[Path, str, str]]:
    """Where, which variable, and what comes of its absence."""
    for path, one in reached(site):
        yield (*path, "secret_from"), one.secret_from, "nothing is sent there"
    for name, flow in site.flows.items():
        for node, settings in flow.nodes.items():
            if settings.dip is not None and settings.dip.token_from is not None:
                path = ("flows", name, "nodes", node, "dip", "token_from")
                yield path, settings.dip.token_from, "nothing is asked there"
