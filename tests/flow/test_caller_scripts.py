"""The example site's caller scripts in virtual time, and what is said when one goes another way."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ivr_engine.cli import app
from ivr_engine.errors import ConfigErrors
from ivr_engine.rehearsal import player
from ivr_engine.rehearsal.headless import Played, play_headless
from ivr_engine.rehearsal.script_files import read_scripts, script_schema
from ivr_engine.rehearsal.written_prompts import estimated, names_of
from ivr_engine.site.loader import load
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import PromptBook

PROJECT = Path(__file__).parents[2]
CALLERS = PROJECT / "config" / "callers"


SECOND = PROJECT / "tests" / "callers"
"""A site with what the example has not, and its scripts."""
LINES = SECOND / "acd"
"""A site of lines and the people who serve them, and its scripts."""

LATE_S = 2.0

Rehearsed = tuple[Site, PromptBook, frozenset[str]]


@cache
def example(config: Path = PROJECT / "config") -> Rehearsed:
    site, prompts = load(config), config.parent / "prompts"
    return site, estimated(site, prompts), names_of(site, prompts)


def played(path: Path, *, reaction_s: float = 0.0, config: Path = PROJECT / "config") -> Played:
    site, book, names = example(config)
    [script] = read_scripts([path], site, names)
    return play_headless(script, site, book, reaction_s=reaction_s)


def script(folder: Path, *steps: str, **more: str) -> Path:
    """A file with these steps, the first in line 4 without ``more``."""
    file = folder / "script.yaml"
    head = ["# A caller", "what: Something", *(f"{name}: {value}" for name, value in more.items()), "steps:"]
    file.write_text("\n".join([*head, *(f"  - {step}" for step in steps)]) + "\n")
    return file


@pytest.mark.parametrize("file", sorted(CALLERS.glob("*.yaml")), ids=lambda file: file.stem)
def test_script(file: Path) -> None:
    assert played(file).outcome.failure is None
    assert played(file, reaction_s=1.0).outcome.failure is None, "with people who take a second"


@pytest.mark.parametrize(
    "file",
    sorted([*SECOND.glob("scripts/*.yaml"), *SECOND.glob("virtual/*.yaml")]),
    ids=lambda file: file.stem,
)
def test_script_of_the_second_site(file: Path) -> None:
    assert played(file, config=SECOND / "site").outcome.failure is None


@pytest.mark.parametrize(
    "file",
    sorted([*LINES.glob("scripts/*.yaml"), *LINES.glob("virtual/*.yaml")]),
    ids=lambda file: file.stem,
)
def test_script_of_lines_and_agents(file: Path) -> None:
    assert played(file, config=LINES).outcome.failure is None


@pytest.mark.parametrize(
    ("file", "config"),
    [
        *((file, PROJECT / "config") for file in sorted(CALLERS.glob("*.yaml"))),
        *((file, SECOND / "site") for file in sorted(SECOND.glob("scripts/*.yaml"))),
        *((file, LINES) for file in sorted(LINES.glob("scripts/*.yaml"))),
    ],
    ids=lambda value: value.stem,
)
def test_script_where_everybody_is_late(file: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a busy machine, with a real Asterisk: what is to be seen can be seen for longer than a moment."""
    monkeypatch.setattr(player, "LOOK_AGAIN_S", LATE_S)
    assert played(file, reaction_s=LATE_S, config=config).outcome.failure is None


def test_scripts_have_names_of_their_own() -> None:
    """They are named alone where a test fails, and on the page of promises."""
    names = [file.stem for file in [*CALLERS.glob("*.yaml"), *SECOND.glob("**/[sv]*/*.yaml")]]
    assert len(names) == len(set(names))


def test_every_way_through_the_example_site_is_walked() -> None:
    """Numbers, nodes, keys of every menu, queues and agents."""
    site, _, names = example()
    scripts = [each.script for each in read_scripts([CALLERS], site, names)]
    dialled = {number for each in scripts for number in each.dialled}
    assert dialled >= set(site.numbers)
    expected = [expects for each in scripts for _, expects in each.expectations()]
    assert {e.queue for e in expected} >= set(site.queues)
    assert {e.language for e in expected} >= set(site.languages)
    asked_for = {name for _, name in site.flows["main"].prompts()}
    assert {e.prompt for e in expected} >= asked_for


def test_the_schema_beside_the_scripts_is_up_to_date() -> None:
    made = "make it anew: ivr-engine script schema > config/callers/callers.schema.json"
    assert (CALLERS / "callers.schema.json").read_text() == script_schema(), made


def test_the_same_run_every_time() -> None:
    file = CALLERS / "agent-answers.yaml"
    assert played(file) == played(file)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("expects: {prompt: consent, within: 3}", "prompt 'consent' was not heard within 3 s; heard: music"),
        ("expects: {state: talking, within: 1}", "a call with state talking; there is queue support"),
        ("expects: {sms: Hello, within: 1}", "a text with 'Hello'; there is []"),
        ("expects: {not_heard: greeting, heard: consent}", "'consent' was to be heard, and was 0 times"),
        ("expects: {agents: {anna: rona}, within: 1}", "agent anna rona; there is state offline"),
        ("expects: {ticket: {files: 1}, within: 1}", "a ticket with files 1; there is None"),
        ("staff: hold", "call 00000001 is waiting: no agent talks to the caller"),
        ("staff: {does: hold, refused: holiday}", "no agent talks to the caller"),
        ("staff: {does: close, queue: sales, refused: is closed}", "'close' was to be refused, and was not"),
        ("expects: {talk: {on_hold: yes}, within: 1}", "a call with on_hold True"),
        ("expects: {dialled_back: 1, within: 1}", "a call with dialled back 1"),
    ],
)
def test_what_went_another_way_is_said_with_file_and_line(tmp_path: Path, step: str, why: str) -> None:
    file = script(tmp_path, "dials: 700", "expects: {sound: music}", step)
    failure = played(file).outcome.failure
    assert failure is not None
    assert failure.startswith(f"{file}:6: ")
    assert why in failure


@pytest.mark.parametrize(
    ("step", "line", "why"),
    [
        ("dails: 700", 5, "unknown setting 'dails' in 'steps.1'; did you mean 'dials'?"),
        ("{dials: 700, presses: 1}", 5, "the step does 2 things"),
        ("presses: A", 5, "'steps.1.presses': 'A' is not right; write keys"),
        ("expects: {prompt: consnet}", 5, "no prompt is 'consnet'; did you mean 'consent'?"),
        ("expects: {queue: suport}", 5, "no queue 'suport'; did you mean 'support'?"),
        ("expects: {agents: {ana: rona}}", 5, "no agent 'ana'; did you mean 'anna'?"),
        ("expects: {within: 3}", 5, "expects nothing"),
        ("expects: {node: nowhere}", 5, "no node 'nowhere'"),
        ("signs_in: zoe", 5, "no agent 'zoe'"),
        ("waits: long", 5, "'long' is not a number"),
        ("hangs: on", 5, "'on' is not known; known are: up"),
        ("staff: hodl", 5, "'hodl' is not known; did you mean 'hold'?"),
        ("staff: transfer", 5, "'transfer' takes one of 'agent', 'number', 'queue'"),
        ("staff: {does: transfer, queue: sales, agent: ben}", 5, "'transfer' takes one of"),
        ("staff: {does: hold, agent: anna}", 5, "'hold' takes no 'agent'"),
        ("staff: {does: consult, agent: zoe}", 5, "no agent 'zoe'"),
        ("staff: {does: close, queue: suport}", 5, "no queue 'suport'; did you mean 'support'?"),
        ("expects: {prompt: xx/consent}", 5, "no language is 'xx'"),
        ("dials: {number: 7, headers: {From: x}}", 5, "'From' is not the name of a header of ours"),
        ("dials: {number: 7, headers: {X-A: '[x]'}}", 5, "write letters, digits, dots, dashes and spaces"),
        ("writes: {txt: x}", 5, "unknown setting 'txt' in 'steps.1.writes'; did you mean 'text'?"),
    ],
)
def test_mistakes_are_named_with_file_and_line(tmp_path: Path, step: str, line: int, why: str) -> None:
    file = script(tmp_path, "dials: 700", step)
    with pytest.raises(ConfigErrors) as raised:
        played(file)
    said = str(raised.value)
    assert f"{file}:{line}: " in said
    assert why in said


def test_the_command_prints_a_table_and_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    good, bad = (
        CALLERS / "menu-support.yaml",
        script(tmp_path, "dials: 700", "expects: {state: ended, within: 2}"),
    )
    done = CliRunner().invoke(app, ["script", "run", str(good), str(bad)])
    assert done.exit_code == 1
    assert "passed" in done.output
    assert f"{bad}:5: not within 2 s: a call with state ended" in done.output
    done = CliRunner().invoke(app, ["script", "run", "--json", str(good)])
    assert done.exit_code == 0
    [result] = json.loads(done.output)
    assert result["passed"]
    assert result["heard"][0] == "en/greeting"
