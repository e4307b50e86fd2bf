"""Commands about the configuration: load it now, look at its history, take a change back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ivr_engine.cli.asking import API, get, post
from ivr_engine.cli.processes import settings
from ivr_engine.errors import IvrError

if TYPE_CHECKING:
    from ivr_engine.site.history import History
    from ivr_engine.site.models import Site

LOADING_S: Final = 300.0
"""Seconds ``reload`` waits for new prompts to be rendered."""

ASK_EVERY_S: Final = 1.0

app = typer.Typer(
    help="The configuration's history: list it, compare, and undo a change.", no_args_is_help=True
)
flow_app = typer.Typer(help="Flows: draw them.", no_args_is_help=True)


def add_to(main: typer.Typer) -> None:
    """The commands of this module."""
    main.command()(reload)
    main.command()(schema)
    main.add_typer(app, name="config")
    main.add_typer(flow_app, name="flow")


def reload() -> None:
    """Let the running engine take the files as they are now: status 1, and why, when it cannot.

    It does so by itself a second or two after a change; this waits for the end of it.
    """
    answer = _loaded(post(f"{API}/site/reload"))
    for problem in answer["problems"]:
        sys.stderr.write(_line(problem) + "\n")
    if not answer["ok"]:
        sys.stderr.write("not in force: callers are served by the configuration before\n")
        raise typer.Exit(1)
    sys.stdout.write(f"in force: version {answer['version']}\n")


def schema(
    out: Annotated[
        Path | None, typer.Option(help="Folder for both files; else the settings' one is printed")
    ] = None,
    page: Annotated[bool, typer.Option("--page", help="Print all settings as Markdown instead")] = False,
) -> None:
    """A JSON Schema of settings and texts, for editors that complete and check while one writes."""
    from ivr_engine.site import schema as made

    if page:
        sys.stdout.write(made.page())
    elif out is None:
        sys.stdout.write(made.files()[made.SITE_FILE])
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, text in made.files().items():
                (out / name).write_text(text, encoding="utf-8")
                sys.stdout.write(f"{out / name}\n")
        except OSError as error:
            raise IvrError(f"{out} cannot be written: {error.strerror}") from error


def _loaded(answer: dict[str, Any]) -> dict[str, Any]:
    import time

    ends_at = time.monotonic() + LOADING_S
    while answer["loading"] and time.monotonic() < ends_at:
        time.sleep(ASK_EVERY_S)
        answer = get(f"{API}/site")
    return answer


def _line(problem: dict[str, Any]) -> str:
    where = ":".join(str(part) for part in (problem["file"], problem["line"]) if part)
    said = "; ".join(part for part in (problem["what"], problem["remedy"]) if part)
    return f"{where}: {said}" if where else said


@app.command("history")
def history() -> None:
    """The configurations that were in force, newest first."""
    from ivr_engine.cli import show

    versions = _history().versions()
    rows = [
        {
            "number": version.number,
            "at": version.at.isoformat(timespec="seconds"),
            "what": "in force since then" if version.applied else "set aside by an undo",
            "files": len(version.files),
        }
        for version in reversed(versions)
    ]
    columns = {"number": "version", "at": "at", "what": "", "files": "files"}
    show.table(rows, columns, "no configuration was in force yet: start the engine")


@app.command("diff")
def diff(
    number: Annotated[int, typer.Argument(help="From this version")],
    to: Annotated[int | None, typer.Argument(help="to that one; else to the files as they are now")] = None,
) -> None:
    """What changed from one version to another."""
    for change in _history().differences(number, to):
        sys.stdout.write("\n".join(change.lines) + "\n")


@app.command("undo")
def undo(
    number: Annotated[
        int | None, typer.Argument(help="Back to this version; else to before the last change")
    ] = None,
) -> None:
    """Write the files of a former version back; a running engine takes them at once.

    What they were before is kept in the history, so an undo can be undone.
    """
    from datetime import UTC, datetime

    history = _history()
    version = history.before_last_change() if number is None else history.version(number)
    changed = history.write_back(version, datetime.now(UTC))
    for name in changed:
        sys.stdout.write(f"{name}\n")
    sys.stdout.write(f"{len(changed)} files are as in version {version.number}\n")


def _history() -> History:
    from ivr_engine.site.history import History

    here = settings()
    return History(here.history, here.config, here.prompts)


@flow_app.callback()
def flow() -> None:
    """Flows: draw them."""


@flow_app.command("picture")
def picture(
    name: Annotated[str | None, typer.Argument(help="Only this flow; else all")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for NAME.svg and NAME.mmd; else Mermaid is printed")
    ] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Print SVG instead of Mermaid")] = False,
) -> None:
    """Draw flows: as SVG for browsers and printers, and in Mermaid, a text that code hosts, wikis and editors
    show as a picture."""
    for each in [name] if name is not None else sorted(_site().flows):
        pictures = _pictures(each)
        if out is None:
            sys.stdout.write(pictures["svg" if svg else "mmd"])
            continue
        try:
            out.mkdir(parents=True, exist_ok=True)
            for ending, text in pictures.items():
                (out / f"{each}.{ending}").write_text(text, encoding="utf-8")
        except OSError as error:
            raise IvrError(f"{out} cannot be written: {error.strerror}") from error


def _pictures(flow: str) -> dict[str, str]:
    """By the ending of the file."""
    from ivr_engine.site.drawing import of_site
    from ivr_engine.site.pictures import mermaid
    from ivr_engine.site.texts import read_texts

    site = _site()
    lines, _ = read_texts(site, settings().prompts)
    said = {line.name: line.text for line in lines if line.language == site.default_language}
    return {"svg": of_site(site, flow, said.get), "mmd": mermaid(flow, site.flows[flow])}


def _site() -> Site:
    from ivr_engine.site.loader import load

    return load(settings().config)
