"""An agent is reserved: their phone rings, the two talk, the agent hangs up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from ivr_engine.callflow import party
from ivr_engine.callflow.house import House
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import AgentChanged, AgentConnected, OfferMissed, TicketOpened
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.errors import Gone, NotInStasis, Rejected
from ivr_engine.ports import DialResult, Leg, Tx

log = structlog.get_logger()


async def ring(house: House, leg: Leg, call: Call) -> Call:
    """Ring the reserved agent's phone: on to ``connecting``, or back to ``waiting`` at the old place."""
    result = await leg.until(_ring_phone(house, call))
    if result is DialResult.ANSWERED:
        return await _store_answer(house, call)
    return await _put_back(house, call, result)


async def _ring_phone(house: House, call: Call) -> DialResult:
    try:
        agent_leg = await _phone(house, call)
    except (Rejected, Gone):
        return DialResult.UNREACHABLE
    return await agent_leg.rung(call.offer_left_s(house.clock.now()))


async def _phone(house: House, call: Call) -> Leg:
    """The leg to the agent's phone, ringing. An engine that takes over in mid-ring finds it there, ringing
    or answered; if it is gone, the phone is rung again for the time that is left."""
    offer, left_s = call.offer, call.offer_left_s(house.clock.now())
    if left_s <= 0:
        return await house.telephony.adopt(party.leg_id(offer.id))
    try:
        return await house.telephony.dial(
            offer.agent, leg_id=party.leg_id(offer.id), caller=call.caller, timeout_s=left_s
        )
    except NotInStasis:
        return await house.telephony.adopt(party.leg_id(offer.id))


async def _store_answer(house: House, call: Call) -> Call:
    def write(tx: Tx) -> Call:
        now = house.clock.now()
        current = tx.calls.get(call.id).answered()
        tx.calls.save(current)
        agent = tx.agents.get(call.offer.agent)
        if agent is not None:
            tx.agents.save(agent.connected(now))
            tx.events.add(now, None, AgentChanged(agent.name, AgentState.ON_CONTACT))
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
        tx.calls.save(current)
        agent = tx.agents.get(call.offer.agent)
        if agent is not None and agent.call_id == call.id:
            agent = agent.missed(reason, now)
            tx.agents.save(agent)
            tx.events.add(now, None, AgentChanged(agent.name, agent.state, reason))
        tx.events.add(now, call.id, OfferMissed(call.offer.agent, reason))
        return current

    back = await house.store.run(write)
    log.info("agent.missed", agent=call.offer.agent, reason=reason, meaning="rona until they sign in again")
    await house.telephony.end_leg(party.leg_id(call.offer.id))
    return back


async def _store_connection(house: House, call: Call) -> Call:
    """The contact begins; its ticket holds what was written so far."""
    ticket_id = house.new_id()

    def write(tx: Tx) -> Call:
        now = house.clock.now()
        current = tx.calls.get(call.id).connected(ticket_id, now)
        tx.calls.save(current)
        messages = tx.messages.of_call(call.id)
        tx.tickets.add(ticket_for(current, messages, id=ticket_id, now=now))
        for message in messages:
            tx.messages.save(replace(message, ticket_id=ticket_id))
        tx.events.add(now, call.id, TicketOpened(ticket_id), AgentConnected(call.offer.agent, ticket_id))
        return current

    connected = await house.store.run(write)
    log.info("call.connected", agent=call.offer.agent, ticket=ticket_id)
    return connected


async def join_again(house: House, leg: Leg, call: Call) -> None:
    """Taken over in mid-talk."""
    await party.bridge_again(house, leg, call.offer.id)


async def talk(house: House, leg: Leg, call: Call) -> None:
    """Until the agent hangs up."""
    await party.until_gone(house, leg, call.offer.id)


def release(house: House, tx: Tx, call: Call) -> None:
    """The call's agent is done with it, through no fault of theirs: wrap-up, or free at once."""
    agent = tx.agents.get(call.agent) if call.agent else None
    if agent is None or agent.call_id != call.id:
        return
    talked = call.answered_at is not None
    now = house.clock.now()
    agent = agent.released(now, house.site.wrap_up(call.queue) if talked else 0.0)
    tx.agents.save(agent)
    tx.events.add(now, None, AgentChanged(agent.name, agent.state))
