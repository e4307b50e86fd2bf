"""Hours, notes and data dips: what decides where a flow leads to before anything is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import (
    LookedUp,
    QueueClosed,
)
from tests.flow.centre import contact_centre, virtual
from tests.flow.crashes import restart
from tests.flow.menus import FLOW, NODES, SITE, changed, in_main_menu, prompts

OPEN: dict[str, Any] = {"time_zone": "UTC", "hours": {"mon-sun": ["00:00-24:00"]}}
SHUT: dict[str, Any] = {"time_zone": "UTC", "hours": {}}
HOLIDAY: dict[str, Any] = {
    "time_zone": "UTC",
    "hours": {},
    "holidays": [{"name": "All year", "from": "01-01", "to": "12-31"}],
}


@virtual
async def test_hours_decide_where_to_before_anything_is_said() -> None:
    by_hours = {"hours": {"schedule": "office", "open": "main", "closed": "bye", "holiday": "hours-told"}}
    for schedule, prompt in ((OPEN, "main_menu"), (SHUT, "goodbye"), (HOLIDAY, "opening_hours")):
        flow = FLOW | {"start": "when", "nodes": NODES | {"when": by_hours}}
        async with contact_centre(
            **SITE | {"flows": {"main": flow}, "schedules": {"office": schedule}}
        ) as centre:
            centre.engine()
            caller = await centre.call("100")
            await caller.hears_prompt(prompt, within_s=1)
            assert prompts(caller) == [prompt]


def closed_sales() -> dict[str, Any]:
    queues = {name: {"label": name, "schedule": "office"} for name in ("support", "sales")}
    return {"queues": queues, "schedules": {"office": SHUT}}


@virtual
async def test_a_closed_queue_says_so_and_hangs_up() -> None:
    async with contact_centre(**SITE | closed_sales()) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        caller.press("1")
        await caller.hears_prompt("closed", within_s=1)
        assert (await centre.row(caller)).chapter is Chapter.LEAVING
        await engine.crash()
        await restart(centre, engine)
        await caller.hears_times("closed", 2, within_s=1)
        await caller.ended()
        row = await centre.row(caller)
        assert (row.queue, row.end_reason, row.entered_at) == ("support", EndReason.SAID_GOODBYE, None)
        assert QueueClosed("support") in await centre.happened(caller)
        direct = await centre.call("700")
        await direct.hears_prompt("closed", within_s=1)
        await direct.ended()
        assert "music" not in direct.ears.sounds
        await centre.nothing_left()


@virtual
async def test_a_flow_may_know_another_way_when_the_queue_is_closed() -> None:
    elsewhere = {"queue": {"name": "support", "closed": "hours-told"}}
    changes = changed(support=elsewhere) | closed_sales()
    async with contact_centre(**changes) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        caller.press("1")
        await caller.hears_prompt("opening_hours", within_s=1)
        await caller.hears_times("main_menu", 2)
        assert (await centre.row(caller)).queue == ""


@virtual
async def test_what_is_noted_stays_with_the_call() -> None:
    note = {"set": {"priority": 3, "variables": {"topic": "lamp"}, "language": "de", "then": "sales"}}
    async with contact_centre(**changed(**{"sales-menu": note})) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("music", within_s=1)
        row = await centre.row(caller)
        assert (row.queue, row.priority, row.language) == ("sales", 3, "de")
        assert row.where.variables == {"topic": "lamp"}


# ── data dips ────────────────────────────────────────────────────────────────────────────────────

CRM = "https://crm.example.org/caller"


def dipping(**dip: Any) -> dict[str, Any]:
    node = {
        "url": CRM,
        "parameters": {"phone": "{caller}", "topic": "{topic}"},
        "set": {"name": "customer.name", "callback": "customer.phones.0"},
        "priority": "customer.priority",
        "branch": "customer.tier",
        "branches": {"gold": "sales"},
        "then": "support",
        "otherwise": "bye",
    } | dip
    note = {"set": {"variables": {"topic": "{caller} & co"}, "then": "dip"}}
    return changed(**{"sales-menu": note, "dip": {"dip": node}})


@virtual
async def test_the_answer_of_a_dip_is_noted_and_decides_where_to() -> None:
    async with contact_centre(**dipping()) as centre:
        centre.engine()
        customer = {"name": "Ada\n\x1b[2J", "phones": ["+4930901820"], "priority": 4, "tier": "gold"}
        centre.lookup.answers[CRM] = {"customer": customer}
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("music", within_s=1)
        row = await centre.row(caller)
        assert (row.queue, row.priority) == ("sales", 4)
        assert row.where.variables["name"] == "Ada [2J"
        assert row.where.variables["callback"] == "+4930901820"
        [asked] = centre.lookup.asked
        assert asked.parameters == {"phone": row.caller, "topic": "{caller} & co"}, "filled in once"
        assert LookedUp("dip", "answered") in await centre.happened(caller)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "x",
        5,
        {"customer": []},
        {"customer": {"priority": "10000", "tier": ["gold"], "name": {}}},
    ],
)
@virtual
async def test_an_answer_with_nothing_of_use_goes_on(answer: object) -> None:
    async with contact_centre(**dipping()) as centre:
        centre.engine()
        centre.lookup.answers[CRM] = answer
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("music", within_s=1)
        row = await centre.row(caller)
        assert (row.queue, row.priority, set(row.where.variables)) == ("support", 0, {"topic"})


@virtual
async def test_no_answer_in_time_is_the_other_way_and_a_crash_asks_again() -> None:
    async with contact_centre(**dipping()) as centre:
        engine = centre.engine()
        centre.lookup.after_s = 60
        caller = await in_main_menu(centre)
        caller.press("2")
        await asyncio.sleep(1)
        assert (await centre.row(caller)).chapter is Chapter.DIP
        await engine.crash()
        await restart(centre, engine)
        await caller.hears_prompt("goodbye", within_s=3.5)
        assert len(centre.lookup.asked) == 2
        assert LookedUp("dip", "failed") in await centre.happened(caller)
