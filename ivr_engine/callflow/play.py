"""Something is said, and the caller goes on. Keys pressed meanwhile are ignored."""

from __future__ import annotations

import structlog

from ivr_engine.callflow import ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.ports import Failed, Leg
from ivr_engine.site.flows import Play

log = structlog.get_logger()


async def say(house: House, leg: Leg, call: Call) -> Call:
    """A prompt that cannot be played keeps nobody from going on."""
    playing = house.doing(call, Play)
    heard = await leg.play([house.prompt(call, playing.prompt)])
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompt=playing.prompt, why=heard.why)
    return await house.store.run(
        lambda tx: ways.go_on(house, tx, tx.calls.get(call.id), playing.then).stored(house, tx)
    )
