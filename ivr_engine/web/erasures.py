"""Forgetting a number: asking for it, and seeing what came of it."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import APIRouter, Query

from ivr_engine.domain.opt_outs import Erasure
from ivr_engine.errors import Refused
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.opt_outs import meant, who
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.privacy import ErasureItem, Forgetting


class Erasures(Protocol):
    async def ask(self, number: str, actor: str) -> Erasure: ...


def erasures_router(erasures: Erasures) -> APIRouter:
    router = APIRouter(prefix="/erasures", tags=["erasures"], responses=ERRORS)

    @router.get("", summary="Numbers that were to be forgotten, newest first")
    async def list_erasures(
        services: Services,
        limit: Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest")] = 100,
    ) -> Items[ErasureItem]:
        """With what was deleted of each."""
        found = await services.look(lambda tx: tx.erasures.newest(limit))
        return Items(items=[ErasureItem.of(one) for one in found])

    @router.post("", summary="Forget a number", status_code=202, responses=MISSING | NOT_NOW)
    async def ask(services: Services, told: Forgetting) -> ErasureItem:
        """Messages, pictures, tickets, recordings and what is known of the caller are deleted in the
        background; calls stay to be counted, without the number; consents and opt-outs stay as proof, under a
        pseudonym. What is under way ends first."""
        actor = who(services, told.agent)
        number, site = meant(services, told.number), services.site()
        if number in {site.sms.sender, *site.sms_numbers, *site.numbers}:
            raise Refused("that is a number of the site's own: all its messages would go")
        return ErasureItem.of(await services.done(erasures.ask(number, actor)))

    @router.get("/{erasure_id}", summary="How far it is", responses=MISSING)
    async def show(services: Services, erasure_id: str) -> ErasureItem:
        return ErasureItem.of(await services.look(lambda tx: tx.erasures.get(erasure_id)))

    return router
