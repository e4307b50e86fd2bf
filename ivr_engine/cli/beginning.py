"""The first command: a site of one's own from a few questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ivr_engine.errors import ConfigErrors, Refused


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command()(init)


def _free(folder: Path) -> Path:
    """Said before anything is asked."""
    from ivr_engine.site.starter import refuse_what_is_there

    refuse_what_is_there(folder)
    return folder


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where config/ and prompts/ are made", is_eager=True, callback=_free)
    ] = Path("."),
    brand: Annotated[str, typer.Option(prompt="Your name, as callers know it")] = "Example Shop",
    country: Annotated[str, typer.Option(prompt="Country, in two letters")] = "DE",
    languages: Annotated[str, typer.Option(prompt="Languages, the first one is the default")] = "en",
    number: Annotated[str, typer.Option(prompt="The number that callers dial")] = "700",
    agent: Annotated[str, typer.Option(prompt="The first agent's name")] = "Anna",
) -> None:
    """Make a site to begin with: one number, one queue, one agent. What is not given is asked."""
    from ivr_engine.site.starter import Answers, write

    wanted = tuple(dict.fromkeys(languages.replace(",", " ").split()))
    try:
        files = write(Answers(brand, country.upper(), wanted, number.replace(" ", ""), agent), folder)
    except ConfigErrors as wrong:
        reasons = "; ".join(f"{error.what}: {error.remedy}" for error in wrong.errors)
        raise Refused(f"that makes no site: {reasons}") from wrong
    for file in files:
        sys.stdout.write(f"{file}\n")
    sys.stdout.write(
        f"Next: IVR_CONFIG={folder / 'config'} IVR_PROMPTS={folder / 'prompts'} ivr-engine check\n"
    )
