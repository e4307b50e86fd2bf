"""Out of a line without an agent: to another queue, through a flow, or to the last words.

Callers are called from their seats when that may be due; whether it is, is decided here, from what is stored.
"""

from __future__ import annotations

import structlog

from ivr_engine.callflow import ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import LineLeft
from ivr_engine.domain.leaving import Situation, Why, why_leave
from ivr_engine.domain.menu import MenuState
from ivr_engine.domain.records import replace
from ivr_engine.domain.switches import closed_by
from ivr_engine.domain.visit import Visit
from ivr_engine.ports import Presence, Tx
from ivr_engine.site.lines import WayOut

log = structlog.get_logger()

_SOMEBODY = Presence(1, None)


async def if_due(house: House, call: Call) -> Call:
    """The call where it goes on, or as it was: at its place in the line."""
    return await house.store.run(lambda tx: stored_if_due(house, tx, tx.calls.get(call.id)))


def stored_if_due(house: House, tx: Tx, call: Call) -> Call:
    """Likewise, for what else is decided in the same transaction."""
    why = _why(house, tx, call) if call.may_be_offered else None
    if why is None:
        return call
    log.info("line.left", queue=call.queue, why=why)
    return _led_out(house, tx, call, why).stored(house, tx)


def lead_out(house: House, tx: Tx, call: Call, way: WayOut, why: str) -> ways.Going:
    """A waiting call on its way out; the time waited counts on in another queue."""
    left = ways.Going(call.left_line(), (LineLeft(call.queue, why),))
    if way.queue is not None:
        return ways.into_line(house, tx, left, way.queue, house.clock.now())
    if way.flow is not None:
        start = house.site.flows[way.flow].start
        variables = call.visit.variables if call.visit else {}
        visit = Visit(flow=way.flow, node=start, menu=MenuState(house.clock.now()), variables=dict(variables))
        further = ways.go_on(house, tx, replace(left.call, visit=visit), start)
        return left.then(further.call, *further.happenings)
    return ways.last_words(left, call.queue, way.words or "goodbye")


def _why(house: House, tx: Tx, call: Call) -> Why | None:
    limits, now = house.site.leave_limits(call.queue), house.clock.now()
    there = _SOMEBODY
    if limits.no_agents_s is not None:
        there = tx.agents.presence(house.site.able_to_serve(call.queue))
    situation = Situation(
        joined_at=call.routing.joined_at or call.entered_at or now,
        closed=closed_by(tx.queues.switches(), call.queue) is not None,
        staffed=there.signed_in > 0,
        last_left=there.last_left,
    )
    return why_leave(limits, situation, now)


def _led_out(house: House, tx: Tx, call: Call, why: Why) -> ways.Going:
    queue = house.site.queue(call.queue)
    way = {Why.MAXIMUM_WAIT: queue.maximum_wait, Why.NO_AGENTS: queue.no_agents}.get(why)
    if way is not None:
        return lead_out(house, tx, call, way, why)
    switch = closed_by(tx.queues.switches(), call.queue)
    left = ways.Going(call.left_line(), (LineLeft(call.queue, why),))
    return ways.last_words(left, call.queue, switch.prompt if switch else "emergency")


def is_out(before: Call, now: Call) -> bool:
    """Not in the line any more in which it stood before."""
    return now.chapter is Chapter.ENDED or now.in_flow or now.queue != before.queue
