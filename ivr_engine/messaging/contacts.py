"""Whose a conversation is: looked up when agent and customer are connected, chosen by staff where several
contacts have the number.

Plain functions inside a transaction. What is posted to a CRM before the choice goes out with the ticket; the
choice, posted too, says whose the ticket is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ivr_engine.domain.calls import Call
from ivr_engine.domain.contacts import Contact, Found, Known, Several, Unknown, match
from ivr_engine.domain.events import ContactIdentified, ContactUnclear
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Ticket
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx

MOST_CANDIDATES: Final = 20
"""To choose from: more are no help to anybody."""


def number_of(call: Call) -> str | None:
    """The customer's: the one they are called back at before the one they called from; ``None``: hidden."""
    return call.callback.number if call.callback is not None else call.caller


def settle(tx: Tx, call: Call, found: Sequence[Contact], *, new_id: str, now: datetime) -> None:
    """The call's ticket is the contact's that was ``found``, a new one's, or somebody has to choose.

    ``new_id``: of the contact that is made when nobody has the number.
    """
    ticket, number = call.ticket_id, number_of(call)
    if ticket is None or number is None:
        return
    match match(found):
        case Unknown():
            contact = Contact(
                id=new_id, numbers=(number,), language=call.language, created_at=now, updated_at=now
            )
            tx.contacts.add(contact)
            _is_theirs(tx, ticket, call.id, contact, "created", now)
        case Known(contact=contact):
            contact = contact.called(call.language, now)
            tx.contacts.save(contact)
            _is_theirs(tx, ticket, call.id, contact, "updated", now)
        case Several(candidates=candidates):
            shown = candidates[:MOST_CANDIDATES]
            tx.tickets.belongs_to(ticket, None, tuple(each.id for each in shown))
            tx.events.add(now, call.id, ContactUnclear(len(shown)))


def at_connect(tx: Tx, call: Call, new_id: str, now: datetime) -> None:
    """Agent and customer have just been connected, for the first time in this call."""
    number = number_of(call)
    if number is not None:
        settle(tx, call, tx.contacts.with_number(number), new_id=new_id, now=now)


def known_elsewhere(
    tx: Tx, call: Call, found: Sequence[Found], system: str, *, new_ids: Sequence[str], now: datetime
) -> list[Contact]:
    """What another ``system`` knows of the number, as contacts here: those it was told of before, or new
    ones with ``new_ids``."""
    number = number_of(call) or ""
    mine = [each for each in tx.contacts.with_number(number) if system not in each.external]
    contacts: list[Contact] = []
    for each, new_id in zip(found[:MOST_CANDIDATES], new_ids, strict=False):
        known = tx.contacts.with_external(system, each.external_id)
        if known is None and len(found) == 1 and len(mine) == 1:
            known = mine[0]  # made here when the other system did not know the number yet
        contacts.append(_kept(tx, known, each, system, number, new_id, now))
    return contacts


def _kept(
    tx: Tx, known: Contact | None, found: Found, system: str, number: str, new_id: str, now: datetime
) -> Contact:
    if known is None:
        contact = Contact(
            id=new_id,
            name=found.name,
            numbers=(number,),
            language=found.language,
            created_at=now,
            updated_at=now,
            external={system: found.external_id},
        )
        tx.contacts.add(contact)
        return contact
    contact = replace(
        known, name=found.name or known.name, external={**known.external, system: found.external_id}
    )
    if number not in contact.numbers:
        contact = contact.reached_at(number, now)
    if contact != known:
        tx.contacts.save(contact)
    return contact


def choose(tx: Tx, ticket_id: str, contact_id: str, now: datetime) -> Ticket:
    """By staff: the ticket is this contact's, who has the number from now on. ``Refused(missing)``."""
    ticket, contact = tx.tickets.get(ticket_id), tx.contacts.get(contact_id)
    contact = contact.called(ticket.language, now)
    number = _number_of_ticket(tx, ticket)
    if number is not None:
        contact = contact.reached_at(number, now)
    tx.contacts.save(contact)
    return _chosen(tx, ticket, contact, now)


def choose_new(tx: Tx, ticket_id: str, name: str, *, new_id: str, now: datetime) -> Ticket:
    """By staff: the ticket is somebody's whom nobody knew. ``Refused(missing)``: no such ticket."""
    ticket = tx.tickets.get(ticket_id)
    number = _number_of_ticket(tx, ticket)
    contact = Contact(
        id=new_id,
        name=name,
        numbers=(number,) if number is not None else (),
        language=ticket.language,
        created_at=now,
        updated_at=now,
    )
    tx.contacts.add(contact)
    return _chosen(tx, ticket, contact, now)


def _chosen(tx: Tx, ticket: Ticket, contact: Contact, now: datetime) -> Ticket:
    _is_theirs(tx, ticket.id, ticket.call_id, contact, "chosen", now)
    return replace(ticket, contact_id=contact.id, candidates=())


def _is_theirs(tx: Tx, ticket: str, call: str, contact: Contact, how: str, now: datetime) -> None:
    tx.tickets.belongs_to(ticket, contact.id)
    tx.events.add(now, call, ContactIdentified(contact.id, how))


def _number_of_ticket(tx: Tx, ticket: Ticket) -> str | None:
    """Of its call; of a call that is not kept any more, whoever called."""
    try:
        return number_of(tx.calls.get(ticket.call_id))
    except Refused as refusal:
        if not refusal.missing:
            raise
        return ticket.caller
