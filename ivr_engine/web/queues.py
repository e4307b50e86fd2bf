"""Queues, as they are now."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from fastapi import APIRouter

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.waiting import line
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site
from ivr_engine.web.errors import ERRORS, MISSING
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items, QueueItem

router = APIRouter(prefix="/queues", tags=["queues"], responses=ERRORS)


@router.get("", summary="Queues")
async def list_queues(services: Services) -> Items[QueueItem]:
    """Every queue of the site: who waits, how long, and its agents by state."""
    calls, agents = await services.read(_now)
    site, now = services.site(), services.clock.now()
    return Items(items=[_item(name, site, calls, agents, now) for name in sorted(site.queues)])


@router.get("/{name}", summary="One queue", responses=MISSING)
async def show_queue(services: Services, name: str) -> QueueItem:
    """Who waits, how long, and the queue's agents by state."""
    site = services.site()
    if name not in site.queues:
        raise Refused(f"the site has no queue of the name {name!r}", missing=True)
    calls, agents = await services.read(_now)
    return _item(name, site, calls, agents, services.clock.now())


def _now(tx: Tx) -> tuple[list[Call], dict[str, Agent]]:
    return tx.calls.open(), {agent.name: agent for agent in tx.agents.all()}


def _item(name: str, site: Site, calls: list[Call], agents: dict[str, Agent], now: datetime) -> QueueItem:
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
    )
