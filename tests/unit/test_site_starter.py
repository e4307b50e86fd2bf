"""``init``: whatever is answered, what is written is a site in order, or nothing is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.errors import ConfigErrors, Refused
from ivr_engine.site.check import check
from ivr_engine.site.loader import load
from ivr_engine.site.starter import EXAMPLE, Answers, known_languages, write

ANSWERS = {"brand": "My: Shop #1", "country": "DE", "languages": ("en",), "number": "700", "agent": "Anna"}


def answers(**changes: object) -> Answers:
    return Answers(**(ANSWERS | changes))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"languages": tuple(known_languages())},
        {"languages": ("de-AT", "en"), "country": "AT"},
        {"number": "+493012345678"},
        {"agent": "Jörg 'the *' Müller"},
        {"agent": "007"},
        {"brand": "no"},
        {"country": "US"},
    ],
    ids=str,
)
def test_what_is_written_is_in_order(tmp_path: Path, changes: dict[str, object]) -> None:
    write(answers(**changes), tmp_path)
    assert check(tmp_path / "config", tmp_path / "prompts") == []
    assert load(tmp_path / "config").brand == (changes.get("brand") or "My: Shop #1")


@pytest.mark.parametrize(
    "changes",
    [{"country": "XX1"}, {"number": "call me"}, {"brand": ""}, {"languages": ("xx",)}, {"languages": ()}],
    ids=str,
)
def test_answers_that_make_no_site_write_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises((ConfigErrors, Refused)):
        write(answers(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_installed_package_brings_what_it_begins_with() -> None:
    package = Path(ivr_engine.cli.__file__).parents[1]
    settings = tomllib.loads((package.parent / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["ivr_engine"]
    brought = {file for pattern in patterns for file in package.glob(pattern)}
    needed = [EXAMPLE / "prompts" / language / "texts.yaml" for language in known_languages()]
    assert {EXAMPLE / "config" / "sms.yaml", *needed} <= brought
    assert len(needed) >= 5


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    with pytest.raises(Refused, match="there already"):
        write(answers(), tmp_path)


def test_a_country_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no country 'ZZ': write its two letters"):
        write(answers(country="ZZ"), tmp_path)


def test_what_is_there_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    said = CliRunner().invoke(ivr_engine.cli.app, ["init", str(tmp_path)])
    assert isinstance(said.exception, Refused)
    assert said.output == ""


def test_questions_are_asked_and_have_answers_ready(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        ivr_engine.cli.app, ["init", str(tmp_path)], input="Müller & Co\nDE\nde en\n\n\n"
    )
    assert said.exit_code == 0, said.output
    site = load(tmp_path / "config")
    assert (site.brand, site.languages, set(site.agents)) == ("Müller & Co", ("de", "en"), {"anna"})
