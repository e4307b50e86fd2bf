"""The other parties of a call: an agent, or whoever a caller is transferred to. Their legs and the bridges
where they are heard are known by ids that the call's row holds (the agent's by its ``offer_id``), so an
engine that comes back finds them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Final

import structlog

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.talk import Listener
from ivr_engine.errors import CallEnded, Gone, NotInStasis, NotUp, Rejected
from ivr_engine.ports import DialResult, Leg

log = structlog.get_logger()

HAS_LEFT: Final = (CallEnded, Gone, NotInStasis, NotUp, Rejected)
"""What acting on a party's leg raises when that party has just hung up."""


def leg_id(offer_id: str) -> str:
    """The channel id of a leg that we dialled; the prefix tells the watchdog what it is."""
    return f"agent-{offer_id}"


def customer_leg_id(offer_id: str) -> str:
    """The leg to somebody who is called back, before ``leg_id`` is rung: Asterisk refuses a channel whose id
    another channel's id begins with."""
    return f"agent-customer-{offer_id}"


def bridge_id(offer_id: str) -> str:
    """The bridge in which the two talk."""
    return f"talk-{offer_id}"


def snoop_id(listener: Listener) -> str:
    """The channel by which a supervisor hears an agent; one that whispers is another."""
    return f"{leg_id(listener.id)}-{listener.mode}"


def is_of(channel_id: str, ids: Collection[str]) -> bool:
    """Whether a channel of ours belongs to one of the parties that ``ids`` name."""
    return channel_id.removeprefix("agent-").removeprefix("customer-").partition("-")[0] in ids


async def dialled(
    house: House, offer_id: str, whom: str, caller: str | None, left_s: float, *, outside: bool = False
) -> Leg:
    """The leg to a phone or, ``outside``, to a number, ringing. An engine that takes over in mid-ring finds
    it there, ringing or answered; if it is gone, it is rung again for the time that is left.

    ``Gone`` when there is none left, ``Rejected`` when the phone cannot be rung.
    """
    transfers = house.site.transfers
    if left_s <= 0 or (outside and transfers is None):
        return await house.telephony.adopt(leg_id(offer_id))
    try:
        return await house.telephony.dial(
            whom,
            leg_id=leg_id(offer_id),
            caller=(transfers.caller_id if outside and transfers else None) or caller,
            timeout_s=left_s,
            trunk=transfers.trunk if outside and transfers else None,
        )
    except NotInStasis:
        return await house.telephony.adopt(leg_id(offer_id))


async def ring(house: House, call: Call, whom: str, *, outside: bool = False) -> DialResult:
    """Ring whoever the call's offer is for, until it is over."""
    left_s = call.offer_left_s(house.clock.now())
    try:
        leg = await dialled(house, call.offer_id or "", whom, call.caller, left_s, outside=outside)
    except (Rejected, Gone) as error:
        log.warning("party.not_rung", leg=leg_id(call.offer_id or ""), why=str(error))
        return DialResult.UNREACHABLE
    return await leg.rung(call.offer_left_s(house.clock.now()))


async def clear_away(house: House, *ids: str) -> None:
    """Hang up on the parties that ``ids`` name, and take their bridges away."""
    for each in ids:
        await house.telephony.end_leg(leg_id(each))
        await house.telephony.end_bridge(bridge_id(each))


async def bridge(house: House, leg: Leg, offer_id: str) -> None:
    """Let the two hear each other. ``HAS_LEFT`` when either is gone."""
    try:
        other = await house.telephony.adopt(leg_id(offer_id))
        await house.telephony.connect(bridge_id(offer_id), [leg, other])
    except (NotInStasis, NotUp, Rejected) as error:
        # Nobody need have hung up: without this line it would be put down to the other party alone.
        log.warning("party.not_connected", leg=leg_id(offer_id), why=str(error))
        raise


async def bridge_again(house: House, leg: Leg, offer_id: str) -> None:
    """Taken over in mid-talk: the bridge is made whole. A party that has left meanwhile is for ``until_gone``
    to notice."""
    try:
        await bridge(house, leg, offer_id)
    except HAS_LEFT:
        await leg.until(asyncio.sleep(0))  # it was the caller who left: that raises


async def until_gone(house: House, leg: Leg, offer_id: str) -> None:
    """Until the other party hangs up."""
    try:
        await leg.until(gone(house, offer_id))
    except HAS_LEFT:
        await leg.until(asyncio.sleep(0))  # it was the caller who left: that raises


async def gone(house: House, offer_id: str) -> None:
    """Until that leg is no more; at once when it is not there."""
    with suppress(CallEnded, Gone):
        other = await house.telephony.adopt(leg_id(offer_id))
        await other.until(asyncio.Event().wait())
