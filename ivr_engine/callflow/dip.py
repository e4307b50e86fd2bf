"""A data dip: somebody else's system is asked about the call, and what it says decides where to."""

from __future__ import annotations

import structlog

from ivr_engine.callflow import ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import LookedUp
from ivr_engine.domain.paths import chosen
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError
from ivr_engine.ports import Leg, Question, Tx
from ivr_engine.site.flows import PLACEHOLDER, Dip
from ivr_engine.site.values import MOST_PRIORITY

log = structlog.get_logger()


async def ask(house: House, leg: Leg, call: Call) -> Call:
    """On by the branch of the answer; without one, or without an answer in time, by ``otherwise``.

    An engine that takes over asks again: what is asked must bear that.
    """
    dip = house.doing(call, Dip)
    try:
        answer = await leg.until(house.lookup.ask(_question(house, call, dip)))
    except ExternalError as error:
        log.warning("dip.failed", node=call.where.node, error=str(error))
        return await house.store.run(lambda tx: _without(house, tx, call, dip))
    return await house.store.run(lambda tx: _with(house, tx, call, dip, answer))


def _question(house: House, call: Call, dip: Dip) -> Question:
    known = {
        **call.where.variables,
        "caller": call.caller or "",
        "number": call.number,
        "language": call.language,
        "call": call.id,
    }
    return Question(
        method=dip.method,
        url=dip.url,
        parameters={name: _filled(text, known) for name, text in dip.parameters.items()},
        token_from=dip.token_from,
        deadline_s=dip.deadline,
    )


def _filled(text: str, known: dict[str, str]) -> str:
    """What is filled in is never filled in again, whatever is in it."""
    return PLACEHOLDER.sub(lambda found: known.get(found[1], ""), text)


def _with(house: House, tx: Tx, call: Call, dip: Dip, answer: object) -> Call:
    current = tx.calls.get(call.id)
    found = {name: value for name, path in dip.set.items() if (value := chosen(answer, path)) is not None}
    priority = _priority(chosen(answer, dip.priority)) if dip.priority else None
    branch = (chosen(answer, dip.branch) or "") if dip.branch else ""
    current = replace(
        current,
        visit=current.where.noting(found),
        priority=current.priority if priority is None else priority,
    )
    going = ways.Going(current, (LookedUp(current.where.node, "answered"),))
    further = ways.go_on(house, tx, current, dip.branches.get(branch, dip.then))
    return going.then(further.call, *further.happenings).stored(house, tx)


def _without(house: House, tx: Tx, call: Call, dip: Dip) -> Call:
    current = tx.calls.get(call.id)
    going = ways.Going(current, (LookedUp(current.where.node, "failed"),))
    further = ways.go_on(house, tx, current, dip.otherwise)
    return going.then(further.call, *further.happenings).stored(house, tx)


def _priority(written: str | None) -> int | None:
    """A whole number within the limits that settings have; anything else is none."""
    try:
        number = int(written or "")
    except ValueError:
        return None
    return number if abs(number) <= MOST_PRIORITY else None
