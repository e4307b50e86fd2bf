"""The opt-out list: who is on it, putting somebody on it, taking somebody off, and all of it as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from ivr_engine.domain.events import ProofsExported
from ivr_engine.domain.numbers import to_e164
from ivr_engine.domain.opt_outs import How, OptOut, Said
from ivr_engine.errors import Refused
from ivr_engine.messaging import opt_outs
from ivr_engine.ports import Tx
from ivr_engine.web import exports
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.exports import AsFormat, Format
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.privacy import Instruction, OptOutItem

router = APIRouter(prefix="/opt-outs", tags=["opt-outs"], responses=ERRORS)

API_CLIENT = "api"
_COLUMNS = (
    *("id", "number", "since", "how", "wording", "actor", "language"),
    *("resumed_at", "resumed_how", "resumed_wording", "resumed_actor"),
)


def who(services: WebServices, agent: str | None) -> str:
    """Whose instruction it is. ``Refused(missing)`` for an agent whom the site does not know."""
    if agent is not None and agent not in services.site().agents:
        raise Refused(f"the site has no agent {agent!r}", missing=True)
    return agent or API_CLIENT


def meant(services: WebServices, written: str) -> str:
    """``Refused`` for what is no phone number at all."""
    number = asked_number(written, services.site().country)
    if not number.removeprefix("+").isdigit():
        raise Refused("that is no phone number")
    return number


def _may_get_texts(services: WebServices, written: str) -> None:
    """``Refused`` for a slip of the pen: whoever was meant would get texts all the same."""
    number = meant(services, written)
    short = re.fullmatch(r"[1-9][0-9]{2,7}", number) is not None
    if not short and to_e164(number, services.site().country) != number:
        raise Refused("there is no such phone number: check the country code and count the digits")


@router.get("", summary="Opt-outs, newest first")
async def list_opt_outs(
    services: Services,
    number: Annotated[
        str | None,
        Query(description="Only this number's, also once it was erased", max_length=40),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many, the newest")] = 1000,
) -> Items[OptOutItem]:
    """Also those that have ended: ``resumed`` says since when."""
    wanted = asked_number(number, services.site().country) if number is not None else None
    found = await services.look(lambda tx: tx.opt_outs.search(number=wanted, limit=limit))
    return Items(items=[OptOutItem.of(one) for one in found])


@router.post("", summary="Opt a number out", status_code=201, responses=MISSING | NOT_NOW)
async def opt_out(services: Services, told: Instruction) -> OptOutItem:
    """Nothing is sent to it any more, by any sender; its consent is withdrawn. Nothing is written to it about
    that. 409 when it is opted out already, or no number that there is."""
    _may_get_texts(services, told.number)
    done = await _told(services, told, opt_outs.opt_out)
    if done is None:
        raise Refused("this number is opted out already")
    return OptOutItem.of(done)


@router.post("/resume", summary="Send to a number again", responses=MISSING | NOT_NOW)
async def resume(services: Services, told: Instruction) -> OptOutItem:
    """For somebody who asked for it. The consent that was withdrawn stays so: the caller is asked again. 409
    when it is not opted out."""
    done = await _told(services, told, opt_outs.resume)
    if done is None:
        raise Refused("this number is not opted out")
    return OptOutItem.of(done)


@router.get(
    "/export", summary="All of them as a file", response_class=StreamingResponse, responses=exports.ANSWER
)
async def export_opt_outs(services: Services, as_format: AsFormat = Format.CSV) -> StreamingResponse:
    """Oldest first, as CSV or JSON lines."""
    now = services.clock.now()
    told = ProofsExported("opt_outs", of_one_number=False, actor=API_CLIENT)
    await services.done(services.store.run(lambda tx: tx.events.add(now, None, told)))
    return exports.export(
        services,
        "opt-outs",
        _COLUMNS,
        lambda tx, after, limit: tx.opt_outs.page(after, limit),
        _row,
        lambda one: (one.said.at, one.id),
        as_format,
    )


async def _told(
    services: WebServices, told: Instruction, do: Callable[[Tx, str, Said], OptOut | None]
) -> OptOut | None:
    actor = who(services, told.agent)
    how = How.STAFF if told.agent is not None else How.API
    said = Said(at=services.clock.now(), how=how, wording=told.note, actor=actor)
    number = meant(services, told.number)
    return await services.done(services.store.run(lambda tx: do(tx, number, said)))


def _row(one: OptOut) -> dict[str, Any]:
    resumed = one.resumed
    return {
        "id": one.id,
        "number": one.number,
        "since": one.said.at,
        "how": one.said.how.value,
        "wording": one.said.wording,
        "actor": one.said.actor,
        "language": one.language,
        "resumed_at": resumed and resumed.at,
        "resumed_how": resumed and resumed.how.value,
        "resumed_wording": resumed and resumed.wording,
        "resumed_actor": resumed and resumed.actor,
    }
