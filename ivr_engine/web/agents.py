"""Agents: who is there, in, out, and how their phone is set up."""

from __future__ import annotations

from fastapi import APIRouter

from ivr_engine.domain.agents import Agent
from ivr_engine.errors import Refused
from ivr_engine.site.models import AgentSettings
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import AgentItem, Items, PhoneItem

router = APIRouter(prefix="/agents", tags=["agents"], responses=ERRORS)


@router.get("", summary="Agents")
async def list_agents(services: Services) -> Items[AgentItem]:
    """Every agent of the site with their state now, by name."""
    seen = {agent.name: agent for agent in await services.read(lambda tx: tx.agents.all())}
    known = sorted(services.site().agents.items())
    return Items(items=[AgentItem.of(name, settings, seen.get(name)) for name, settings in known])


@router.get("/{name}", summary="One agent", responses=MISSING)
async def show_agent(services: Services, name: str) -> AgentItem:
    """The agent's state now."""
    settings = _settings(services, name)
    return AgentItem.of(name, settings, await services.read(lambda tx: tx.agents.get(name)))


@router.post("/{name}/sign-in", summary="Sign an agent in", responses=MISSING | NOT_NOW)
async def sign_in(services: Services, name: str) -> AgentItem:
    """Available from now on; also the way back out of RONA. 409 while on a contact."""
    return _item(services, await services.done(services.desk.sign_in(name)))


@router.post("/{name}/sign-out", summary="Sign an agent out", responses=MISSING | NOT_NOW)
async def sign_out(services: Services, name: str) -> AgentItem:
    """No further callers. 409 while on a contact."""
    return _item(services, await services.done(services.desk.sign_out(name)))


@router.get("/{name}/phone", summary="The SIP account of an agent's phone", responses=MISSING)
async def phone(services: Services, name: str) -> PhoneItem:
    """User, password and server to type into a SIP phone. Treat the answer as a secret."""
    _settings(services, name)
    return PhoneItem.of(await services.desk.account(name), services.sip_server)


def _item(services: WebServices, agent: Agent) -> AgentItem:
    return AgentItem.of(agent.name, _settings(services, agent.name), agent)


def _settings(services: WebServices, name: str) -> AgentSettings:
    settings = services.site().agents.get(name)
    if settings is None:
        raise Refused(f"the site has no agent of the name {name!r}", missing=True)
    return settings
