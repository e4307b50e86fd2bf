"""Commands for texts in a call: ``ivr-engine calls sms …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, get, post
from ivr_engine.errors import Refused

app = typer.Typer(help="Texts between an agent and the caller: send one, list them, see what can be sent.")

_MESSAGE: Final = {
    "id": "id",
    "created_at": "at",
    "direction": "direction",
    "purpose": "purpose",
    "status": "status",
    "text": "text",
}


def add_to(calls: typer.Typer) -> None:
    """The commands of this module, below ``calls``."""
    calls.add_typer(app, name="sms")


@app.command("send")
def send(
    call_id: str,
    preset: Annotated[str | None, typer.Option(help="A preset's name")] = None,
    language: Annotated[str | None, typer.Option(help="Of the preset; else the caller's")] = None,
    text: Annotated[str | None, typer.Option(help="Words of one's own, up to 918 characters")] = None,
    picture: Annotated[Path | None, typer.Option(help="A picture or video, with or without a text")] = None,
    agent: Annotated[str | None, typer.Option(help="Who writes; else the agent of the call")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a text or a picture to the caller, while an agent talks to them."""
    from ivr_engine.cli import show

    given = {"preset": preset, "language": language, "text": text, "agent": agent}
    what = {name: value for name, value in given.items() if value is not None}
    message = post(_of(call_id), what) if picture is None else _sent(call_id, picture, what)
    if as_json:
        show.as_json(message)
    else:
        show.facts(message, {**_MESSAGE, "to": "to", "from": "from"})


@app.command("list")
def list_texts(call_id: str, as_json: AsJson = False) -> None:
    """Every text of a call, both directions, oldest first."""
    from ivr_engine.cli import show

    found = get(_of(call_id))
    if as_json:
        show.as_json(found)
    else:
        show.table([_with_files(item) for item in found["items"]], {**_MESSAGE, "files": "files"}, "no texts")


@app.command("presets")
def presets(
    call_id: str,
    language: Annotated[str | None, typer.Option(help="In another language than the caller's")] = None,
    as_json: AsJson = False,
) -> None:
    """What can be sent to the caller now; if nothing can, why."""
    from ivr_engine.cli import show

    choice = get(f"{_of(call_id)}/choice", language=language)
    if as_json:
        show.as_json(choice)
        return
    show.facts(
        choice,
        {"possible": "possible", "why_not": "why not", "language": "language", "own_text": "own words"},
    )
    columns = {"name": "name", "label": "label", "segments": "parts", "text": "text"}
    show.table(choice["presets"], columns, "the site has no presets: see 'in_call_sms'")


@app.command("measure")
def measure(text: str, as_json: AsJson = False) -> None:
    """How many parts a text takes, and which characters make it expensive."""
    from ivr_engine.cli import show

    measured = post(f"{API}/sms/measure", {"text": text})
    if as_json:
        show.as_json(measured)
        return
    costly = ", ".join(f"{one['character']} ({one['code']}, {one['effect']})" for one in measured["costly"])
    names = ("characters", "characters_left", "segments", "units", "units_left", "encoding")
    show.facts({**measured, "costly": costly}, {name: name.replace("_", " ") for name in (*names, "costly")})


def _sent(call_id: str, picture: Path, fields: dict[str, str]) -> dict[str, Any]:
    from ivr_engine.cli.client import Api

    if "preset" in fields:
        raise Refused("a preset is sent as it is: give --text with --picture, or nothing")
    try:
        content = picture.read_bytes()
    except OSError as error:
        raise Refused(f"{picture} cannot be read: {error.strerror}") from error
    with Api.here() as api:
        return api.send(f"{_of(call_id)}/file", fields, [(picture.name, content, "application/octet-stream")])


def _of(call_id: str) -> str:
    return f"{API}/calls/{quote(call_id, safe='')}/sms"


def _with_files(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "files": len(item["media"])}
