"""Tickets with their comments and files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse

from ivr_engine.domain.tickets import TicketFile
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.web import files
from ivr_engine.web.errors import ERRORS, MISSING
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items, TicketItem

router = APIRouter(prefix="/tickets", tags=["tickets"], responses=ERRORS)


@router.get("", summary="Tickets, newest first")
async def list_tickets(
    services: Services,
    caller: Annotated[
        str | None,
        Query(description="Only this caller's. A + that was not escaped is understood.", max_length=40),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest")] = 100,
) -> Items[TicketItem]:
    """With the customer's messages as comments and their pictures as files."""
    number = asked_number(caller, services.site().country) if caller is not None else None
    found = await services.look(lambda tx: tx.tickets.search(caller=number, limit=limit))
    return Items(items=[TicketItem.of(ticket) for ticket in found])


@router.get("/{ticket_id}", summary="One ticket", responses=MISSING)
async def show_ticket(services: Services, ticket_id: str) -> TicketItem:
    """The ticket with its comments and files."""
    return TicketItem.of(await services.look(lambda tx: tx.tickets.get(ticket_id)))


@router.get(
    "/{ticket_id}/files/{file_id}",
    summary="A file of a ticket",
    response_class=FileResponse,
    responses=MISSING | files.ANSWER,
)
async def fetch_file(services: Services, ticket_id: str, file_id: str) -> FileResponse:
    """Always a download, never shown inline."""

    def find(tx: Tx) -> TicketFile:
        file = next((f for f in tx.tickets.get(ticket_id).files if f.id == file_id), None)
        if file is None:
            raise Refused("this ticket has no such file", missing=True)
        return file

    file = await services.look(find)
    return await files.stored(services.media_folder, file.file, file.content_type, file.id)
