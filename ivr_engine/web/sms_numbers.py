"""Numbers of ours: which are verified, who uses them, and the codes that verify them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Final, Protocol

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.number_verification import NumberState
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging.own_numbers import InDoubt, in_doubt, states
from ivr_engine.ports import Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.web.errors import MISSING, NOT_NOW
from ivr_engine.web.health import Check
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.sms_numbers import SmsNumberItem

USAGE: Final = timedelta(days=1)


class Verifying(Protocol):
    """``Refused(missing)`` for a number that the site does not list, ``Refused`` when there were too many
    codes or tries, ``ExternalError`` when the provider does not take a code."""

    async def send_code(self, number: str, by: str) -> NumberState: ...
    async def confirm(self, number: str, code: str, by: str) -> NumberState: ...
    async def declare(self, number: str, by: str) -> NumberState: ...


Look = Callable[[], Awaitable[None]]
"""Ask the provider for every number now; raises ``ExternalError``."""


class Who(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"by": "anna"}]})
    by: Annotated[str, Field(min_length=1, max_length=100, description="Kept with the verification")] = "API"


class EnteredCode(Who):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"code": "482913", "by": "anna"}]}
    )
    code: Annotated[str, Field(min_length=1, max_length=20)]


def sms_numbers_router(verifying: Verifying, look: Look) -> APIRouter:
    """``/sms/numbers``."""
    router = APIRouter(prefix="/sms/numbers", tags=["sms numbers"])

    @router.get("", summary="Numbers of ours")
    async def list_numbers(services: Services) -> Items[SmsNumberItem]:  # pyright: ignore[reportUnusedFunction]
        """Every number that the site names: verified or not, the queues that use it, its rate, and what it
        carried in the last 24 hours."""
        return Items(items=await services.look(lambda tx: _items(tx, services)))

    @router.post("/look", summary="Ask the provider now")
    async def look_now(services: Services) -> Items[SmsNumberItem]:  # pyright: ignore[reportUnusedFunction]
        """Numbers that are in the provider's list are verified by that; it is asked every hour anyway."""
        await look()
        return Items(items=await services.look(lambda tx: _items(tx, services)))

    @router.get("/{number}", summary="One number", responses=MISSING)
    async def show_number(services: Services, number: str) -> SmsNumberItem:  # pyright: ignore[reportUnusedFunction]
        """As in the list."""
        return await _one(services, number)

    @router.post("/{number}/code", summary="Send a code to a number", responses=MISSING | NOT_NOW)
    async def send_code(services: Services, number: str, who: Who) -> SmsNumberItem:  # pyright: ignore[reportUnusedFunction]
        """By SMS. Good for 10 minutes and five tries; one a minute and five a day for each number."""
        await verifying.send_code(number, who.by)
        return await _one(services, number)

    @router.post("/{number}/confirm", summary="Enter the code", responses=MISSING | NOT_NOW)
    async def confirm(services: Services, number: str, entered: EnteredCode) -> SmsNumberItem:  # pyright: ignore[reportUnusedFunction]
        """The number is verified from then on."""
        await verifying.confirm(number, entered.code, entered.by)
        return await _one(services, number)

    @router.post("/{number}/declare", summary="Vouch for a name", responses=MISSING | NOT_NOW)
    async def declare(services: Services, number: str, who: Who) -> SmsNumberItem:  # pyright: ignore[reportUnusedFunction]
        """Only for an alphanumeric sender: no code can be sent there."""
        await verifying.declare(number, who.by)
        return await _one(services, number)

    return router


async def _one(services: WebServices, number: str) -> SmsNumberItem:
    found = await services.look(lambda tx: _items(tx, services))
    item = next((item for item in found if item.number == number), None)
    if item is None:
        raise Refused(f"{number} is not one of the site's numbers", missing=True)
    return item


def _items(tx: Tx, services: WebServices) -> list[SmsNumberItem]:
    site, since = services.site(), services.clock.now() - USAGE
    return [
        SmsNumberItem.of(site, state, tx.messages.carried(state.number, since)) for state in states(tx, site)
    ]


def sms_numbers_check(store: Store, site: Callable[[], Site]) -> Check:
    """Every number that the site uses is verified. Not needed: texts come from another number."""

    doubts: list[InDoubt] = []

    async def probe() -> None:
        doubts.clear()
        doubts.extend(await store.run(lambda tx: in_doubt(tx, site())))
        if doubts:
            raise ExternalError("; ".join(f"{doubt.why}: {doubt.remedy}" for doubt in doubts))

    def trouble() -> str:
        """For anybody: no number."""
        if not doubts:
            return "the store does not say which numbers are verified"
        return "a number that texts come from is not verified: GET /api/v1/sms/numbers"

    return Check("sms numbers", probe, trouble, needed=False)
