"""An agent is reserved: their phone rings, and the two are connected. What follows is ``conversation``."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from ivr_engine.callflow import party, recording, tickets
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import AgentChanged, AgentConnected, OfferMissed
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.ports import DialResult, Leg, Tx

log = structlog.get_logger()


async def ring(house: House, leg: Leg, call: Call) -> Call:
    """Ring the reserved agent's phone: on to ``connecting``, or back to ``waiting`` at the old place."""
    result = await leg.until(party.ring(house, call, call.offer.agent))
    if result is DialResult.ANSWERED:
        return await _store_answer(house, call)
    return await _put_back(house, call, result)


async def _store_answer(house: House, call: Call) -> Call:
    def write(tx: Tx) -> Call:
        current = tx.calls.get(call.id).answered()
        tx.calls.save(current)
        accept(house, tx, call.offer.agent, call)
        return current

    return await house.store.run(write)


async def connect(house: House, leg: Leg, call: Call) -> Call:
    """Let the two hear each other: on to ``talking``. An agent who is gone before that was never there."""
    try:
        await party.bridge(house, leg, call.offer.id)
    except party.HAS_LEFT:
        await leg.until(asyncio.sleep(0))  # it was the caller who left: that raises
        back = await _put_back(house, call, "hung_up_at_once")
        await house.telephony.end_bridge(party.bridge_id(call.offer.id))
        await house.telephony.park(leg, house.site.queue(call.queue).music)
        return back
    return await _store_connection(house, call)


async def _put_back(house: House, call: Call, reason: str) -> Call:
    """The offer led to nothing: the caller keeps the place, the agent must say when they are back."""

    def write(tx: Tx) -> Call:
        now = house.clock.now()
        current = tx.calls.get(call.id).waiting_again(now, house.site.interval(call.queue))
        if reason == DialResult.DECLINED and house.site.may_decline(call.queue):
            pause = timedelta(seconds=house.site.queue(call.queue).declined_pause)
            current = replace(current, routing=current.routing.declined_by(call.offer.agent, now + pause))
            let_go(house, tx, call.offer.agent, call)
        else:
            miss(house, tx, call.offer.agent, call, reason)
        tx.calls.save(current)
        tx.events.add(now, call.id, OfferMissed(call.offer.agent, reason))
        return current

    back = await house.store.run(write)
    log.info("agent.missed", agent=call.offer.agent, reason=reason)
    await house.telephony.end_leg(party.leg_id(call.offer.id))
    return back


async def _store_connection(house: House, call: Call) -> Call:
    """The contact begins; its ticket, one a call, holds what was written so far."""
    new_id, contact_id = house.new_id(), house.new_id()

    def write(tx: Tx) -> Call:
        now, before = house.clock.now(), tx.calls.get(call.id)
        current = recording.begins(house, tx, before.connected(before.ticket_id or new_id, now))
        tx.calls.save(current)
        if before.ticket_id is None:
            tickets.open_for(tx, current, new_id, now)
        if before.answered_at is None and house.site.crm.contacts is None:
            house.identify(tx, current, contact_id, now)
        if call.caller is not None:
            tx.callers.keep_agent(call.caller, call.offer.agent, now)
        tx.events.add(now, call.id, AgentConnected(call.offer.agent, current.ticket_id or new_id))
        return current

    connected = await house.store.run(write)
    log.info("call.connected", agent=call.offer.agent, ticket=connected.ticket_id)
    return connected


def reserve(house: House, tx: Tx, name: str, call: Call) -> None:
    """That agent and no other is to have the call, or a part in it. ``Refused`` when they are not free."""
    if name not in house.site.agents:
        raise Refused(f"no agent {name!r}: the site has {', '.join(sorted(house.site.agents))}", missing=True)
    now = house.clock.now()
    agent = tx.agents.get(name)
    if agent is None:
        raise Refused(f"agent {name} is not signed in")
    agent = agent.offered(call.id, now, call.queue)
    tx.agents.save(agent)
    tx.events.add(now, None, AgentChanged(name, agent.state))


def accept(house: House, tx: Tx, name: str, call: Call) -> None:
    """The agent has taken the offer of this call."""
    agent = tx.agents.get(name)
    if agent is not None and agent.call_id == call.id:
        agent = agent.connected(house.clock.now())
        tx.agents.save(agent)
        tx.events.add(house.clock.now(), None, AgentChanged(name, agent.state))


def miss(house: House, tx: Tx, name: str, call: Call, reason: str) -> None:
    """The agent has not: they must say when they are back."""
    agent = tx.agents.get(name)
    if agent is not None and agent.call_id == call.id:
        agent = agent.missed(reason, house.clock.now())
        tx.agents.save(agent)
        tx.events.add(house.clock.now(), None, AgentChanged(name, agent.state, reason))


def release(house: House, tx: Tx, call: Call) -> None:
    """``call`` as it was until now: everybody who had their hands full with it is done with it."""
    for name in call.agents:
        let_go(house, tx, name, call)


def let_go(house: House, tx: Tx, name: str, call: Call) -> None:
    """The agent is done with the call, through no fault of theirs: wrap-up, or free at once."""
    agent = tx.agents.get(name)
    if agent is None or agent.call_id != call.id:
        return
    talked = call.chapter is Chapter.TALKING and name in call.heard_by_caller
    now = house.clock.now()
    site = house.site
    wrap_up_s = site.wrap_up(call.queue) if talked else 0.0
    agent = agent.released(now, wrap_up_s, site.wrap_up_reason_required(call.queue))
    tx.agents.save(agent)
    tx.events.add(now, None, AgentChanged(agent.name, agent.state, agent.reason))
