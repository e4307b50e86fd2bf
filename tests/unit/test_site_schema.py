"""What is made from the models for editors and readers is up to date, and says what the loader says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.site import schema
from ivr_engine.site.models import Site

ROOT = Path(__file__).parents[2]
MEND = "make them anew: ivr-engine schema --out FOLDER, ivr-engine schema --page > docs/configuration.md"


@pytest.mark.parametrize(("folder", "name"), [("config", schema.SITE_FILE), ("prompts", schema.TEXTS_FILE)])
def test_the_schemas_beside_the_examples_are_up_to_date(folder: str, name: str) -> None:
    assert (ROOT / folder / name).read_text() == schema.files()[name], MEND


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == schema.page(), MEND


def test_every_example_names_its_schema() -> None:
    for file in [*ROOT.glob("config/*.yaml"), *ROOT.glob("prompts/*/texts.yaml")]:
        first = file.read_text().splitlines()[0]
        found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert found, f"{file} does not begin with its schema"
        assert (file.parent / found[1]).is_file()


def test_switches_and_numbers_may_be_written_as_yaml_has_them() -> None:
    made = schema.site_schema()
    queue: dict[str, Any] = made["definitions"]["Queue"]["properties"]
    assert "yes" in queue["announce_position"]["enum"]
    assert "number" in made["definitions"]["SmsSettings"]["properties"]["sender"]["type"]
    assert made["additionalProperties"] is False
    assert "required" not in made  # a file holds a part


def test_each_place_that_the_page_leads_to_is_there() -> None:
    page = schema.page()
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#(\w+)\)", page)) <= headings
    assert all(f"{name} |" in page or f"{name}** |" in page for name in Site.model_fields)


def test_every_setting_has_a_meaning_or_leads_to_one() -> None:
    rows = [line for line in schema.page().splitlines() if line.startswith("| ")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |") and "](#" not in row] == []
