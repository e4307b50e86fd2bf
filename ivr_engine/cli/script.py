"""Caller scripts: play them in virtual time, or make SIPp scenarios of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivr_engine.cli.processes import settings

if TYPE_CHECKING:
    from ivr_engine.rehearsal.headless import Played
    from ivr_engine.rehearsal.player import Outcome

app = typer.Typer(help="Caller scripts: docs/caller-scripts.md.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Scripts, or folders of scripts")]


@app.command("run")
def run(
    files: Files,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts")] = False,
) -> None:
    """Play scripts against the site in virtual time, without Asterisk: status 1 when one goes another way."""
    from ivr_engine.rehearsal.headless import play_headless
    from ivr_engine.rehearsal.script_files import read_scripts
    from ivr_engine.rehearsal.written_prompts import estimated, names_of
    from ivr_engine.site.loader import load

    here = settings()
    site = load(here.config)
    book = estimated(site, here.prompts)
    scripts = read_scripts(files, site, names_of(site, here.prompts))
    played = [play_headless(script, site, book) for script in scripts]
    if as_json:
        sys.stdout.write(json.dumps([_as_dict(each) for each in played], indent=2) + "\n")
    else:
        _print_outcomes([(each.outcome, f"{each.seconds:.0f}") for each in played])
    if any(each.outcome.failure for each in played):
        raise typer.Exit(1)


@app.command("sipp")
def sipp(
    files: Files,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the scenarios; else the only one is printed")
    ] = None,
    play: Annotated[bool, typer.Option("--run", help="Play them on the running engine's Asterisk")] = False,
) -> None:
    """Make SIPp scenarios of scripts, to be run by hand; or play them on the Asterisk of this machine, with
    ears that check what is heard: status 1 when one goes another way."""
    from ivr_engine.cli import script_sipp

    if play:
        outcomes = script_sipp.play(files, settings())
        _print_outcomes([(outcome, f"{seconds:.0f}") for outcome, seconds in outcomes])
        if any(outcome.failure for outcome, _ in outcomes):
            raise typer.Exit(1)
        return
    for file in script_sipp.write(files, out, settings()):
        sys.stdout.write(f"{file}\n")


@app.command("schema")
def schema() -> None:
    """A JSON Schema of scripts, for editors."""
    from ivr_engine.rehearsal.script_files import script_schema

    sys.stdout.write(script_schema())


def _as_dict(played: Played) -> dict[str, object]:
    return {
        "script": str(played.outcome.file.path),
        "passed": played.outcome.failure is None,
        "failure": played.outcome.failure,
        "seconds": round(played.seconds, 1),
        "heard": played.outcome.heard,
    }


def _print_outcomes(outcomes: list[tuple[Outcome, str]]) -> None:
    """Each with its seconds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("script", "what is shown", "", "s", box=None, header_style="bold", pad_edge=False)
    for outcome, seconds in outcomes:
        said = Text("passed", "green") if outcome.failure is None else Text("FAILED", "bold red")
        table.add_row(Text(outcome.file.name), Text(outcome.file.script.what), said, seconds)
    console = Console()
    console.print(table)
    for outcome, _ in outcomes:
        if outcome.failure is not None:
            console.print(Text(outcome.failure), soft_wrap=True)
