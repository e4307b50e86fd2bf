"""The folder of YAML files as one validated ``Site``.

All ``*.yaml`` and ``*.yml`` files of the folder are read and merged by their top-level keys; which file
a setting stands in is the admin's choice. Every mistake is reported with its file and line, all of one
load together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ivr_engine.errors import ConfigError, ConfigErrors
from ivr_engine.site import explain, references
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Entry, Node, read, twice


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the folder. ``tree`` knows the place of every setting. ``site`` is there when
    each setting is right in itself, but is fit for use only when there are no ``errors``."""

    tree: Node
    site: Site | None
    errors: tuple[ConfigError, ...]


def load(config: Path) -> Site:
    """The site in the folder ``config``. Raises ``ConfigErrors`` with everything that is wrong."""
    reading = read_site(config)
    if reading.site is None or reading.errors:
        raise ConfigErrors(reading.errors)
    return reading.site


def read_site(config: Path) -> Reading:
    """As ``load``, but returns the errors and keeps the places."""
    files = sorted(file for file in config.glob("*") if file.suffix in (".yaml", ".yml"))
    if not files:
        what = "holds no .yaml file" if config.is_dir() else "is not a folder"
        remedy = "name the folder with your settings, or start from the example in config/"
        return Reading(Node(config, 0, {}), None, (ConfigError(config, None, what, remedy),))
    tree, errors = _merged(config, files)
    if errors:
        return Reading(tree, None, explain.some(errors, config))
    try:
        site = Site.model_validate(tree.plain())
    except ValidationError as invalid:
        return Reading(tree, None, explain.some(explain.errors(invalid, tree), config))
    return Reading(tree, site, explain.some(references.errors(site, tree), config))


def _merged(config: Path, files: list[Path]) -> tuple[Node, list[ConfigError]]:
    merged: dict[str, Entry] = {}
    errors: list[ConfigError] = []
    for file in files:
        root, mistakes = read(file)
        errors += mistakes
        if not isinstance(root.value, dict):
            errors.append(
                ConfigError(file, root.line, "holds no settings", "write lines like `brand: My company`")
            )
            continue
        for key, entry in root.value.items():
            if first := merged.get(key):
                errors.append(twice(key, entry, first))
            else:
                merged[key] = entry
    return Node(config, 0, merged), errors
