"""The caller's phone in the SMS simulator, by command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, get

app = typer.Typer(
    help="The caller's phone in the SMS simulator: read what came, answer.", no_args_is_help=True
)


@app.command("read")
def read(number: str, as_json: AsJson = False) -> None:
    """What the phone with this number got, oldest first."""
    from ivr_engine.cli import show

    answer = get(_path(number))
    if as_json:
        show.as_json(answer)
        return
    columns = {"from": "from", "text": "text", "files": "files", "status": "status", "id": "id"}
    items = [
        {**item, "files": [media["content_type"] for media in item["media"]]} for item in answer["items"]
    ]
    show.table(items, columns, "nothing has arrived")


@app.command("answer")
def answer(
    number: str,
    text: Annotated[str, typer.Argument(help="The text; may be empty with a picture")],
    to: Annotated[str | None, typer.Option(help="Whom to; else whoever wrote last")] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A picture or video; several times"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write from the phone with this number."""
    from mimetypes import guess_type

    from ivr_engine.cli import show
    from ivr_engine.cli.client import Api

    pictures = [
        (path.name, path.read_bytes(), guess_type(path.name)[0] or "application/octet-stream")
        for path in picture or []
    ]
    fields = {"text": text} | ({"to": to} if to is not None else {})
    with Api.here() as api:
        sent = api.send(_path(number), fields, pictures)
    if as_json:
        show.as_json(sent)
    else:
        show.facts(sent, {"id": "sent as"})


def _path(number: str) -> str:
    return f"{API}/handset/{quote(number, safe='')}/messages"
