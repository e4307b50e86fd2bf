"""Commands about consents, opt-outs, and numbers that are to be forgotten."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, Limit, Number, get, post
from ivr_engine.errors import IvrError

consents_app = typer.Typer(help="The consent ledger: read it, or take it all out as proof.")
opt_outs_app = typer.Typer(help="Who wants no texts: the list, opting somebody out, and in again.")
erasures_app = typer.Typer(help="Deleting what is known of a number.")

_CONSENT: Final = {
    "at": "at",
    "number": "number",
    "outcome": "outcome",
    "key": "key",
    "queue": "queue",
    "language": "language",
    "wording": "wording",
    "how": "how",
}
_OPT_OUT: Final = {
    "number": "number",
    "since": "since",
    "how": "how",
    "actor": "by",
    "wording": "wording",
    "resumed_at": "again since",
}
_ERASURE: Final = {
    "id": "id",
    "number": "number",
    "at": "at",
    "state": "state",
    "waits_for": "waits for",
    "deleted": "deleted",
}

Phone = Annotated[str, typer.Argument(help="A phone number, however written")]
Agent = Annotated[str | None, typer.Option(help="The agent who was told so")]
Note = Annotated[str, typer.Option(help="What was said: kept as the wording")]
As = Annotated[str, typer.Option("--format", help="csv, json (a list), or jsonl: one JSON object a line")]
Out = Annotated[Path | None, typer.Option(help="The file to write; not given: standard output")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the end", min=0)]

LOOK_S: Final = 0.5


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.add_typer(consents_app, name="consents")
    app.add_typer(opt_outs_app, name="opt-outs")
    app.add_typer(erasures_app, name="erasures")


@consents_app.callback(invoke_without_command=True)
def consents(
    context: typer.Context, number: Number = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """The consent ledger, newest first."""
    if context.invoked_subcommand is None:
        _listed(get(f"{API}/consents", number=number, limit=limit), as_json, _CONSENT, "no such consents")


@consents_app.command("export")
def export_consents(number: Number = None, as_format: As = "csv", out: Out = None) -> None:
    """Every line with the exact wording heard. Cells that a spreadsheet would calculate begin with '."""
    _export(f"{API}/consents/export", out, format=as_format, number=number)


@opt_outs_app.callback(invoke_without_command=True)
def opt_outs(
    context: typer.Context, number: Number = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """The list, newest first; also what has ended."""
    if context.invoked_subcommand is None:
        found = get(f"{API}/opt-outs", number=number, limit=limit)
        _listed(found, as_json, _OPT_OUT, "nobody has opted out")


@opt_outs_app.command()
def add(number: Phone, agent: Agent = None, note: Note = "", as_json: AsJson = False) -> None:
    """Nothing is sent to that number any more, and its consent is withdrawn."""
    _told("opt-outs", number, agent, note, as_json)


@opt_outs_app.command()
def resume(number: Phone, agent: Agent = None, note: Note = "", as_json: AsJson = False) -> None:
    """For somebody who asked for texts again."""
    _told("opt-outs/resume", number, agent, note, as_json)


@opt_outs_app.command("export")
def export_opt_outs(as_format: As = "csv", out: Out = None) -> None:
    """The whole list, also what has ended."""
    _export(f"{API}/opt-outs/export", out, format=as_format)


@erasures_app.callback(invoke_without_command=True)
def erasures(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Numbers that were to be forgotten, newest first."""
    if context.invoked_subcommand is None:
        found = get(f"{API}/erasures", limit=limit)
        _listed(found, as_json, _ERASURE, "no number was to be forgotten")


@erasures_app.command()
def ask(number: Phone, agent: Agent = None, wait: Wait = 10.0, as_json: AsJson = False) -> None:
    """Delete messages, pictures, tickets, recordings and what is known of the caller; say what was deleted.

    Proofs of consent and opt-outs stay, under a pseudonym. A call that goes on ends first.
    """
    one = post(f"{API}/erasures", _given(number=number, agent=agent))
    deadline = time.monotonic() + wait
    while one["state"] != "done" and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        one = get(f"{API}/erasures/{quote(one['id'], safe='')}")
    _facts(one, as_json, _ERASURE)


def _told(path: str, number: str, agent: str | None, note: str, as_json: bool) -> None:
    done = post(f"{API}/{path}", {**_given(number=number, agent=agent), "note": note})
    _facts(done if as_json else _flat(done), as_json, _OPT_OUT)


def _given(**values: str | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _flat(one: dict[str, Any]) -> dict[str, Any]:
    """What was said, beside the number."""
    if "opted_out" not in one:
        return one
    resumed: dict[str, Any] = one["resumed"] or {}
    said = one["opted_out"]
    return {**one, **said, "since": said["at"], "resumed_at": resumed.get("at")}


def _listed(found: dict[str, Any], as_json: bool, columns: dict[str, str], nothing: str) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(found)
    else:
        show.table([_flat(one) for one in found["items"]], columns, nothing)


def _facts(one: dict[str, Any], as_json: bool, names: dict[str, str]) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(one)
    else:
        show.facts(one, names)


def _export(path: str, out: Path | None, **query: str | None) -> None:
    """As it comes, so that nothing is gathered; a file is there whole or not at all."""
    from ivr_engine.cli.client import Api

    with Api.here() as api:
        if out is None:
            for block in api.stream(path, **query):
                sys.stdout.buffer.write(block)
            return
        unfinished = out.with_name(f".{out.name}.part")
        try:
            with unfinished.open("wb") as file:
                file.writelines(api.stream(path, **query))
            unfinished.replace(out)
        except OSError as error:
            raise IvrError(f"{out} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
