"""A caller leaves a message. That it is being recorded is stored first; the recording is the telephone
system's own, and ``messaging.voicemail`` fetches it when it is over, whatever became of the caller."""

from __future__ import annotations

import structlog

from ivr_engine.callflow import ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import VoicemailStarted
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Voicemail
from ivr_engine.errors import Refused
from ivr_engine.ports import Failed, Leg, Tx
from ivr_engine.site import flows

log = structlog.get_logger()


async def invite(house: House, leg: Leg, call: Call) -> Call:
    """Say the prompt; an invitation that cannot be played keeps nobody from leaving a message."""
    heard = await leg.play([house.prompt(call, house.doing(call, flows.Voicemail).prompt)])
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", why=heard.why)
    return await house.store.run(lambda tx: _started(house, tx, call))


async def record(house: House, leg: Leg, call: Call) -> Call:
    """Until the message is over. An engine that takes over finds the recording going on, or over."""
    voicemail = house.doing(call, flows.Voicemail)
    if call.where.recording is None:
        raise Refused(f"call {call.id} is recorded under no name")
    made = await leg.record(call.where.recording, longest_s=voicemail.longest, silence_s=voicemail.silence)
    if isinstance(made, Failed):
        log.error("voicemail.not_recorded", why=made.why)
    return await house.store.run(
        lambda tx: ways.go_on(house, tx, tx.calls.get(call.id), voicemail.then).stored(house, tx)
    )


def _started(house: House, tx: Tx, call: Call) -> Call:
    now, name = house.clock.now(), f"voicemail-{house.new_id()}"
    current = tx.calls.get(call.id)
    visit = replace(current.where, recording=name)
    tx.voicemails.add(Voicemail(id=name, engine=current.engine, call_id=current.id, started_at=now))
    return ways.Going(current.led_to(Chapter.RECORDING, visit), (VoicemailStarted(name),)).stored(house, tx)
