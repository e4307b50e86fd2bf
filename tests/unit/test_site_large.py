"""A megabyte of settings that are right, or wrong in every line, is dealt with in seconds: calls are running
beside it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr_engine.site.check import check
from ivr_engine.site.explain import MOST_TOLD
from ivr_engine.site.loader import load, read_site
from ivr_engine.site.tree import MAX_BYTES

ROOT = Path(__file__).parents[2]
SECONDS = 20.0
"""Of CPU, on a slow machine."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


def grown(head: str, line: Callable[[int], str], tail: str = "") -> str:
    """As many lines as a file may have."""
    size = len(line(100_000).encode()) + 1
    count = (MAX_BYTES - len(head) - len(tail) - 1000) // size
    return head + "".join(f"{line(n)}\n" for n in range(count)) + tail.replace("LAST", str(count))


FLOW = "flows:\n  main:\n    start: n0\n    nodes:\n"


def play(n: int) -> str:
    return f"      n{n}: {{play: {{prompt: greeting, then: n{n + 1}}}}}"


def test_a_flow_of_thousands_of_nodes_is_read(config: Path) -> None:
    led_to_by_a_queue = "  message: {start: bye, nodes: {bye: {hang_up: {}}}}\n"
    (config / "flows.yaml").write_text(grown(FLOW, play, "      nLAST: {hang_up: {}}\n" + led_to_by_a_queue))
    began = time.process_time()
    assert len(load(config).flows["main"].nodes) > 10_000
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("flows", grown(FLOW, play, "      nLAST: {play: {prompt: greeting, then: n0}}\n"), "dead end"),
        (
            "flows",
            grown(FLOW, lambda n: f"      n{n}: {{play: {{prompt: greeting, then: m{n}}}}}"),
            "leads to the unknown node",
        ),
        ("queues", grown("queues:\n", lambda n: f"  queue-{n}: {{lable: x}}"), "is missing"),
        ("numbers", grown("numbers:\n", lambda n: f"  {n}: {{queue: suport-{n}}}"), "unknown queue"),
    ],
    ids=["circle", "unknown nodes", "unknown settings", "unknown queues"],
)
def test_thousands_of_mistakes_are_some_and_that_there_are_more(
    config: Path, file: str, text: str, what: str
) -> None:
    (config / f"{file}.yaml").write_text(text)
    began = time.process_time()
    errors = read_site(config).errors
    assert time.process_time() - began < SECONDS
    assert len(errors) == MOST_TOLD + 1
    assert what in errors[0].what
    assert "more than 100 mistakes" in errors[-1].what


def test_thousands_of_names_do_not_make_the_search_for_the_nearest_endless(config: Path) -> None:
    (config / "queues.yaml").write_text(grown("queues:\n", lambda n: f"  queue-{n}: {{label: Q}}"))
    (config / "numbers.yaml").write_text(grown("numbers:\n", lambda n: f"  {n}: {{queue: quueu-{n}}}"))
    began = time.process_time()
    assert len(read_site(config).errors) == MOST_TOLD + 1
    assert time.process_time() - began < SECONDS


def test_thousands_of_prompts_that_nobody_wrote(config: Path) -> None:
    nodes = grown(
        FLOW,
        lambda n: f"      n{n}: {{play: {{prompt: p{n}, then: n{n + 1}}}}}",
        "      nLAST: {hang_up: {}}\n",
    )
    (config / "flows.yaml").write_text(nodes)
    began = time.process_time()
    problems = check(config, ROOT / "prompts")
    assert time.process_time() - began < SECONDS
    assert any("has no prompt 'p" in problem.what for problem in problems)
