"""The consent ledger, to be read: it is only ever added to, and only by calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ivr_engine.web.errors import ERRORS
from ivr_engine.web.numbers import asked_number
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
    found = await services.read(lambda tx: tx.consents.search(number=wanted, limit=limit))
    return Items(items=[ConsentItem.of(record) for record in found])
