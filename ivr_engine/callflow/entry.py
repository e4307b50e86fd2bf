"""The first moment of a call: who calls, which number, where it leads. Stored before anything is done."""

from __future__ import annotations

from datetime import datetime

from ivr_engine.callflow import ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import CallAdopted, CallStarted
from ivr_engine.domain.numbers import shown_caller
from ivr_engine.domain.records import replace
from ivr_engine.domain.routing import Routing
from ivr_engine.errors import Refused
from ivr_engine.ports import Arrival, Tx


async def register(house: House, arrival: Arrival) -> Call:
    """The stored call of an arrival: a new one in its number's flow or queue, or, for a channel that comes
    back from the fallback, the one it had, at its old place.

    Raises ``Refused`` when nothing answers to the number dialled.
    """
    house = house.for_a_step()
    call_id, arrived_at = house.new_id(), house.clock.now()
    access, attested = await _access_point(house, arrival), await _attested(house, arrival)

    def write(tx: Tx) -> Call:
        known = tx.calls.open_on(arrival.leg.id)
        if known is not None:
            return _welcome_back(house, tx, known)
        newcomer = _newcomer(house, arrival, access, call_id, arrived_at)
        newcomer = replace(newcomer, routing=replace(newcomer.routing, attested=attested))
        return _welcome(house, tx, newcomer)

    return await house.store.run(write)


def _welcome_back(house: House, tx: Tx, known: Call) -> Call:
    # Another engine may have had it: whose it is decides who takes it over after a crash.
    known = replace(known, engine=house.telephony.name)
    tx.calls.save(known)
    tx.events.add(house.clock.now(), known.id, CallAdopted(known.chapter))
    return known


def _welcome(house: House, tx: Tx, newcomer: Call) -> Call:
    going = ways.begin(house, tx, newcomer)
    tx.calls.add(going.call)
    started = CallStarted(newcomer.caller, newcomer.number)
    tx.events.add(newcomer.started_at, newcomer.id, started, *going.happenings)
    return going.call


def _newcomer(house: House, arrival: Arrival, access: str | None, call_id: str, now: datetime) -> Call:
    site = house.site
    number = site.entrance(arrival.number, access)
    if number is None:
        raise Refused(f"no number {arrival.number!r} in the site: add it under numbers")
    caller = shown_caller(arrival.caller, site.country)
    is_vip = caller in site.vip.numbers
    return Call(
        id=call_id,
        engine=house.telephony.name,
        channel_id=arrival.leg.id,
        caller=caller,
        number=arrival.number,
        queue="",
        language=number.language or site.default_language,
        priority=max(number.priority, site.vip.priority) if is_vip else number.priority,
        started_at=now,
        routing=Routing(access=access, skills=dict(number.skills)),
    )


async def _access_point(house: House, arrival: Arrival) -> str | None:
    """The one named by the header of a trusted trunk. What stands in the header is the other side's: it
    counts only if the site has a point of that name."""
    points = house.site.access_points
    if points is None or arrival.trunk not in points.trunks:
        return None
    named = (await house.telephony.header(arrival.leg, points.header)).strip().lower()
    return named if named in points.points else None


async def _attested(house: House, arrival: Arrival) -> bool | None:
    """What the header of a trunk says of the caller's number; ``None`` on calls from anywhere else."""
    asked = house.site.abuse.attestation
    if asked is None or arrival.trunk not in asked.trunks:
        return None
    said = await house.telephony.header(arrival.leg, asked.header)
    return said.strip().casefold() in {value.casefold() for value in asked.accepted}
