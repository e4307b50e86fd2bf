"""``ivr-engine config`` and the help of every command, as people see them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.errors import Refused
from ivr_engine.site.history import History

ROOT = Path(__file__).parents[2]
BEGIN = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of which the brand was changed once, and both were in force."""
    folders = {name: tmp_path / name for name in ("config", "prompts")}
    for name, folder in folders.items():
        shutil.copytree(ROOT / name, folder)
        monkeypatch.setenv(f"IVR_{name.upper()}", str(folder))
    monkeypatch.setenv("IVR_STATE", str(tmp_path / "state"))
    history = History(tmp_path / "state" / "history", **folders)
    history.keep(history.present(), BEGIN)
    site = folders["config"] / "site.yaml"
    site.write_text(site.read_text().replace("brand: Example Shop", "brand: Other Shop"))
    history.keep(history.present(), BEGIN + timedelta(hours=1))
    return folders["config"]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(ivr_engine.cli.app, ["config", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_what_was_in_force_is_listed_newest_first(config: Path) -> None:
    said = run("history")
    assert [line.split()[0] for line in said.splitlines() if "2026-01-05" in line] == ["2", "1"], said


def test_a_change_is_shown_line_by_line(config: Path) -> None:
    lines = run("diff", "1", "2").splitlines()
    assert [line for line in lines if line[:1] in "+-"] == [
        "--- config/site.yaml",
        "+++ config/site.yaml",
        "-brand: Example Shop",
        "+brand: Other Shop",
    ]
    assert run("diff", "2") == ""
    (config / "more.yaml").write_text("skills: {repairs: Repairs}\n")
    assert run("diff", "2").splitlines()[-1] == "+skills: {repairs: Repairs}"


def test_an_undo_can_be_undone(config: Path) -> None:
    assert run("undo").splitlines() == ["config/site.yaml", "1 files are as in version 1"]
    assert "brand: Example Shop" in (config / "site.yaml").read_text()
    assert "set aside" not in run("history")
    run("undo", "2")
    assert "brand: Other Shop" in (config / "site.yaml").read_text()


def test_a_mistake_never_in_force_is_taken_back_and_kept(config: Path) -> None:
    (config / "site.yaml").write_text("brand: [\n")
    run("undo")
    assert "brand: Other Shop" in (config / "site.yaml").read_text()
    assert "set aside by an undo" in run("history")


@pytest.mark.parametrize("arguments", [("diff", "7"), ("undo", "7"), ("diff", "1", "7")])
def test_a_version_that_is_not_there(config: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="no version 7 of the configuration: there are 1 to 2"):
        run(*arguments)


def test_nothing_in_a_help_text_is_taken_for_markup() -> None:
    """Rich would leave out what stands in brackets."""
    texts = list(_helps(typer.main.get_command(ivr_engine.cli.app)))
    assert len(texts) > 100
    assert [text for text in texts if Text.from_markup(text).plain != text] == []


def _helps(command: object) -> Iterator[str]:
    for named in (command, *getattr(command, "params", ())):
        if text := getattr(named, "help", None):
            yield text
    for inner in getattr(command, "commands", {}).values():
        yield from _helps(inner)
