"""A small day, simulated: its figures, the same every time, and what is said about a day that cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.errors import ConfigErrors
from ivr_engine.rehearsal.day import Day, Spread
from ivr_engine.rehearsal.day_files import day_schema, read_day
from ivr_engine.rehearsal.figures import report
from ivr_engine.rehearsal.page import page
from ivr_engine.rehearsal.simulation import simulate
from ivr_engine.rehearsal.written_prompts import estimated, names_of
from ivr_engine.site.loader import load
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import PromptBook

PROJECT = Path(__file__).parents[2]
DAYS = PROJECT / "config" / "days"

SMALL = """\
what: Two hours
seed: 3
callers:
  - number: 700
    per_hour: {09:00: 60, 11:00: 0}
    patience: {mean: 120, distribution: constant}
    sms: {allow: 0.6, refuse: 0.2, reply: 0.5}
  - number: 100
    per_hour: {09:00: 20, 11:00: 0}
    keys: {choose_language: {2: 1}, main_menu: {2: 1}, sales_menu: {1: 1}}
agents:
  - {like: anna, count: 3, shift: "09:00-11:30", breaks: ["10:00-10:10"], handling: 120, misses: 0.1}
settings:
  queues: {support: {announcement_interval: 30}}
"""


@cache
def example() -> tuple[Site, PromptBook, frozenset[str]]:
    site, prompts = load(PROJECT / "config"), PROJECT / "prompts"
    return site, estimated(site, prompts), names_of(site, prompts)


def simulated(folder: Path, text: str = SMALL) -> dict[str, Any]:
    site, book, names = example()
    file = folder / "day.yaml"
    file.write_text(text)
    day, changed = read_day(file, site, names)
    return report(day, simulate(day, changed, book, lambda _share, _calls: None))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return simulated(tmp_path_factory.mktemp("day"))


def test_the_figures_add_up(small: dict[str, Any]) -> None:
    total, queues = small["total"], small["queues"]
    assert 120 < small["calls"] < 200
    assert set(queues) == {"support", "sales"}
    for name in ("offered", "answered", "abandoned"):
        assert total[name] == sum(queue[name] for queue in queues.values())
        assert total[name] == sum(each[name] for each in small["intervals"])
    assert total["offered"] == small["calls"] == total["answered"] + total["abandoned"] + total["led_on"]
    assert total["wait_s"]["p50"] <= total["wait_s"]["p80"] <= total["wait_s"]["longest"]
    # The constant patience, from the first music on; an agent's ring may have begun just before.
    assert queues["support"]["wait_s"]["longest"] < 120 + 5
    assert queues["support"]["patience_of_abandoned_s"]["longest"] == pytest.approx(120, abs=1)
    assert 100 < total["talk_s"]["mean"] < 140


def test_agents_are_there_in_their_shift_but_for_breaks(small: dict[str, Any]) -> None:
    agents = small["agents"]
    # Three people for two and a half hours, less ten minutes, less the times after missed offers.
    assert 3 * (2.5 - 1 / 6) - 1.5 < agents["hours"] <= 3 * (2.5 - 1 / 6) + 0.2
    assert agents["offers_missed"] > 3
    assert 0.5 < agents["occupancy"] <= 1
    assert small["intervals"][0]["from"] == "09:00"


def test_the_funnel_narrows(small: dict[str, Any]) -> None:
    sms = small["sms"]
    assert sms["offered"] > sms["allowed"] == sms["sent"] == sms["delivered"] > sms["callers_who_replied"] > 0
    assert sms["allowed"] + sms["denied"] + sms["no_response"] <= sms["offered"]


def test_estimates_are_held_against_what_came(small: dict[str, Any]) -> None:
    entry = small["wait_estimates"]["support"]["entry"]
    assert entry["callers"] > 20
    assert 0.3 < entry["within_p80"] <= 1


def test_the_page_holds_everything_itself(small: dict[str, Any]) -> None:
    text = page(small)
    assert text.count("<svg") == 5
    assert "<script" not in text
    assert "src=" not in text
    assert "Two hours" in text
    assert page(small) == text


def test_the_same_seed_gives_the_same_bytes_in_another_process(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text(SMALL)
    done = subprocess.run(
        [sys.executable, "-m", "ivr_engine", "simulate", str(tmp_path / "day.yaml"), "--json"],
        cwd=PROJECT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == json.dumps(small, indent=2, ensure_ascii=False) + "\n"


def test_more_agents_do_not_change_who_calls(small: dict[str, Any], tmp_path: Path) -> None:
    more = simulated(tmp_path, SMALL.replace("count: 3", "count: 9"))
    assert more["calls"] == small["calls"]
    assert more["total"]["wait_s"]["mean"] < small["total"]["wait_s"]["mean"]
    assert more["agents"]["occupancy"] < small["agents"]["occupancy"]
    other = simulated(tmp_path, SMALL.replace("seed: 3", "seed: 4"))
    assert other["intervals"] != small["intervals"]


@pytest.mark.parametrize(
    ("before", "after", "line", "why"),
    [
        ("number: 700", "number: 7000", 4, "no number '7000' in the site; did you mean '700'?"),
        ("like: anna", "like: ana", 12, "no agent 'ana' in the site; did you mean 'anna'?"),
        ("choose_language", "choose_langage", 10, "no prompt is 'choose_langage'"),
        ("allow: 0.6", "allow: 0.9", 7, "more than all callers answer"),
        ("constant", "konstant", 6, "'konstant' is not known; did you mean 'constant'?"),
        ("misses: 0.1", "mises: 0.1", 12, "unknown setting 'mises' in 'agents.0'; did you mean 'misses'?"),
        ("announcement_interval: 30", "announcement_interval: soon", 14, "'soon' is not a number"),
        ("handling: 120", "handling: -1", 12, "is too small; write more than 0"),
    ],
)
def test_mistakes_are_named_with_file_and_line(
    tmp_path: Path, before: str, after: str, line: int, why: str
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        simulated(tmp_path, SMALL.replace(before, after, 1))
    assert f"day.yaml:{line}: " in str(raised.value)
    assert why in str(raised.value)


@pytest.mark.parametrize("distribution", ["exponential", "lognormal", "uniform", "constant"])
def test_means_are_kept(distribution: str) -> None:
    import random

    spread, chance = Spread.model_validate({"mean": 200, "distribution": distribution}), random.Random(1)
    drawn = [spread.draw(chance) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(200, rel=0.03)


def test_the_examples_can_be_read_and_their_schema_is_up_to_date() -> None:
    site, _, names = example()
    for file in DAYS.glob("*.yaml"):
        assert isinstance(read_day(file, site, names)[0], Day)
    made = "make it anew: ivr-engine simulate --schema > config/days/day.schema.json"
    assert (DAYS / "day.schema.json").read_text() == day_schema(), made
