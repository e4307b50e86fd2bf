"""The consent conversation: press 1 to allow an SMS, 2 to refuse, ten seconds to answer."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Final

import structlog

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import (
    ANSWER_WINDOW_S,
    ConsentRecord,
    Step,
    WaitTimeSmsStatus,
    answered,
)
from ivr_engine.domain.events import ConsentGiven, MessageQueued, WrongKeyPressed
from ivr_engine.domain.messages import Message, outbound
from ivr_engine.ports import Digit, Failed, Leg, Tx

log = structlog.get_logger()

PROMPT = "consent"

LEAVING_S: Final = 0.5
"""A caller who hangs up ends the message first and is told to be gone a moment later."""


async def converse(house: House, leg: Leg, call: Call) -> Call:
    """One round, from the message to an answer or silence.

    Afterwards the chapter is ``thanking`` when an SMS was allowed: it stands in the outbox already. A
    message that could not be played asked nothing: that round does not count.
    """
    prompts, asked_before = [house.prompt(call, PROMPT)], False
    while True:
        # Keys of the music do not count; one pressed between two plays of the message does.
        heard = await leg.gather(prompts, window_s=ANSWER_WINDOW_S, go_on=asked_before)
        if isinstance(heard, Failed):
            await leg.until(asyncio.sleep(LEAVING_S))
            log.error("consent.not_played", why=heard.why, remedy="the question comes again at the interval")
            return call
        call, step = await _record(house, call, heard.key if isinstance(heard, Digit) else None)
        if step is not Step.REPEAT:
            return call
        prompts, asked_before = [house.prompt(call, "wrong_number"), house.prompt(call, PROMPT)], True


async def _record(house: House, call: Call, key: str | None) -> tuple[Call, Step]:
    """Decide what the key means and store that with all that follows from it, in one transaction."""
    ids = house.new_id(), house.new_id()

    def write(tx: Tx) -> tuple[Call, Step]:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.CONSENT:
            return current, Step.BACK_TO_MUSIC
        state, step = answered(current.consent, key)
        current = replace(current, consent=state)
        if step is Step.REPEAT:
            tx.events.add(house.clock.now(), call.id, WrongKeyPressed(key or ""))
        else:
            current = _end_of_round(house, tx, current, key, ids)
        tx.calls.save(current)
        return current, step

    call, step = await house.store.run(write)
    if step is Step.SEND:
        house.message_queued()
    return call, step


def _end_of_round(house: House, tx: Tx, call: Call, key: str | None, ids: tuple[str, str]) -> Call:
    outcome = call.consent.status or WaitTimeSmsStatus.NO_RESPONSE
    tx.consents.add(_proof(house, call, key, outcome, ids[0]))
    given = ConsentGiven(outcome, key)
    if outcome is not WaitTimeSmsStatus.ALLOWED:
        tx.events.add(house.clock.now(), call.id, given)
        return call
    message = _wait_time_sms(house, tx, call, ids[1])
    tx.messages.add(message)
    tx.events.add(message.created_at, call.id, given, MessageQueued(message.id))
    return call.at(Chapter.THANKING)


def _proof(
    house: House, call: Call, key: str | None, outcome: WaitTimeSmsStatus, record_id: str
) -> ConsentRecord:
    name = house.site.prompt_name(call.queue, PROMPT)
    wording = house.prompts.wording(call.language, name)
    return ConsentRecord(
        id=record_id,
        at=house.clock.now(),
        call_id=call.id,
        number=call.known_caller,
        queue=call.queue,
        language=call.language,
        wording=wording,
        wording_version=hashlib.sha256(wording.encode()).hexdigest()[:16],
        audio_hash=house.prompts.audio_hash(call.language, name),
        key=key,
        outcome=outcome,
    )


def _wait_time_sms(house: House, tx: Tx, call: Call, message_id: str) -> Message:
    return outbound(
        id=message_id,
        sender=house.sender(tx, call),
        recipient=call.known_caller,
        text=house.site.sms_text(call.queue, call.language),
        provider=house.site.sms.provider,
        purpose="wait_time_sms",
        call_id=call.id,
        now=house.clock.now(),
    )
