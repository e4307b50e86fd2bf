"""Commands that ask the running engine: agents, queues, calls, messages, tickets, health."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

API = "/api/v1"

AsJson = Annotated[bool, typer.Option("--json", help="For scripts: the API's own answer")]
Number = Annotated[str | None, typer.Option(help="Only this phone number's")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest")]

agents_app = typer.Typer(help="Agents: list them, in, out, on breaks and back; set up their phones.")
queues_app = typer.Typer(help="Queues: list them, close one or all in an emergency, open them again.")
calls_app = typer.Typer(help="Calls: list them, show one with its timeline, or end one.")
messages_app = typer.Typer(help="Text messages; and deciding about those nobody can tell were sent.")


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.add_typer(agents_app, name="agents")
    app.add_typer(calls_app, name="calls")
    app.add_typer(messages_app, name="messages")
    app.add_typer(queues_app, name="queues")
    app.command()(tickets)
    app.command()(health)
    app.command()(drain)


def get(path: str, **query: str | int | None) -> dict[str, Any]:
    """One question to the engine."""
    from ivr_engine.cli.client import Api

    with Api.here() as api:
        return api.get(path, **query)


def post(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One instruction to the engine."""
    from ivr_engine.cli.client import Api

    with Api.here() as api:
        return api.post(path, body)


def _listed(answer: dict[str, Any], as_json: bool, columns: dict[str, str], nothing: str) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(answer)
    else:
        show.table(answer["items"], columns, nothing)


def _one(answer: dict[str, Any], as_json: bool, names: dict[str, str]) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(answer)
    else:
        show.facts(answer, names)


# ── agents ───────────────────────────────────────────────────────────────────────────────────────

_AGENT = {
    "name": "name",
    "label": "label",
    "state": "state",
    "since": "since",
    "queues": "queues",
    "call_id": "call",
    "reason": "reason",
    "next_break": "break after",
}


def show_agent(answer: dict[str, Any], as_json: bool) -> None:
    """One agent, as the API gave it."""
    _one(answer, as_json, _AGENT)


@agents_app.callback(invoke_without_command=True)
def agents(context: typer.Context, as_json: AsJson = False) -> None:
    """Every agent and what they do now."""
    if context.invoked_subcommand is None:
        _listed(get(f"{API}/agents"), as_json, _AGENT, "the site has no agents: see config/")


@agents_app.command("sign-in")
def sign_in(name: str, as_json: AsJson = False) -> None:
    """Make an agent available; also after a call they did not take."""
    _one(post(f"{API}/agents/{quote(name, safe='')}/sign-in"), as_json, _AGENT)


@agents_app.command("sign-out")
def sign_out(name: str, as_json: AsJson = False) -> None:
    """No further calls for this agent."""
    _one(post(f"{API}/agents/{quote(name, safe='')}/sign-out"), as_json, _AGENT)


@agents_app.command("phone")
def phone(name: str, as_json: AsJson = False) -> None:
    """What to type into the agent's SIP phone."""
    names = {"user": "user", "password": "password", "server": "server", "transport": "transport"}
    _one(get(f"{API}/agents/{quote(name, safe='')}/phone"), as_json, names)


# ── calls ────────────────────────────────────────────────────────────────────────────────────────

_CALL = {
    "id": "id",
    "caller": "caller",
    "queue": "queue",
    "state": "state",
    "position": "place",
    "wait_time_sms_status": "SMS",
    "agent": "agent",
    "started_at": "started",
}

_MORE = {
    "number": "dialled",
    "language": "language",
    "answered_at": "answered",
    "ended_at": "ended",
    "end_reason": "why",
    "ticket_id": "ticket",
}
_TEXTS = {"texts": "texts"}


@calls_app.callback(invoke_without_command=True)
def calls(
    context: typer.Context,
    caller: Number = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only calls not ended")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Calls, newest first."""
    if context.invoked_subcommand is None:
        query = "true" if only_open else None
        found = get(f"{API}/calls", caller=caller, open=query, limit=limit)
        _listed(found, as_json, _CALL | _TEXTS, "no such calls")


@calls_app.command("show")
def show_call(call_id: str, as_json: AsJson = False) -> None:
    """One call and everything that happened in it."""
    from ivr_engine.cli import show

    call = get(f"{API}/calls/{quote(call_id, safe='')}")
    if as_json:
        show.as_json(call)
        return
    show.facts(call, _CALL | _MORE | _TEXTS)
    show.table(call["timeline"], {"at": "at", "kind": "what", "detail": ""}, "nothing has happened yet")


@calls_app.command("hang-up")
def hang_up(call_id: str, as_json: AsJson = False) -> None:
    """End a call, whatever its state: caller and agent are hung up on."""
    _one(post(f"{API}/calls/{quote(call_id, safe='')}/hang-up"), as_json, _CALL | _MORE)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────

_MESSAGE = {
    "id": "id",
    "created_at": "at",
    "from": "from",
    "to": "to",
    "text": "text",
    "pictures": "media",
    "status": "status",
}


@messages_app.callback(invoke_without_command=True)
def messages(
    context: typer.Context,
    number: Number = None,
    status: Annotated[str | None, typer.Option(help="Only in this status, for example unknown")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Text messages, newest first."""
    if context.invoked_subcommand is not None:
        return
    found = get(f"{API}/messages", number=number, status=status, limit=limit)
    if not as_json:
        found = {"items": [m | {"pictures": [p["content_type"] for p in m["media"]]} for m in found["items"]]}
    _listed(found, as_json, _MESSAGE, "no such messages")


@messages_app.command("resend")
def resend(message_id: str, as_json: AsJson = False) -> None:
    """Send a message again of which nobody can tell whether it was sent: it may arrive twice."""
    _one(post(f"{API}/messages/{quote(message_id, safe='')}/resend"), as_json, _MESSAGE)


@messages_app.command("drop")
def drop(message_id: str, as_json: AsJson = False) -> None:
    """Give such a message up."""
    _one(post(f"{API}/messages/{quote(message_id, safe='')}/drop"), as_json, _MESSAGE)


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────


@queues_app.callback(invoke_without_command=True)
def queues(context: typer.Context, as_json: AsJson = False) -> None:
    """Who waits in which queue, and who could answer."""
    if context.invoked_subcommand is not None:
        return
    columns = {
        "name": "name",
        "label": "label",
        "waiting": "waiting",
        "longest_wait_seconds": "longest wait (s)",
        "wait": "estimate (s)",
        "right": "P80 right",
        "talking": "talking",
        "agents": "agents",
        "closed": "closed",
    }
    found = get(f"{API}/queues")
    if not as_json:
        found = {"items": [item | _wait(item) for item in found["items"]]}
    _listed(found, as_json, columns, "the site has no queues: see config/")


def _wait(queue: dict[str, Any]) -> dict[str, str]:
    """The estimated wait from P50 to P80, and how often P80 came true."""
    estimate, accuracy = queue["estimated_wait"], queue["accuracy"]
    return {
        "wait": f"{estimate['p50_seconds']:.0f} to {estimate['p80_seconds']:.0f}" if estimate else "unknown",
        "right": f"{accuracy['within_p80']:.0%} of {accuracy['callers']:.0f}" if accuracy else "-",
    }


def tickets(caller: Number = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Tickets with their comments and files, newest first."""
    columns = {
        "id": "id",
        "opened_at": "opened",
        "caller": "caller",
        "queue": "queue",
        "agent": "agent",
        "said": "comments",
        "sent": "files",
    }
    found = get(f"{API}/tickets", caller=caller, limit=limit)
    if not as_json:
        found = {
            "items": [
                ticket
                | {
                    "said": [f"{c['author']}: {c['text']}" for c in ticket["comments"]],
                    "sent": [f["content_type"] for f in ticket["files"]],
                }
                for ticket in found["items"]
            ]
        }
    _listed(found, as_json, columns, "no such tickets")


def health(as_json: AsJson = False) -> None:
    """Can calls be taken? Status 1 when not."""
    from ivr_engine.cli import show
    from ivr_engine.cli.client import Api

    with Api.here() as api:
        answer = api.health()
    if as_json:
        show.as_json(answer)
    else:
        columns = {"name": "check", "ok": "ok", "detail": "detail"}
        show.table(answer["checks"], columns, "nothing is checked")
    if answer["status"] != "ok":
        raise typer.Exit(1)


def drain() -> None:
    """Take no new calls; the engine ends when the last one is over."""
    calls = post(f"{API}/drain")["calls"]
    typer.echo(f"new callers are left to others; the engine ends when its {calls} calls are over")
