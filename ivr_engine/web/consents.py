"""The consent ledger, to be read: it is only ever added to, by calls and by whoever withdraws."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from ivr_engine.domain.events import ProofsExported
from ivr_engine.web import exports
from ivr_engine.web.errors import ERRORS
from ivr_engine.web.exports import AsFormat, Format
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.opt_outs import API_CLIENT
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import ConsentItem, Items

router = APIRouter(prefix="/consents", tags=["consents"], responses=ERRORS)


@router.get("", summary="Consents, newest first")
async def list_consents(
    services: Services,
    number: Annotated[
        str | None,
        Query(description="Only this number's. A + that was not escaped is understood.", max_length=40),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many, the newest")] = 1000,
) -> Items[ConsentItem]:
    """Who was asked what in which words, and which key was pressed: the proof."""
    wanted = asked_number(number, services.site().country) if number is not None else None
    found = await services.look(lambda tx: tx.consents.search(number=wanted, limit=limit))
    return Items(items=[ConsentItem.of(record) for record in found])


@router.get(
    "/export", summary="The ledger as a file", response_class=StreamingResponse, responses=exports.ANSWER
)
async def export_consents(
    services: Services,
    as_format: AsFormat = Format.CSV,
    number: Annotated[
        str | None, Query(description="Only this number's, also once it was erased", max_length=40)
    ] = None,
) -> StreamingResponse:
    """Every line, oldest first, with the exact wording heard: as CSV or JSON lines."""
    wanted = asked_number(number, services.site().country) if number is not None else None
    now, told = services.clock.now(), ProofsExported("consents", number is not None, API_CLIENT)
    await services.done(services.store.run(lambda tx: tx.events.add(now, None, told)))
    return exports.export(
        services,
        "consents",
        tuple(ConsentItem.model_fields),
        lambda tx, after, limit: tx.consents.page(after, limit, number=wanted),
        lambda record: ConsentItem.of(record).model_dump(),
        lambda record: (record.at, record.id),
        as_format,
    )
