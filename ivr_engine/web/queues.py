"""Queues, as they are now."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.switches import ALL, Switch, closed_by
from ivr_engine.domain.wait_watch import Accuracy, Of, QueueWaits
from ivr_engine.domain.waiting import line
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site
from ivr_engine.web.errors import ERRORS, MISSING
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import ClosedItem, Closing, EstimatedWait, Items, QueueItem, WaitAccuracy

router = APIRouter(prefix="/queues", tags=["queues"], responses=ERRORS)


@router.get("", summary="Queues")
async def list_queues(services: Services) -> Items[QueueItem]:
    """Every queue of the site: who waits, how long, and its agents by state."""
    calls, agents, closed = await services.look(_now)
    await services.done(services.estimates.refresh())
    site = services.site()
    return Items(items=[_item(services, site, name, calls, agents, closed) for name in sorted(site.queues)])


@router.post("/close", summary="Close all queues", responses=MISSING)
async def close_all(services: Services, closing: Closing | None = None) -> Items[ClosedItem]:
    """For an emergency. Who waits hears the message and is hung up on; so does who calls, before anything
    else, until all are opened again. Who talks to an agent goes on talking."""
    await services.done(_close(services, ALL, closing))
    return await list_closed(services)


@router.post("/open", summary="Open all queues that were closed together")
async def open_all(services: Services) -> Items[ClosedItem]:
    """A queue that was closed by itself stays closed."""
    await services.done(services.switches.open(ALL))
    return await list_closed(services)


@router.get("/closed", summary="What is closed")
async def list_closed(services: Services) -> Items[ClosedItem]:
    """By the emergency switch: queues, and all of them where the name is null."""
    closed = await services.done(services.switches.closed())
    return Items(items=[ClosedItem.of(switch) for switch in closed.values()])


@router.post("/{name}/close", summary="Close a queue", responses=MISSING)
async def close_queue(services: Services, name: str, closing: Closing | None = None) -> QueueItem:
    """For an emergency. Who waits in it hears the message and is hung up on; so does who comes, until it is
    opened again. Who talks to an agent goes on talking."""
    _known(services, name)
    await services.done(_close(services, name, closing))
    return await show_queue(services, name)


@router.post("/{name}/open", summary="Open a queue again", responses=MISSING)
async def open_queue(services: Services, name: str) -> QueueItem:
    """Fine when it is open."""
    _known(services, name)
    await services.done(services.switches.open(name))
    return await show_queue(services, name)


async def _close(services: WebServices, queue: str, closing: Closing | None) -> Switch:
    if closing is None or closing.prompt is None:
        return await services.switches.close(queue)
    return await services.switches.close(queue, closing.prompt)


def _known(services: WebServices, name: str) -> None:
    if name not in services.site().queues:
        raise Refused(f"the site has no queue of the name {name!r}", missing=True)


@router.get("/{name}", summary="One queue", responses=MISSING)
async def show_queue(services: Services, name: str) -> QueueItem:
    """Who waits, how long, and the queue's agents by state."""
    _known(services, name)
    calls, agents, closed = await services.look(_now)
    await services.done(services.estimates.refresh())
    return _item(services, services.site(), name, calls, agents, closed)


def _now(tx: Tx) -> tuple[list[Call], dict[str, Agent], dict[str, Switch]]:
    return tx.calls.open(), {agent.name: agent for agent in tx.agents.all()}, tx.queues.switches()


def _item(
    services: WebServices,
    site: Site,
    name: str,
    calls: list[Call],
    agents: dict[str, Agent],
    closed: dict[str, Switch],
) -> QueueItem:
    now, estimates = services.clock.now(), services.estimates
    waiting = line(calls, name)
    waits = [(now - call.entered_at).total_seconds() for call in waiting if call.entered_at]
    serving = [agent for agent, settings in site.agents.items() if name in settings.queues]
    states = Counter(agents[agent].state if agent in agents else AgentState.OFFLINE for agent in serving)
    return QueueItem(
        name=name,
        label=site.queues[name].label,
        waiting=len(waiting),
        longest_wait_seconds=round(max(waits), 3) if waits else None,
        talking=sum(1 for call in calls if call.queue == name and call.state == Chapter.TALKING),
        agents={str(state): states[state] for state in AgentState},
        strategy=site.queues[name].strategy,
        closed=(switch := closed_by(closed, name)) and ClosedItem.of(switch),
        estimated_wait=_estimate(estimates.waits(name), len(waiting)),
        accuracy=_accuracy(estimates.accuracy(name, Of.ENTRY)),
        announced_accuracy=_accuracy(estimates.accuracy(name, Of.ANNOUNCED)),
    )


def _estimate(waits: QueueWaits | None, ahead: int) -> EstimatedWait | None:
    found = waits and waits.newcomer(ahead)
    return found and EstimatedWait(
        p50_seconds=round(found.p50_s, 1),
        p80_seconds=round(found.p80_s, 1),
        expected_seconds=round(found.expected_s, 1),
    )


def _accuracy(found: Accuracy | None) -> WaitAccuracy | None:
    error = found and found.relative(found.square)
    theirs = found and found.relative(found.app_queue_square)
    if found is None or error is None or theirs is None:
        return None
    return WaitAccuracy(
        callers=round(found.callers, 1),
        within_p50=round(found.within_p50 / found.callers, 3),
        within_p80=round(found.within_p80 / found.callers, 3),
        error=round(error, 3),
        app_queue_error=round(theirs, 3),
    )
