"""Reads caller scripts: every mistake with its file and line, as in the site's own files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from ivr_engine.errors import ConfigError, ConfigErrors
from ivr_engine.rehearsal.script import Expects, Script, Sent, Step
from ivr_engine.site import explain
from ivr_engine.site.models import Site
from ivr_engine.site.schema import for_editors
from ivr_engine.site.tree import Node, read, shown

SCHEMA_FILE: Final = "callers.schema.json"

_OUTSIDE: Final = "0123456789+"


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A script, and where its steps stand."""

    path: Path
    script: Script
    lines: Sequence[int]
    """Line by step."""

    @property
    def name(self) -> str:
        return self.path.stem


def read_scripts(paths: Iterable[Path], site: Site, prompts: Collection[str]) -> list[ScriptFile]:
    """The scripts in these files and folders, in the order of their names in a folder. ``prompts``: the names
    of what the site can say. Raises ``ConfigErrors`` with everything that is wrong."""
    found: list[ScriptFile] = []
    errors: list[ConfigError] = []
    for path in _files(paths):
        script, wrong = _read(path, site, prompts)
        errors += wrong
        if script is not None:
            found.append(script)
    if errors:
        raise ConfigErrors(errors)
    return found


def script_schema() -> str:
    """The JSON Schema for editors."""
    schema = for_editors(Script, title="Caller script")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml"))
            if not files:
                remedy = "name the folder or the file of your scripts"
                raise ConfigErrors([ConfigError(path, None, "holds no .yaml file", remedy)])
            yield from files
        else:
            yield path


def _read(
    path: Path, site: Site, prompts: Collection[str]
) -> tuple[ScriptFile | None, Sequence[ConfigError]]:
    tree, errors = read(path)
    if errors:
        return None, errors
    try:
        script = Script.model_validate(tree.plain())
    except ValidationError as invalid:
        return None, list(explain.errors(invalid, tree, Script))
    errors = [_at(tree, *mistake) for mistake in _mistakes(script, site, prompts)]
    lines = [tree.at(("steps", number))[1] for number in range(len(script.steps))]
    return ScriptFile(path, script, lines), errors


Mistake = tuple[tuple[int | str, ...], str, str]
"""Path of the setting, what is wrong, remedy."""


def _at(tree: Node, place: tuple[int | str, ...], what: str, remedy: str) -> ConfigError:
    file, line = tree.at(place)
    return ConfigError(file, line, what, remedy)


def _mistakes(script: Script, site: Site, prompts: Collection[str]) -> Iterator[Mistake]:
    for number, step in enumerate(script.steps):
        if len(step.all()) != 1:
            what = f"the step does {len(step.all())} things" if step.all() else "the step does nothing"
            yield ("steps", number), what, f"each does one of {', '.join(Step.model_fields)}"
        elif step.expects is not None:
            yield from _wrong_expectation(("steps", number, "expects"), step.expects, site, prompts)
        else:
            yield from _unknown_agent(("steps", number, step.kind), step.signs_in or step.signs_out, site)
            if step.staff is not None:
                yield from _unknown_agent(("steps", number, "staff", "agent"), step.staff.agent, site)
                yield from _unknown_queue(("steps", number, "staff", "queue"), step.staff.queue, site)
            yield from _unknown_preset(("steps", number, step.kind), step.agent_sends, site)
    if not script.dialled:
        yield ("steps",), "nobody dials", "begin with a step like `dials: 700`"
    for name in script.phones:
        if name[0] not in _OUTSIDE:
            yield from _unknown_agent(("phones", name), name, site)


def _wrong_expectation(
    place: tuple[int | str, ...], expects: Expects, site: Site, prompts: Collection[str]
) -> Iterator[Mistake]:
    if not expects.model_fields_set - {"within", "whole", "times"}:
        yield place, "expects nothing", "name what is expected: prompt, sound, state, sms, …"
    if expects.times is not None and expects.heard is None:
        yield (*place, "times"), "'times' counts nothing", "name the prompt: `heard: consent`"
    for setting in ("prompt", "heard", "not_heard"):
        pattern = getattr(expects, setting)
        language, _, name = (pattern or "").rpartition("/")
        if pattern is not None and not any(fnmatchcase(known, name) for known in prompts):
            yield (*place, setting), f"no prompt is {shown(pattern)}", explain.nearest(name, prompts)
        if language and language not in site.languages:
            remedy = explain.nearest(language, site.languages)
            yield (*place, setting), f"no language is {shown(language)}", remedy
    yield from _unknown_queue((*place, "queue"), expects.queue, site)
    nodes = {name for flow in site.flows.values() for name in flow.nodes}
    if expects.node is not None and expects.node not in nodes:
        yield (*place, "node"), f"no node {shown(expects.node)}", explain.nearest(expects.node, nodes)
    for name in (expects.agent, *expects.agents):
        yield from _unknown_agent((*place, "agents", name or ""), name, site)


def _unknown_preset(place: tuple[int | str, ...], sent: Sent | None, site: Site) -> Iterator[Mistake]:
    presets = site.in_call_sms.presets
    if sent is not None and sent.preset is not None and sent.preset not in presets:
        yield place, f"no preset {shown(sent.preset)}", explain.nearest(sent.preset, presets)


def _unknown_queue(place: tuple[int | str, ...], name: str | None, site: Site) -> Iterator[Mistake]:
    if name is not None and name not in site.queues:
        yield place, f"no queue {shown(name)}", explain.nearest(name, site.queues)


def _unknown_agent(place: tuple[int | str, ...], name: str | None, site: Site) -> Iterator[Mistake]:
    if name is not None and name not in site.agents:
        yield place, f"no agent {shown(name)}", explain.nearest(name, site.agents)
