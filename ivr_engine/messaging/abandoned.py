"""Texts that come when nobody took the call and it has ended: the first one opens the ticket that the call
would have got, had it come before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import TicketOpened
from ivr_engine.domain.tickets import is_abandoned, ticket_for
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site


def open_late(tx: Tx, call: Call, site: Site, now: datetime) -> None:
    """Where the site wants tickets of such calls when SMS data was received; its messages are stored."""
    wanted = call.ended_at is not None and site.abandoned_tickets_of(call.queue) == "only_with_sms"
    if not wanted or not is_abandoned(call):
        return
    messages = tx.messages.of_call(call.id)
    ticket = ticket_for(call, messages, id=f"t-{call.id}", now=now)
    tx.tickets.add(ticket)
    tx.calls.save(replace(call, ticket_id=ticket.id))
    for message in messages:
        tx.messages.save(replace(message, ticket_id=ticket.id))
    tx.events.add(now, call.id, TicketOpened(ticket.id))
