"""Commands of agents and supervisors: breaks, wrap-up, the emergency switch of queues."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from ivr_engine.cli.asking import API, AsJson, post, show_agent

Reason = Annotated[str | None, typer.Option(help="One of those that the site names")]
Prompt = Annotated[str | None, typer.Option(help="What callers hear, in place of 'emergency'")]
Queue = Annotated[str | None, typer.Argument(help="Not given: all of them")]


def add_to(agents: typer.Typer, queues: typer.Typer) -> None:
    """The commands of this module."""
    agents.command("break")(take_break)
    agents.command("back")(back)
    agents.command("wrap-up")(wrap_up)
    queues.command("close")(close)
    queues.command("open")(open_again)


def take_break(name: str, reason: Reason = None, as_json: AsJson = False) -> None:
    """No calls until the agent is back; during a call: when it is over."""
    show_agent(post(f"{_agent(name)}/break", {"reason": reason}), as_json)


def back(name: str, as_json: AsJson = False) -> None:
    """Back from a break, or after a call that the agent did not take."""
    show_agent(post(f"{_agent(name)}/back"), as_json)


def wrap_up(name: str, reason: Reason = None, as_json: AsJson = False) -> None:
    """End the wrap-up, and say what the call was about."""
    show_agent(post(f"{_agent(name)}/wrap-up", {"reason": reason}), as_json)


def close(name: Queue = None, prompt: Prompt = None, as_json: AsJson = False) -> None:
    """Close a queue, or all, in an emergency: callers hear a message and are hung up on."""
    _switched(post(f"{_queue(name)}/close", {"prompt": prompt}), name, as_json)


def open_again(name: Queue = None, as_json: AsJson = False) -> None:
    """Open a queue again, or all that were closed together."""
    _switched(post(f"{_queue(name)}/open"), name, as_json)


def _agent(name: str) -> str:
    return f"{API}/agents/{quote(name, safe='')}"


def _queue(name: str | None) -> str:
    return f"{API}/queues" if name is None else f"{API}/queues/{quote(name, safe='')}"


def _switched(answer: dict[str, Any], name: str | None, as_json: bool) -> None:
    from ivr_engine.cli import show

    if as_json:
        show.as_json(answer)
    elif name is not None:
        show.facts(answer, {"name": "name", "closed": "closed", "waiting": "waiting"})
    else:
        columns = {"queue": "queue", "prompt": "callers hear", "since": "since"}
        closed = [item | {"queue": item["queue"] or "all"} for item in answer["items"]]
        show.table(closed, columns, "no queue is closed")
