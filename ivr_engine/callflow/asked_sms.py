"""An SMS that a caller asks for by a key: the proof of it, the count against abuse and the message in the
outbox, all in the transaction that stores what the key meant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ivr_engine.callflow import full_caps
from ivr_engine.callflow.house import House
from ivr_engine.domain.abuse import Taken
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord, NotOffered, WaitTimeSmsStatus, why_not_written_to
from ivr_engine.domain.events import MessageQueued, SmsWithheld
from ivr_engine.domain.messages import Purpose, outbound
from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.tickets import comment_from
from ivr_engine.domain.visit import Asked
from ivr_engine.ports import Tx


@dataclass(frozen=True, slots=True)
class Sent:
    """``taken``: as of ``send``, to be told to ``house.full_caps.took`` after the commit; ``None`` when the
    number itself is why nothing goes out."""

    goes_out: bool
    taken: Taken | None = None


def ask_for(house: House, tx: Tx, call: Call, text: str, asked: Asked, purpose: Purpose) -> Sent:
    """What was asked and answered is proof, and the text goes out as one of the call's queue; or why it does
    not is on record."""
    why = _why_not(house, tx, call)
    if why is not None:
        tx.events.add(house.clock.now(), call.id, SmsWithheld(why, call.queue, call.language, purpose))
        return Sent(False)
    allowed = WaitTimeSmsStatus.ALLOWED
    tx.consents.add(proof(house, call, asked.prompt, asked.key, allowed, purpose=purpose))
    taken = send(house, tx, call, text, purpose)
    return Sent(taken.over is None, taken)


def _why_not(house: House, tx: Tx, call: Call) -> NotOffered | None:
    why = why_not_written_to(house.site.rules_for(call.queue), receiver(call.caller))
    if why is None and call.routing.attested is False:
        return NotOffered.NOT_ATTESTED
    if why is None and tx.opt_outs.is_opted_out(call.known_caller):
        return NotOffered.OPTED_OUT
    return why


def proof(
    house: House,
    call: Call,
    prompt: str,
    key: str | None,
    outcome: WaitTimeSmsStatus,
    *,
    purpose: Purpose = Purpose.WAIT_TIME_SMS,
) -> ConsentRecord:
    """What was heard (``prompt``, as the call's queue says it) and what was pressed."""
    name = house.site.prompt_name(call.queue, prompt)
    wording = house.prompts.wording(call.language, name)
    return ConsentRecord(
        id=house.new_id(),
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
        purpose=purpose,
    )


def send(house: House, tx: Tx, call: Call, text: str, purpose: Purpose = Purpose.WAIT_TIME_SMS) -> Taken:
    """Into the outbox, and onto the ticket if there is one; or ``Taken.over``: a cap is reached, and nothing
    goes out. To be told to ``house.full_caps.took`` after the commit, with the outbox woken."""
    now = house.clock.now()
    taken = full_caps.count(tx, house.site.abuse.caps, call.known_caller, call.id, now)
    if taken.over is not None:
        why = NotOffered.of_cap(taken.over.cap)
        tx.events.add(now, call.id, SmsWithheld(why, call.queue, call.language, purpose))
        return taken
    message = outbound(
        id=house.new_id(),
        sender=house.sender(tx, call),
        recipient=call.known_caller,
        text=text,
        provider=house.site.sms.provider,
        purpose=purpose,
        call_id=call.id,
        ticket_id=call.ticket_id,
        now=now,
    )
    tx.messages.add(message)
    tx.events.add(now, call.id, MessageQueued(message.id))
    if call.ticket_id is not None:
        tx.tickets.comment(call.ticket_id, comment_from(message))
    return taken
