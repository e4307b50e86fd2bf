"""The consent conversation: press 1 to allow an SMS, 2 to refuse, ten seconds to answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from ivr_engine.callflow import asked_sms
from ivr_engine.callflow.house import House
from ivr_engine.domain.abuse import Taken
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import (
    ANSWER_WINDOW_S,
    Step,
    WaitTimeSmsStatus,
    answered,
)
from ivr_engine.domain.events import ConsentGiven, WrongKeyPressed
from ivr_engine.domain.records import replace
from ivr_engine.ports import Digit, Failed, Leg, Tx

log = structlog.get_logger()

PROMPT: Final = "consent"
NOT_SENT: Final = "sms_not_sent"

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
        if step is Step.WITHHOLD:
            await leg.play([house.prompt(call, NOT_SENT)])
        if step is not Step.REPEAT:
            return call
        prompts, asked_before = [house.prompt(call, "wrong_number"), house.prompt(call, PROMPT)], True


@dataclass(frozen=True, slots=True)
class _Decided:
    call: Call
    step: Step
    taken: Taken | None = None


async def _record(house: House, call: Call, key: str | None) -> tuple[Call, Step]:
    """Decide what the key means and store that with all that follows from it, in one transaction."""

    def write(tx: Tx) -> _Decided:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.CONSENT:
            return _Decided(current, Step.BACK_TO_MUSIC)
        state, step = answered(current.consent, key)
        current = replace(current, consent=state)
        if step is Step.REPEAT:
            tx.events.add(house.clock.now(), call.id, WrongKeyPressed(key or ""))
            decided = _Decided(current, step)
        else:
            decided = _end_of_round(house, tx, current, step, key)
        tx.calls.save(decided.call)
        return decided

    decided = await house.store.run(write)
    if decided.taken is not None:
        house.full_caps.took(decided.taken)
        house.message_queued()
    return decided.call, decided.step


def _end_of_round(house: House, tx: Tx, call: Call, step: Step, key: str | None) -> _Decided:
    outcome = call.consent.status or WaitTimeSmsStatus.NO_RESPONSE
    tx.consents.add(asked_sms.proof(house, call, PROMPT, key, outcome))
    tx.events.add(house.clock.now(), call.id, ConsentGiven(outcome, key))
    if outcome is not WaitTimeSmsStatus.ALLOWED:
        return _Decided(call, step)
    taken = asked_sms.send(house, tx, call, house.site.sms_text(call.queue, call.language))
    if taken.over is not None:
        return _Decided(call.at(Chapter.WAITING), Step.WITHHOLD, taken)
    return _Decided(call.at(Chapter.THANKING), step, taken)
