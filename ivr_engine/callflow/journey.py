"""A call from its first chapter to its last. Read this first."""

from __future__ import annotations

from ivr_engine.callflow import (
    agent,
    callback_number,
    conversation,
    flow,
    leaving,
    recording,
    transfer,
    waiting,
)
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.errors import Refused
from ivr_engine.ports import Leg


async def journey(house: House, leg: Leg, call: Call) -> EndReason:
    """Live through the call from the chapter its row names: a new call and one taken over alike.

    Returns why the caller is to be hung up on; raises ``CallEnded`` when the caller hung up, ``Refused`` when
    the call was ended by others meanwhile.
    """
    await leg.answer()
    taken_over = call.chapter is Chapter.TALKING
    while True:
        led = await _next_part(house, leg, call, taken_over=taken_over)
        if isinstance(led, EndReason):
            return led
        call, taken_over = led, False


async def _next_part(house: House, leg: Leg, call: Call, *, taken_over: bool) -> Call | EndReason:
    """Through the flow; in the line; with an agent, who may hand the caller on to any of these."""
    if call.in_flow:
        return await flow.through(house, leg, call)
    if call.chapter is Chapter.TALKING:
        return await conversation.talk(house, leg, call, taken_over=taken_over)
    if call.chapter is Chapter.ARRANGING:
        return await callback_number.ask(house, leg, call)
    if call.chapter is Chapter.HANDING_ON:
        return await transfer.hand_on(house, leg, call)
    if call.chapter is Chapter.ENDED:
        raise Refused(f"call {call.id} has ended: nobody can be connected")
    return await _wait_for_agent(house, leg, call)


async def _wait_for_agent(house: House, leg: Leg, call: Call) -> Call:
    """In the line until caller and agent hear each other; what fails before leaves the place as it was."""
    call = await recording.tell(house, leg, call)
    with house.line.seat(call.id) as seat:
        if call.chapter is not Chapter.CONNECTING:
            await house.telephony.park(leg, house.site.queue(call.queue).music)
        while call.chapter is not Chapter.TALKING:
            if call.may_be_offered:
                before, call = call, await waiting.wait(house, leg, call, seat)
                if leaving.is_out(before, call):
                    return call
            if call.chapter is Chapter.ARRANGING:
                return call
            if call.chapter is Chapter.RINGING:
                call = await agent.ring(house, leg, call)
            if call.chapter is Chapter.CONNECTING:
                call = await agent.connect(house, leg, call)
            if call.chapter is Chapter.ENDED:
                raise Refused(f"call {call.id} has ended: nobody can be connected")
    return call
