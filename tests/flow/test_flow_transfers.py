"""Callers whom a flow transfers to a number outside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.events import (
    CallTransferred,
    TransferFailed,
    TransferRefused,
    TransferStarted,
)
from ivr_engine.sim.people import Caller, answers, busy, declines, does_not_answer
from tests.flow.centre import Centre, contact_centre, virtual
from tests.flow.crashes import restart
from tests.flow.menus import changed, in_main_menu

OUTSIDE = "+4930901820"
TRANSFER: dict[str, Any] = {"transfer": {"number": OUTSIDE, "ring_time": 10, "otherwise": "bye"}}


def transferring(**node: Any) -> dict[str, Any]:
    transfer = TRANSFER["transfer"] | node
    return changed(**{"sales-menu": {"transfer": transfer}}) | {
        "transfers": {"trunk": "outside", "allow": ["+4930"]}
    }


async def at_the_transfer(centre: Centre) -> Caller:
    caller = await in_main_menu(centre)
    caller.press("2")
    return caller


@virtual
async def test_a_caller_is_transferred_and_either_may_hang_up() -> None:
    async with contact_centre(**transferring()) as centre:
        centre.engine()
        outside = centre.phone(OUTSIDE, answers(3.0, talks_s=5.0), answers(3.0))
        caller = await at_the_transfer(centre)
        await outside.rings()
        assert caller.hears_now == "music"
        await caller.hears_prompt("agent")
        assert outside.hears_now == "caller"
        assert (await centre.row(caller)).state == "transferred"
        await caller.ended()
        assert (await centre.row(caller)).end_reason is EndReason.TRANSFER_OVER
        happened = await centre.happened(caller)
        assert [h for h in happened if isinstance(h, TransferStarted | CallTransferred)] == [
            TransferStarted(OUTSIDE),
            CallTransferred(OUTSIDE),
        ]
        again = await centre.call("100")
        await again.hears_prompt("main_menu")
        again.press("2")
        await again.hears_prompt("agent")
        again.hang_up()
        await outside.is_free(within_s=1)
        await centre.nothing_left()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(busy(), "busy"), (declines(), "declined"), (does_not_answer, "no_answer"), (None, "unreachable")],
)
@virtual
async def test_a_transfer_that_fails_goes_on_by_the_other_way(behaviour: Any, reason: str) -> None:
    async with contact_centre(**transferring()) as centre:
        centre.engine()
        if behaviour is not None:
            centre.phone(OUTSIDE, behaviour)
        caller = await at_the_transfer(centre)
        await caller.hears_prompt("goodbye", within_s=12)
        assert TransferFailed(OUTSIDE, reason) in await centre.happened(caller)
        await caller.ended()
        await centre.nothing_left()


@virtual
async def test_after_a_transfer_that_failed_a_menu_is_without_music() -> None:
    async with contact_centre(**transferring(otherwise="main")) as centre:
        engine = centre.engine()
        outside = centre.phone(OUTSIDE, busy())
        caller = await at_the_transfer(centre)
        await caller.hears_times("main_menu", 2)
        await caller.hears_no_more("main_menu")
        assert caller.hears_now == "silence"
        caller.press("2")
        await outside.rings()
        await engine.crash()
        await restart(centre, engine)
        await caller.hears_times("main_menu", 3)
        await caller.hears_no_more("main_menu")
        assert caller.hears_now == "silence"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("112", "emergency"),
        ("+49110", "emergency"),
        ("+499001234567", "premium"),
        ("+498912345678", "not_allowed"),
        ("500&PJSIP/anna", "no_number"),
        ("", "no_number"),
    ],
)
@virtual
async def test_what_may_not_be_dialled_is_not_and_is_recorded(number: str, reason: str) -> None:
    changes = transferring(number="{callback}")
    nodes = changes["flows"]["main"]["nodes"]
    nodes["noted"] = nodes["sales-menu"]
    nodes["sales-menu"] = {"set": {"variables": {"callback": number}, "then": "noted"}}
    async with contact_centre(**changes) as centre:
        centre.engine()
        phone = centre.phone(number, answers(1.0))
        caller = await at_the_transfer(centre)
        await caller.hears_prompt("goodbye", within_s=1)
        assert TransferRefused(number, reason) in await centre.happened(caller)
        assert phone.calls == []


@pytest.mark.parametrize("talking", [False, True])
@virtual
async def test_a_transfer_outlives_the_engine(talking: bool) -> None:
    async with contact_centre(**transferring()) as centre:
        engine = centre.engine()
        outside = centre.phone(OUTSIDE, answers(5.0, talks_s=20.0))
        caller = await at_the_transfer(centre)
        await outside.rings()
        if talking:
            await caller.hears_prompt("agent")
            await asyncio.sleep(0.1)
        await engine.crash()
        await restart(centre, engine)
        await caller.hears_prompt("agent")
        await caller.ended()
        assert len(outside.calls) == 1
        assert (await centre.row(caller)).end_reason is EndReason.TRANSFER_OVER
        await centre.nothing_left()
