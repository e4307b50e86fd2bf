"""Commands for a call in which agent and caller talk: ``ivr-engine calls hold …``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, get, post

_SIMPLE: Final = {
    "hold": "Let the caller hear music.",
    "resume": "Back from hold.",
    "mute": "Let nobody hear the agent.",
    "unmute": "Let the agent be heard again.",
    "complete": "Hand the caller over to whom the agent called.",
    "take-back": "Back to the caller, without whom the agent called; also the end of a conference.",
    "conference": "Bring caller, agent and whom the agent called together.",
    "stop-listening": "End a supervisor's part.",
    "record": "Record both sides; the caller is told, or asked, first.",
    "stop-recording": "Stop recording; what was recorded until now is kept.",
    "cancel-callback": "Call a waiting caller back no more.",
}

ToAgent = Annotated[str | None, typer.Option("--agent", help="Another agent, who must be free")]
ToNumber = Annotated[str | None, typer.Option("--number", help="A number outside, if it may be dialled")]


def add_to(calls: typer.Typer) -> None:
    """The commands of this module, below ``calls``."""
    for verb, meaning in _SIMPLE.items():
        calls.command(verb, help=meaning)(_simple(verb))
    calls.command()(transfer)
    calls.command()(consult)
    calls.command()(listen)
    calls.command()(recordings)


def _simple(verb: str) -> Any:  # noqa: ANN401 - a command, which typer reads
    def command(call_id: str, as_json: AsJson = False) -> None:
        _told(call_id, verb, None, as_json)

    return command


def transfer(
    call_id: str,
    queue: Annotated[str | None, typer.Option("--queue", help="Into the line of a queue")] = None,
    head: Annotated[bool, typer.Option("--head", help="In a queue: before everybody")] = False,
    agent: ToAgent = None,
    number: ToNumber = None,
    as_json: AsJson = False,
) -> None:
    """Hand the caller on without a word: to a queue, an agent or a number outside."""
    body = _given(queue=queue, agent=agent, number=number, place="head" if head else None)
    _told(call_id, "transfer", body, as_json)


def consult(call_id: str, agent: ToAgent = None, number: ToNumber = None, as_json: AsJson = False) -> None:
    """Call an agent or a number while the caller hears music; then complete, conference or take-back."""
    _told(call_id, "consult", _given(agent=agent, number=number), as_json)


def listen(
    call_id: str,
    agent: Annotated[str, typer.Argument(help="Whose phone rings")],
    mode: Annotated[str, typer.Option(help="listen, whisper or barge")] = "listen",
    as_json: AsJson = False,
) -> None:
    """Let a supervisor listen, whisper to the agent, or barge in."""
    _told(call_id, "listen", {"agent": agent, "mode": mode}, as_json)


def recordings(call_id: str, as_json: AsJson = False) -> None:
    """What was recorded in a call. The sound is on its ticket."""
    from ivr_engine.cli import show

    found = get(f"{API}/calls/{quote(call_id, safe='')}/recordings")
    if as_json:
        show.as_json(found)
        return
    columns = {
        "id": "id",
        "started_at": "at",
        "agent": "agent",
        "status": "status",
        "seconds": "seconds",
        "size": "bytes",
    }
    show.table(found["items"], columns, "nothing was recorded")


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _told(call_id: str, verb: str, body: Mapping[str, str] | None, as_json: bool) -> None:
    from ivr_engine.cli import show

    call = post(f"{API}/calls/{quote(call_id, safe='')}/{verb}", None if body is None else dict(body))
    if as_json:
        show.as_json(call)
        return
    show.facts({**call, **(call["talk"] or {})}, _CALL)


_CALL: Final = {
    "id": "id",
    "caller": "caller",
    "queue": "queue",
    "state": "state",
    "agent": "agent",
    "on_hold": "on hold",
    "muted": "muted",
    "third_party": "third party",
    "listener": "listener",
    "recording": "recording",
}
