"""Over capacity, the caller goes on by SMS: a text goes out and the call ends politely. The key is the
consent."""

from __future__ import annotations

from dataclasses import dataclass

from ivr_engine.callflow import asked_sms, ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.abuse import Taken
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import NotOffered, WaitTimeSmsStatus, why_not_written_to
from ivr_engine.domain.events import LineLeft, SmsWithheld
from ivr_engine.domain.messages import Purpose
from ivr_engine.domain.numbers import receiver
from ivr_engine.ports import Tx
from ivr_engine.site.over_capacity import GoToSms, OverCapacity

WORDS = "deflected"


@dataclass(frozen=True, slots=True)
class Deflected:
    """``going``: to the last words; ``None``: the SMS cannot be sent. ``taken`` as of ``asked_sms.send``."""

    going: ways.Going | None
    taken: Taken | None = None


def deflect(
    house: House, tx: Tx, call: Call, settings: OverCapacity, sms: GoToSms, key: str | None
) -> Deflected:
    """What was asked, in the words of ``settings.prompt``, and answered by ``key`` is proof; why no SMS
    goes to the caller is on record."""
    why = _why_not(house, tx, call)
    if why is not None:
        tx.events.add(house.clock.now(), call.id, SmsWithheld(why, call.queue, call.language))
        return Deflected(None)
    allowed = WaitTimeSmsStatus.ALLOWED
    record = asked_sms.proof(house, call, settings.prompt, key, allowed, purpose=Purpose.DEFLECTION)
    tx.consents.add(record)
    text = house.site.worded(sms.text, call.language)
    taken = asked_sms.send(house, tx, call, text, Purpose.DEFLECTION)
    if taken.over is not None:
        return Deflected(None, taken)
    left = ways.Going(call.left_line(), (LineLeft(call.queue, "over_capacity"),))
    return Deflected(ways.last_words(left, call.queue, WORDS), taken)


def _why_not(house: House, tx: Tx, call: Call) -> NotOffered | None:
    why = why_not_written_to(house.site.rules_for(call.queue), receiver(call.caller))
    if why is None and call.routing.attested is False:
        return NotOffered.NOT_ATTESTED
    if why is None and tx.opt_outs.is_opted_out(call.known_caller):
        return NotOffered.OPTED_OUT
    return why
