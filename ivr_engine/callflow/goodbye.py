"""The last words, after which the engine hangs up."""

from __future__ import annotations

import structlog

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.ports import Failed, Leg
from ivr_engine.site.flows import HangUp

log = structlog.get_logger()


async def say(house: House, leg: Leg, call: Call) -> EndReason:
    """What the node says at its end; of a closed queue that it is closed."""
    heard = await leg.play([house.prompt(call, _last_words(house, call))])
    if isinstance(heard, Failed):
        log.error("goodbye.not_heard", why=heard.why)
    return EndReason.SAID_GOODBYE


def _last_words(house: House, call: Call) -> str:
    if call.last_words is not None:
        return call.last_words
    if call.queue:
        return house.site.queue(call.queue).closed_prompt
    node = house.site.node(call.visit.flow, call.visit.node) if call.visit else None
    if node is not None and isinstance(node.doing, HangUp):
        return node.doing.prompt
    return "not_in_service"
