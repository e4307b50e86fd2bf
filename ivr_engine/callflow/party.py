"""The other party of a call: an agent, or whoever a caller is transferred to. Its leg and the bridge where
the two hear each other are known by the call's ``offer_id``, so an engine that comes back finds them."""

from __future__ import annotations

import asyncio
from typing import Final

from ivr_engine.callflow.house import House
from ivr_engine.errors import CallEnded, Gone, NotInStasis, NotUp, Rejected
from ivr_engine.ports import Leg

HAS_LEFT: Final = (CallEnded, Gone, NotInStasis, NotUp, Rejected)
"""What acting on a party's leg raises when that party has just hung up."""


def leg_id(offer_id: str) -> str:
    """The channel id of a leg that we dialled; the prefix tells the watchdog what it is."""
    return f"agent-{offer_id}"


def bridge_id(offer_id: str) -> str:
    """The bridge in which the two talk."""
    return f"talk-{offer_id}"


async def bridge(house: House, leg: Leg, offer_id: str) -> None:
    """Let the two hear each other. ``HAS_LEFT`` when either is gone."""
    other = await house.telephony.adopt(leg_id(offer_id))
    await house.telephony.connect(bridge_id(offer_id), [leg, other])


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
        other = await house.telephony.adopt(leg_id(offer_id))
        await leg.until(_gone(other))
    except HAS_LEFT:
        await leg.until(asyncio.sleep(0))  # it was the caller who left: that raises


async def _gone(leg: Leg) -> None:
    try:
        await leg.until(asyncio.Event().wait())
    except CallEnded:
        return
