"""``ivr-engine simulate``: what a day would be like."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivr_engine.cli.processes import settings
from ivr_engine.errors import IvrError

if TYPE_CHECKING:
    from ivr_engine.rehearsal.figures import Json
    from ivr_engine.rehearsal.simulation import Progress


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command()(simulate)


def simulate(
    file: Annotated[Path | None, typer.Argument(help="The day, in YAML: docs/simulate.md")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report, as JSON and as a page")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the file's: another such day")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of days instead")] = False,
) -> None:
    """Simulate a day of calls in virtual time: your site, your flows, so many callers and agents."""
    if schema:
        from ivr_engine.rehearsal.day_files import day_schema

        sys.stdout.write(day_schema())
        return
    if file is None:
        raise IvrError("name the file of the day, like config/days/monday.yaml")
    report = _simulated(file, seed)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if out is not None:
        _write(out, file.stem, text, report)
    if as_json:
        sys.stdout.write(text)
    else:
        _print(report)


def _simulated(file: Path, seed: int | None) -> Json:
    from ivr_engine.rehearsal.day_files import read_day
    from ivr_engine.rehearsal.figures import report
    from ivr_engine.rehearsal.simulation import simulate as run
    from ivr_engine.rehearsal.written_prompts import estimated, names_of
    from ivr_engine.site.loader import load

    here = settings()
    own = load(here.config)
    day, site = read_day(file, own, names_of(own, here.prompts))
    if seed is not None:
        day = day.model_copy(update={"seed": seed})
    with _progress(day.what) as progress:
        return report(day, run(day, site, estimated(site, here.prompts), progress))


@contextmanager
def _progress(what: str) -> Generator[Progress]:
    """On standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share, calls: bar.update(task, completed=share, description=f"{what}: {calls} calls")


def _write(out: Path, stem: str, text: str, report: Json) -> None:
    from ivr_engine.rehearsal.page import page

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in ((f"{stem}.json", text), (f"{stem}.html", page(report))):
            (out / name).write_text(content, encoding="utf-8")
            sys.stderr.write(f"{out / name}\n")
    except OSError as error:
        raise IvrError(f"{out} cannot be written: {error.strerror}") from error


def _print(report: Json) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ivr_engine.rehearsal import page

    console = Console()
    console.print(Text(f"{report['what']}: {report['calls']} calls on {report['date']}", "bold"))
    for columns, rows in (
        (page.QUEUE_COLUMNS, page.queue_rows(report)),
        (page.ESTIMATE_COLUMNS, page.estimate_rows(report)),
    ):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    console.print(Text(page.summary(report)))
