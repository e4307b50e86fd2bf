"""The systems that are told about conversations: how far they are, and what they would not take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ivr_engine.domain.crm import Backlog
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.web.errors import ERRORS, MISSING
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.crm import CrmItem, DeadLetterItem, HowMany, OneLetter, Which

router = APIRouter(prefix="/crm", tags=["crm"], responses=ERRORS)


@router.get("", summary="CRMs, and what they do not have yet")
async def list_crms(services: Services) -> Items[CrmItem]:
    """The one built in, and the webhooks of the site."""

    def find(tx: Tx) -> list[tuple[str, Backlog]]:
        names = {*tx.deliveries.adapters(), *(each.adapter for each in tx.deliveries.dead(limit=1000))}
        names -= {name for name in names if " " in name}  # a cursor that is no CRM's
        return [(name, tx.deliveries.backlog(name)) for name in sorted(names)]

    return Items(items=[CrmItem.of(name, backlog) for name, backlog in await services.look(find)])


@router.get("/dead", summary="Postings that were given up")
async def list_dead(
    services: Services,
    crm: Annotated[str | None, Query(description="Only this one's", max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many, the oldest")] = 100,
) -> Items[DeadLetterItem]:
    """Refused by the other side, or tried too often."""
    found = await services.look(lambda tx: tx.deliveries.dead(crm, limit))
    return Items(items=[DeadLetterItem.of(each) for each in found])


@router.post("/replay", summary="Try dead letters again", responses=MISSING)
async def replay(services: Services, which: Which) -> HowMany:
    """All, a CRM's, or one; under the same ids. They come after what was sent meanwhile."""

    def write(tx: Tx) -> int:
        letters = tx.deliveries.replay(services.clock.now(), which.crm, which.id)
        if which.id is not None and not letters:
            raise Refused(f"there is no dead letter {which.id}", missing=True)
        return letters

    return HowMany(letters=await services.done(services.store.run(write)))


@router.post("/drop", summary="Give a dead letter up for good", responses=MISSING)
async def drop(services: Services, which: OneLetter) -> HowMany:
    """It is forgotten; the CRM never has it."""

    def write(tx: Tx) -> None:
        if not tx.deliveries.drop(which.crm, which.id):
            raise Refused(f"{which.crm} has no dead letter {which.id}", missing=True)

    await services.done(services.store.run(write))
    return HowMany(letters=1)
