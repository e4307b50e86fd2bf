"""Agents: who is there, in, out, and how their phone is set up."""

from __future__ import annotations

from fastapi import APIRouter

from ivr_engine.domain.agents import Agent
from ivr_engine.errors import Refused
from ivr_engine.site.staff import AgentSettings
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import AgentItem, Items, PhoneItem, Why

router = APIRouter(prefix="/agents", tags=["agents"], responses=ERRORS)


@router.get("", summary="Agents")
async def list_agents(services: Services) -> Items[AgentItem]:
    """Every agent of the site with their state now, by name."""
    seen = {agent.name: agent for agent in await services.look(lambda tx: tx.agents.all())}
    site = services.site()
    known = sorted(site.agents.items())
    return Items(
        items=[AgentItem.of(name, settings, site.capacity(name), seen.get(name)) for name, settings in known]
    )


@router.get("/{name}", summary="One agent", responses=MISSING)
async def show_agent(services: Services, name: str) -> AgentItem:
    """The agent's state now."""
    settings, capacity = _settings(services, name), services.site().capacity(name)
    return AgentItem.of(name, settings, capacity, await services.look(lambda tx: tx.agents.get(name)))


@router.post("/{name}/sign-in", summary="Sign an agent in", responses=MISSING | NOT_NOW)
async def sign_in(services: Services, name: str) -> AgentItem:
    """Available from now on; also the way back out of RONA or a break. 409 while on a contact, or when a
    wrap-up reason is required."""
    return _item(services, await services.done(services.desk.sign_in(name)))


@router.post("/{name}/sign-out", summary="Sign an agent out", responses=MISSING | NOT_NOW)
async def sign_out(services: Services, name: str) -> AgentItem:
    """No further callers. 409 while on a contact."""
    return _item(services, await services.done(services.desk.sign_out(name)))


@router.post("/{name}/break", summary="Take a break", responses=MISSING | NOT_NOW)
async def take_break(services: Services, name: str, why: Why | None = None) -> AgentItem:
    """At once; during a contact, when it and its wrap-up are over. Where the site names reasons for breaks,
    one of them must be given. 409 when signed out."""
    return _item(services, await services.done(services.desk.take_break(name, why and why.reason)))


@router.post("/{name}/back", summary="Back from a break or RONA", responses=MISSING | NOT_NOW)
async def come_back(services: Services, name: str) -> AgentItem:
    """Available again; a break not begun yet is taken back. 409 in any other state."""
    return _item(services, await services.done(services.desk.come_back(name)))


@router.post("/{name}/wrap-up", summary="End the wrap-up", responses=MISSING | NOT_NOW)
async def wrap_up(services: Services, name: str, why: Why | None = None) -> AgentItem:
    """With what the contact was about: one of the site's wrap-up reasons, which some queues require. 409
    when not in wrap-up."""
    return _item(services, await services.done(services.desk.wrap_up(name, why and why.reason)))


@router.get("/{name}/phone", summary="The SIP account of an agent's phone", responses=MISSING)
async def phone(services: Services, name: str) -> PhoneItem:
    """User, password and server to type into a SIP phone. Treat the answer as a secret."""
    _settings(services, name)
    return PhoneItem.of(await services.desk.account(name), services.sip_server)


def _item(services: WebServices, agent: Agent) -> AgentItem:
    capacity = services.site().capacity(agent.name)
    return AgentItem.of(agent.name, _settings(services, agent.name), capacity, agent)


def _settings(services: WebServices, name: str) -> AgentSettings:
    settings = services.site().agents.get(name)
    if settings is None:
        raise Refused(f"the site has no agent of the name {name!r}", missing=True)
    return settings
