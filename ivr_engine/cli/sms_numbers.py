"""Numbers of ours: ``ivr-engine sms-numbers …``."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, get, post

app = typer.Typer(help="Numbers that texts are sent from and come to: list them, verify them.")

Number = Annotated[str, typer.Argument(help="As it stands in the site: +4915112345678, 72000, EXAMPLE")]

_ALL = f"{API}/sms/numbers"
_COLUMNS = {
    "number": "number",
    "provider": "provider",
    "label": "label",
    "kind": "kind",
    "direction": "direction",
    "queues": "queues",
    "verified": "verified",
    "rate": "parts/s",
    "sent": "sent in 24 h",
    "received": "received",
    "trouble": "trouble",
}
_FACTS = {
    **_COLUMNS,
    "country": "country",
    "use": "use",
    "capabilities": "capabilities",
    "verified_at": "since",
    "verified_by": "by",
    "verified_how": "how",
    "code_until": "code until",
    "remedy": "remedy",
}


@app.command("list")
def list_numbers(as_json: AsJson = False) -> None:
    """Every number of the site, and whether queues may use it."""
    _many(get(_ALL), as_json)


@app.command()
def look(as_json: AsJson = False) -> None:
    """Ask the provider now which of them are in its list: those are verified by that."""
    _many(post(f"{_ALL}/look"), as_json)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """One number."""
    _one(get(f"{_ALL}/{quote(number, safe='')}"), as_json)


@app.command()
def verify(number: Number, as_json: AsJson = False) -> None:
    """Send a code to a number by SMS; then `confirm` it, within ten minutes."""
    _one(_told(number, "code"), as_json)


@app.command()
def confirm(number: Number, code: str, as_json: AsJson = False) -> None:
    """Enter the code that came: the number is verified, and queues use it."""
    _one(_told(number, "confirm", code=code), as_json)


@app.command()
def declare(number: Number, as_json: AsJson = False) -> None:
    """Vouch for a name (an alphanumeric sender), to which no code can be sent."""
    _one(_told(number, "declare"), as_json)


def _told(number: str, verb: str, **body: str) -> dict[str, Any]:
    return post(f"{_ALL}/{quote(number, safe='')}/{verb}", {**body, "by": _me()})


def _me() -> str:
    """Who is at the keyboard, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        return "command line"


def _many(answer: dict[str, Any], as_json: bool) -> None:
    from ivr_engine.cli import show as shown

    if as_json:
        shown.as_json(answer)
    else:
        shown.table(answer["items"], _COLUMNS, "the site has no numbers for texts")


def _one(answer: dict[str, Any], as_json: bool) -> None:
    from ivr_engine.cli import show as shown

    if as_json:
        shown.as_json(answer)
    else:
        shown.facts(answer, _FACTS)
