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
        _print(played)
    if any(each.outcome.failure for each in played):
        raise typer.Exit(1)


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


def _print(played: list[Played]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("script", "what is shown", "", "s", box=None, header_style="bold", pad_edge=False)
    for each in played:
        failed = each.outcome.failure is not None
        outcome = Text("FAILED", "bold red") if failed else Text("passed", "green")
        file = each.outcome.file
        table.add_row(Text(file.name), Text(file.script.what), outcome, f"{each.seconds:.0f}")
    console = Console()
    console.print(table)
    for each in played:
        if each.outcome.failure:
            console.print(Text(each.outcome.failure), soft_wrap=True)
