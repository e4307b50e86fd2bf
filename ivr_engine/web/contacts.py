"""Contacts of the built-in CRM, and whose a ticket is."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query

from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.messages import printable
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Ticket
from ivr_engine.messaging.contacts import choose, choose_new
from ivr_engine.ports import Tx
from ivr_engine.web.errors import ERRORS, MISSING
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.contacts import (
    ChangedContact,
    Chosen,
    ContactChoice,
    ContactItem,
    NewContact,
)

router = APIRouter(tags=["contacts"], responses=ERRORS)


@router.get("/contacts", summary="Contacts, last spoken with first")
async def list_contacts(
    services: Services,
    number: Annotated[
        str | None,
        Query(
            description="Only those with this number. A + that was not escaped is understood.", max_length=40
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 100,
) -> Items[ContactItem]:
    """Who is known, with their numbers."""
    wanted = asked_number(number, services.site().country) if number is not None else None

    def find(tx: Tx) -> list[Contact]:
        return tx.contacts.search(limit) if wanted is None else tx.contacts.with_number(wanted)[:limit]

    return Items(items=[ContactItem.of(each) for each in await services.look(find)])


@router.post("/contacts", summary="A new contact", status_code=201)
async def add_contact(services: Services, body: NewContact) -> ContactItem:
    """A number may be several contacts': then an agent is asked who it is."""
    now = services.clock.now()
    contact = Contact(
        id=uuid.uuid4().hex,
        name=printable(body.name).strip(),
        numbers=_numbers(services, body.numbers),
        language=body.language,
        created_at=now,
        updated_at=now,
        external=body.external,
    )
    await services.done(services.store.run(lambda tx: tx.contacts.add(contact)))
    return ContactItem.of(contact)


@router.get("/contacts/{contact_id}", summary="One contact", responses=MISSING)
async def show_contact(services: Services, contact_id: str) -> ContactItem:
    """With every number, and what other systems call them."""
    return ContactItem.of(await services.look(lambda tx: tx.contacts.get(contact_id)))


@router.patch("/contacts/{contact_id}", summary="Change a contact", responses=MISSING)
async def change_contact(services: Services, contact_id: str, body: ChangedContact) -> ContactItem:
    """What is not named stays as it is."""
    now = services.clock.now()
    changes = body.model_dump(exclude_none=True)
    if body.name is not None:
        changes["name"] = printable(body.name).strip()
    if body.numbers is not None:
        changes["numbers"] = _numbers(services, body.numbers)

    def write(tx: Tx) -> Contact:
        contact = replace(tx.contacts.get(contact_id), **changes, updated_at=now)
        tx.contacts.save(contact)
        return contact

    return ContactItem.of(await services.done(services.store.run(write)))


@router.delete("/contacts/{contact_id}", summary="Delete a contact", status_code=204, responses=MISSING)
async def delete_contact(services: Services, contact_id: str) -> None:
    """Its tickets stay, and are nobody's."""
    await services.done(services.store.run(lambda tx: tx.contacts.remove(contact_id)))


@router.get("/tickets/{ticket_id}/contact", summary="Whose a ticket is, or may be", responses=MISSING)
async def show_choice(services: Services, ticket_id: str) -> ContactChoice:
    """With the candidates as long as one is to be chosen."""
    return await services.look(lambda tx: _choice(tx, tx.tickets.get(ticket_id)))


@router.post("/tickets/{ticket_id}/contact", summary="Say whose a ticket is", responses=MISSING)
async def choose_contact(services: Services, ticket_id: str, body: Chosen) -> ContactChoice:
    """One of the candidates, another contact, or somebody new. What was posted to CRMs before is put right by
    a `contact.chosen`."""
    now, new_id = services.clock.now(), uuid.uuid4().hex

    def write(tx: Tx) -> ContactChoice:
        if body.contact_id is not None:
            return _choice(tx, choose(tx, ticket_id, body.contact_id, now))
        name = printable(body.new or "").strip()
        return _choice(tx, choose_new(tx, ticket_id, name, new_id=new_id, now=now))

    return await services.done(services.store.run(write))


def _choice(tx: Tx, ticket: Ticket) -> ContactChoice:
    contact = next(iter(tx.contacts.some([ticket.contact_id] if ticket.contact_id else [])), None)
    return ContactChoice(
        contact=contact and ContactItem.of(contact),
        candidates=[ContactItem.of(each) for each in tx.contacts.some(ticket.candidates)],
    )


def _numbers(services: WebServices, written: list[str]) -> tuple[str, ...]:
    """In E.164 where they are numbers, each once."""
    country = services.site().country
    return tuple(dict.fromkeys(asked_number(printable(each), country) for each in written))
