"""Tickets of calls that nobody took, where a text decides: one that comes after the end opens the ticket that
the call would have got, had it come before; and one may be what ends it."""

from __future__ import annotations

from datetime import datetime

from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import TicketOpened
from ivr_engine.domain.messages import Direction
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import is_abandoned, ticket_for
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site


def open_late(tx: Tx, call: Call, site: Site, now: datetime) -> None:
    """If ``call`` has ended, and the site wants tickets of such calls; its messages are stored."""
    rule = site.abandoned_tickets_of(call.queue)
    if rule == "never" or call.ended_at is None or not is_abandoned(call):
        return
    messages = tx.messages.of_call(call.id)
    if rule == "only_with_sms" and not any(each.direction is Direction.INBOUND for each in messages):
        return
    ticket = ticket_for(call, messages, id=f"t-{call.id}", now=now)
    tx.tickets.add(ticket)
    tx.calls.save(replace(call, ticket_id=ticket.id))
    for message in messages:
        tx.messages.save(replace(message, ticket_id=ticket.id))
    tx.events.add(now, call.id, TicketOpened(ticket.id))
