"""Through a flow, a chapter a node, until the caller is in a queue's line or has been said goodbye to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from ivr_engine.callflow import dip, goodbye, language, menu, play, texting, transfer, voicemail, ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.ports import Leg, Tx

log = structlog.get_logger()

CHAPTERS: Final[Mapping[Chapter, Callable[[House, Leg, Call], Awaitable[Call]]]] = {
    Chapter.PLAYING: play.say,
    Chapter.LANGUAGE: language.choose,
    Chapter.MENU: menu.choose,
    Chapter.DIP: dip.ask,
    Chapter.DIALLING: transfer.dial,
    Chapter.VOICEMAIL: voicemail.invite,
    Chapter.RECORDING: voicemail.record,
    Chapter.TEXTING: texting.send,
}


async def through(house: House, leg: Leg, call: Call) -> Call | EndReason:
    """From the chapter the row names: the call in its queue's line, or why it is to be hung up.

    A prompt that an engine before this one began is stopped and played anew.
    """
    await leg.stop_playing()
    while True:
        house = house.for_a_step()
        call = await _still_there(house, call)
        if not call.in_flow:
            return call
        if call.chapter is Chapter.LEAVING:
            return await goodbye.say(house, leg, call)
        if call.chapter is Chapter.TRANSFERRED:
            return await transfer.talk(house, leg, call)
        if call.chapter is not Chapter.DIALLING:
            # Who could not be transferred, or left a line, would hear the music under every question.
            await house.telephony.unpark(leg)
        call = await CHAPTERS[call.chapter](house, leg, call)


async def _still_there(house: House, call: Call) -> Call:
    """The configuration may have changed since the last step: who stands at a node that is gone, or
    that does something else now, begins anew."""
    if call.visit is None:
        return call
    node = house.site.node(call.visit.flow, call.visit.node)
    if (
        call.queue
        or call.chapter is Chapter.TRANSFERRED
        or (node is not None and ways.may_stand_at(node.doing, call.chapter))
    ):
        return call
    log.warning("flow.node_gone", flow=call.visit.flow, node=call.visit.node, meaning="the flow begins anew")

    def write(tx: Tx) -> Call:
        current = tx.calls.get(call.id)
        if current.number not in house.site.numbers:
            return ways.Going(current.led_to(Chapter.LEAVING, None)).stored(house, tx)
        return ways.begin(house, tx, current).stored(house, tx)

    return await house.store.run(write)
