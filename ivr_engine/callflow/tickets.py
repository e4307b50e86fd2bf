"""Opening a call's ticket: when an agent is connected, or at the end of a call that no agent took."""

from __future__ import annotations

from datetime import datetime

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import TicketOpened
from ivr_engine.domain.messages import Direction
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import is_abandoned, ticket_for
from ivr_engine.ports import Tx


def open_for(tx: Tx, call: Call, ticket_id: str, now: datetime) -> None:
    """With what was written so far; ``call`` names it already."""
    messages = tx.messages.of_call(call.id)
    tx.tickets.add(ticket_for(call, messages, id=ticket_id, now=now))
    for message in messages:
        tx.messages.save(replace(message, ticket_id=ticket_id))
    tx.events.add(now, call.id, TicketOpened(ticket_id))


def if_abandoned(house: House, tx: Tx, call: Call, now: datetime) -> Call:
    """``call``, which has ended, with a ticket where the site wants one of such calls. Not stored here."""
    rule = house.site.abandoned_tickets_of(call.queue)
    if rule == "never" or not is_abandoned(call):
        return call
    if rule == "only_with_sms" and not _has_written(tx, call):
        return call
    call = replace(call, ticket_id=house.new_id())
    open_for(tx, call, call.ticket_id or "", now)
    return call


def _has_written(tx: Tx, call: Call) -> bool:
    return any(message.direction is Direction.INBOUND for message in tx.messages.of_call(call.id))
