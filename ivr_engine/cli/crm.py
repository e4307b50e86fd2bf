"""Commands about contacts, and about the CRMs that are told of conversations."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, Limit, Number, get, post

contacts_app = typer.Typer(help="Contacts: list them, add one, say whose a ticket is.")
crm_app = typer.Typer(help="CRMs: how far they are; what they would not take, and trying it again.")

_CONTACT: Final = {
    "id": "id",
    "name": "name",
    "numbers": "numbers",
    "language": "language",
    "updated_at": "last",
    "external": "elsewhere",
}
_LETTER: Final = {
    "id": "id",
    "crm": "CRM",
    "kind": "what",
    "at": "at",
    "call_id": "call",
    "attempts": "tries",
    "error": "why",
}

Crm = Annotated[str | None, typer.Option("--crm", help="Only this one's")]


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.add_typer(contacts_app, name="contacts")
    app.add_typer(crm_app, name="crm")


# ── contacts ─────────────────────────────────────────────────────────────────────────────────────


@contacts_app.callback(invoke_without_command=True)
def contacts(
    context: typer.Context, number: Number = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """Contacts, last spoken with first."""
    if context.invoked_subcommand is None:
        found = get(f"{API}/contacts", number=number, limit=limit)
        _listed(found, as_json, _CONTACT, "no such contacts")


@contacts_app.command("show")
def show_contact(contact_id: str, as_json: AsJson = False) -> None:
    """One contact."""
    _one(get(f"{API}/contacts/{quote(contact_id, safe='')}"), as_json)


@contacts_app.command("add")
def add_contact(
    name: str,
    number: Annotated[
        list[str] | None, typer.Option(help="A phone number; may be given several times")
    ] = None,
    language: Annotated[str, typer.Option(help="For example en")] = "",
    as_json: AsJson = False,
) -> None:
    """A new contact."""
    body: dict[str, Any] = {"name": name, "numbers": number or [], "language": language}
    _one(post(f"{API}/contacts", body), as_json)


@contacts_app.command("of")
def of_ticket(ticket_id: str, as_json: AsJson = False) -> None:
    """Whose a ticket is, or who there is to choose from."""
    _choice(get(f"{API}/tickets/{quote(ticket_id, safe='')}/contact"), as_json)


@contacts_app.command("choose")
def choose(
    ticket_id: str,
    contact_id: Annotated[str | None, typer.Argument(help="One that there is")] = None,
    new: Annotated[str | None, typer.Option("--new", help="Somebody new, of this name")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whose a ticket is."""
    body = {"contact_id": contact_id} if contact_id is not None else {"new": new or ""}
    _choice(post(f"{API}/tickets/{quote(ticket_id, safe='')}/contact", body), as_json)


# ── CRMs ─────────────────────────────────────────────────────────────────────────────────────────


@crm_app.callback(invoke_without_command=True)
def crms(context: typer.Context, as_json: AsJson = False) -> None:
    """Every CRM, what it does not have yet, and what was given up."""
    if context.invoked_subcommand is None:
        columns = {"name": "name", "waiting": "waiting", "oldest_at": "since", "dead": "dead letters"}
        _listed(get(f"{API}/crm"), as_json, columns, "no CRM has been told anything yet")


@crm_app.command("dead")
def dead(crm: Crm = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """What was given up, and why."""
    _listed(get(f"{API}/crm/dead", crm=crm, limit=limit), as_json, _LETTER, "no dead letters")


@crm_app.command("replay")
def replay(
    letter_id: Annotated[str | None, typer.Argument(help="One; all where none is given")] = None,
    crm: Crm = None,
) -> None:
    """Try dead letters again."""
    body = {name: value for name, value in (("crm", crm), ("id", letter_id)) if value is not None}
    letters = post(f"{API}/crm/replay", body)["letters"]
    typer.echo("1 is tried again" if letters == 1 else f"{letters} are tried again")


@crm_app.command("drop")
def drop(crm: str, letter_id: str) -> None:
    """Give a dead letter up for good."""
    post(f"{API}/crm/drop", {"crm": crm, "id": letter_id})
    typer.echo("dropped")


@crm_app.command("secret")
def secret() -> None:
    """Print a new secret to sign requests with: for the variable that the site names."""
    typer.echo("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())


@crm_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of what webhooks are sent, and of contact look-ups."""
    from ivr_engine.crm.schema import document

    sys.stdout.write(json.dumps(document(), indent=2) + "\n")


def _listed(answer: dict[str, Any], as_json: bool, columns: dict[str, str], nothing: str) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(answer)
    else:
        show.table(answer["items"], columns, nothing)


def _one(contact: dict[str, Any], as_json: bool) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(contact)
    else:
        show.facts(contact, _CONTACT)


def _choice(answer: dict[str, Any], as_json: bool) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(answer)
    elif answer["contact"] is not None:
        show.facts(answer["contact"], _CONTACT)
    else:
        show.table(answer["candidates"], _CONTACT, "nobody's")
