"""Everything that is wrong, or probably not meant, in a site, before a caller finds out.

Errors keep the engine from starting; warnings are for people to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ivr_engine.errors import ConfigError
from ivr_engine.site import (
    audio,
    capacity_references,
    in_call_references,
    opt_out_references,
    secret_references,
    sms_number_references,
    wait_time_sms_references,
)
from ivr_engine.site.explain import nearest
from ivr_engine.site.flow_references import queues_reached, unreachable, ways_in
from ivr_engine.site.flows import Flow
from ivr_engine.site.line_references import doubtful
from ivr_engine.site.loader import Reading, read_site
from ivr_engine.site.models import Site
from ivr_engine.site.references import sms_texts
from ivr_engine.site.texts import Line, names_key, read_texts, unused_recordings
from ivr_engine.site.tree import Node, shown


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """``line`` is ``None`` where a whole file or folder is meant."""

    severity: Severity
    file: str
    line: int | None
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.severity}: {self.what}; {self.remedy}"


def check(
    config: Path,
    prompts: Path,
    music_classes: Iterable[str] | None = None,
    provider: Callable[[str], Iterable[ConfigError]] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Problem]:
    """All problems of the site in ``config`` with its prompts in ``prompts``, in the order of the files.

    ``music_classes`` are those the telephone system knows; ``None``: not known, not checked.
    ``provider`` tells what the environment lacks for the SMS provider of that name: warnings, as the
    files may be checked where the engine does not run; so does ``environ`` for secrets of CRMs. Reads
    every recording, so it may take a moment; renders nothing.
    """
    reading = read_site(config)
    errors = list(reading.errors)
    warnings: list[ConfigError] = []
    if reading.site is not None:
        lines, wrong = read_texts(reading.site, prompts)
        errors += [*wrong, *_recordings(lines), *_music(reading, music_classes)]
        warnings += _sms(reading.site, reading.tree)
        warnings += wait_time_sms_references.doubtful(reading.site, reading.tree, lines)
        # A queue that is misspelt where it is used is not unused as well.
        warnings += [] if reading.errors else _queues(reading.site, reading.tree)
        warnings += [] if reading.errors else _flows(reading.site, reading.tree, lines)
        warnings += [] if reading.errors else doubtful(reading.site, reading.tree)
        warnings += [] if reading.errors else capacity_references.doubtful(reading.site, reading.tree, lines)
        warnings += [] if reading.errors else in_call_references.doubtful(reading.site, reading.tree)
        warnings += [] if reading.errors else opt_out_references.doubtful(reading.site, reading.tree)
        warnings += [] if reading.errors else sms_number_references.doubtful(reading.site, reading.tree)
        warnings += _unused(lines, prompts)
        if provider:
            warnings += [problem for name in reading.site.providers for problem in provider(name)]
        missing = secret_references.missing
        warnings += missing(reading.site, reading.tree, environ) if environ is not None else ()
    found = [_problem(Severity.ERROR, e) for e in errors] + [_problem(Severity.WARNING, w) for w in warnings]
    return sorted(found, key=lambda problem: (problem.file, problem.line or 0))


def _problem(severity: Severity, error: ConfigError) -> Problem:
    return Problem(severity, error.file, error.line, error.what, error.remedy)


def _recordings(lines: list[Line]) -> Iterator[ConfigError]:
    for line in lines:
        if line.audio:
            try:
                audio.examine(line.audio)
            except (audio.UnusableAudio, OSError) as error:
                yield ConfigError(
                    line.audio, None, str(error), "replace the recording, or delete it and use the text"
                )


def _music(reading: Reading, known: Iterable[str] | None) -> Iterator[ConfigError]:
    known = set(known) if known is not None else None
    if reading.site is None or known is None:
        return
    for name, queue in reading.site.queues.items():
        if queue.music not in known:
            file, line = reading.tree.at(("queues", name, "music"))
            what = f"queue '{name}' plays the unknown music '{queue.music}'"
            yield ConfigError(file, line, what, nearest(queue.music, known))


def _sms(site: Site, tree: Node) -> Iterator[ConfigError]:
    for path, written in sms_texts(site):
        file, line = tree.at(path)
        text, where = written.replace("{brand}", site.brand), ".".join(path)
        if site.brand.lower() not in text.lower():
            yield ConfigError(file, line, f"'{where}' does not name the brand", "begin it with '{brand}: '")
        if cost := in_call_references.costs(where, text):
            yield ConfigError(file, line, *cost)


def _queues(site: Site, tree: Node) -> Iterator[ConfigError]:
    if not site.numbers:
        file, line = tree.at(("numbers",))
        yield ConfigError(file, line, "there are no numbers: nobody can call", "add one below 'numbers'")
    served = {queue for agent in site.agents.values() for queue in agent.queues}
    reached = {number.queue for _, number in ways_in(site)} | {way.queue for _, _, way in site.ways_out()}
    reached |= {queue for name in _flows_called(site) for queue in queues_reached(site.flows[name])}
    for name in site.queues:
        file, line = tree.at(("queues", name))
        if name not in served:
            remedy = f"add '{name}' to the queues of an agent"
            yield ConfigError(file, line, f"nobody serves the queue '{name}'", remedy)
        if name not in reached:
            remedy = "add a number below 'numbers', or delete the queue"
            yield ConfigError(file, line, f"no number leads into the queue '{name}'", remedy)


def _flows(site: Site, tree: Node, lines: list[Line]) -> Iterator[ConfigError]:
    called = _flows_called(site)
    for name, flow in site.flows.items():
        if name not in called:
            file, line = tree.at(("flows", name))
            remedy = f"add 'flow: {name}' to a number, or delete it"
            yield ConfigError(file, line, f"no number leads into the flow '{name}'", remedy)
        for node in unreachable(flow):
            file, line = tree.at(("flows", name, "nodes", node))
            what = f"nobody comes to the node '{node}'"
            yield ConfigError(file, line, what, "lead to it from another node, or delete it")
        yield from _unspoken_keys(flow, lines)


def _flows_called(site: Site) -> set[str]:
    by_number = {number.flow for _, number in ways_in(site)}
    return {flow for flow in by_number | {way.flow for _, _, way in site.ways_out()} if flow is not None}


def _unspoken_keys(flow: Flow, lines: list[Line]) -> Iterator[ConfigError]:
    """Keys that a menu has and its text does not name."""
    texts = {(line.name, line.language): line for line in lines if line.text}
    for node in flow.nodes.values():
        wanted: list[tuple[Line, str]] = []
        for language in sorted({line.language for line in lines}) if node.menu else ():
            line = texts.get((node.menu.prompt, language)) if node.menu else None
            wanted += [(line, key) for key in node.menu.keys] if line and node.menu else []
        for key, language in node.language.keys.items() if node.language else ():
            line = texts.get((node.language.prompt, language)) if node.language else None
            wanted += [(line, key)] if line else []
        for line, key in wanted:
            if not names_key(line.text, line.language, key):
                what = f"'{line.name}' does not name the key {key}, which leads on from there"
                yield ConfigError(line.file, line.line, what, f"say what {key} is for, or take the key away")


def _unused(lines: list[Line], prompts: Path) -> Iterator[ConfigError]:
    for file, remedy in unused_recordings(lines, prompts):
        yield ConfigError(file, None, f"no prompt is called {shown(file.stem)}", remedy)
