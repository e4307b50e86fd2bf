"""Reads a day to simulate: every mistake with its file and line, as in the site's own files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from ivr_engine.errors import ConfigError, ConfigErrors
from ivr_engine.rehearsal.crowd import on_that_day
from ivr_engine.rehearsal.day import Day
from ivr_engine.site import explain, references
from ivr_engine.site.models import Site
from ivr_engine.site.schema import for_editors
from ivr_engine.site.tree import Node, read, shown

SCHEMA_FILE: Final = "day.schema.json"

Mistake = tuple[tuple[int | str, ...], str, str]
"""Path of the setting, what is wrong, remedy."""


def read_day(file: Path, site: Site, prompts: Collection[str]) -> tuple[Day, Site]:
    """The day, and the site as it is on it. ``prompts``: the names of what the site can say. Raises
    ``ConfigErrors`` with everything that is wrong."""
    tree, errors = read(file)
    if errors:
        raise ConfigErrors(errors)
    try:
        day = Day.model_validate(tree.plain())
    except ValidationError as invalid:
        raise ConfigErrors(explain.errors(invalid, tree, Day)) from None
    if mistakes := [_at(tree, *mistake) for mistake in _mistakes(day, site, prompts)]:
        raise ConfigErrors(mistakes)
    return day, _site(day, site, tree)


def day_schema() -> str:
    """The JSON Schema for editors."""
    return json.dumps(for_editors(Day, title="A day to simulate"), indent=2, ensure_ascii=False) + "\n"


def _site(day: Day, site: Site, tree: Node) -> Site:
    entry = tree.child("settings")
    place = entry.node if entry else Node(tree.file, tree.line, {})
    try:
        changed = on_that_day(site, day)
    except ValidationError as invalid:
        raise ConfigErrors(explain.errors(invalid, place)) from None
    if errors := list(references.errors(changed, place)):
        raise ConfigErrors(errors)
    return changed


def _at(tree: Node, place: tuple[int | str, ...], what: str, remedy: str) -> ConfigError:
    file, line = tree.at(place)
    return ConfigError(file, line, what, remedy)


def _mistakes(day: Day, site: Site, prompts: Collection[str]) -> Iterator[Mistake]:
    try:
        ZoneInfo(day.time_zone)
    except (KeyError, ValueError, OSError):
        yield ("time_zone",), f"there is no time zone {shown(day.time_zone)}", "write it like Europe/Berlin"
    try:
        date.fromisoformat(day.date)
    except ValueError:
        yield ("date",), f"there is no day {day.date}", "write it like 2026-03-02"
    for number, callers in enumerate(day.callers):
        place = ("callers", number)
        if callers.number not in site.numbers:
            remedy = explain.nearest(callers.number, site.numbers)
            yield (*place, "number"), f"no number {shown(callers.number)} in the site", remedy
        for name in callers.keys.keys() - set(prompts):
            yield (*place, "keys", name), f"no prompt is {shown(name)}", explain.nearest(name, prompts)
        if callers.sms.allow + callers.sms.refuse > 1:
            yield (*place, "sms"), "more than all callers answer", "let 'allow' and 'refuse' be 1 together"
    for number, group in enumerate(day.agents):
        if group.like not in site.agents:
            what = f"no agent {shown(group.like)} in the site"
            yield ("agents", number, "like"), what, explain.nearest(group.like, site.agents)
