from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from tests.sipp.branches import BRANCHES
from tests.sipp.scenarios import AGENTS, CALLERS, FOLDER, files


def test_the_files_are_as_written_by_scenarios() -> None:
    """Else run ``python -m tests.sipp.scenarios``."""
    assert {file.name: file.read_text() for file in FOLDER.glob("*.xml")} == files()


@pytest.mark.parametrize("name", files())
def test_every_jump_of_a_scenario_has_its_label(name: str) -> None:
    scenario = ElementTree.fromstring(files()[name])
    labels = {label.get("id") for label in scenario.iter("label")}
    jumps = {step.get(way) for step in scenario for way in ("next", "ontimeout")} - {None}
    assert jumps <= labels


def test_every_scenario_is_played_by_a_branch_or_for_use_by_hand() -> None:
    assert set(CALLERS) - set(BRANCHES) == {"led", "wait"}
    assert set(AGENTS) - set(BRANCHES) == {"agent-answers"}
