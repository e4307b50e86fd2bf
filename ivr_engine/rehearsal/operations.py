"""Carries out in a rehearsed centre what staff does, as the API does in a running engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ivr_engine.callflow.commands import CallCommands
from ivr_engine.domain.calls import Call
from ivr_engine.domain.switches import ALL
from ivr_engine.rehearsal.engine import SimEngine
from ivr_engine.rehearsal.staff import Does, Staff
from ivr_engine.web.in_call import WhereTo, WhoListens, Whom

_PLAIN: Final[Mapping[Does, Callable[[CallCommands, str], Awaitable[Call]]]] = {
    "hold": CallCommands.hold,
    "resume": CallCommands.resume,
    "mute": CallCommands.mute,
    "unmute": CallCommands.unmute,
    "complete": CallCommands.complete,
    "take-back": CallCommands.take_back,
    "conference": CallCommands.conference,
    "stop-listening": CallCommands.stop_listening,
    "record": CallCommands.record,
    "stop-recording": CallCommands.stop_recording,
    "cancel-callback": CallCommands.cancel_callback,
}


async def carry_out(what: Staff, engine: SimEngine, call_id: str) -> None:
    """``Refused`` as the API would."""
    commands, body = CallCommands(engine.house), what.body() or {}
    match what.does:
        case "transfer":
            await commands.transfer(call_id, WhereTo.model_validate(body).target())
        case "consult":
            await commands.consult(call_id, Whom.model_validate(body).outside_or_agent())
        case "listen":
            who = WhoListens.model_validate(body)
            await commands.listen(call_id, who.agent, who.mode)
        case "break" | "back" | "wrap-up":
            await _of_agent(what, engine)
        case "close" if what.prompt is not None:
            await engine.switchboard.close(what.queue or ALL, what.prompt)
        case "close":
            await engine.switchboard.close(what.queue or ALL)
        case "open":
            await engine.switchboard.open(what.queue or ALL)
        case plain:
            await _PLAIN[plain](commands, call_id)


async def _of_agent(what: Staff, engine: SimEngine) -> None:
    name = what.agent or ""
    match what.does:
        case "break":
            await engine.desk.take_break(name, what.reason)
        case "wrap-up":
            await engine.desk.wrap_up(name, what.reason)
        case _:
            await engine.desk.come_back(name)
