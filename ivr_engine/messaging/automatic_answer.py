"""The answer to a text that comes when the talk is over: nobody reads it."""

from __future__ import annotations

import uuid
from datetime import datetime

from ivr_engine.domain.calls import Call
from ivr_engine.domain.in_call_sms import is_answered
from ivr_engine.domain.messages import Message, Purpose, Urgency, outbound
from ivr_engine.messaging.queueing import BEHIND, enqueue
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site


def answer(tx: Tx, call: Call, text: Message, site: Site, now: datetime) -> Message | None:
    """Write one to ``text``, which came after the end of ``call``, from the number it was sent to; ``None``
    when there is none to be sent. It belongs to the call, and is not on its ticket.

    The call's row is locked by whoever looked it up, so two texts at once get one answer.
    """
    settings = site.in_call_sms
    texts = settings.automatic_answer.text
    queue = site.queues.get(call.queue)
    on = settings.enabled and (queue is None or queue.in_call_sms)
    if not texts or not on or text.sender != call.caller:
        return None
    if tx.opt_outs.is_opted_out(text.sender):
        return None
    at = now + BEHIND
    if not is_answered(tx.messages.of_call(call.id), settings.automatic_answer.again_after, at):
        return None
    message = outbound(
        id=uuid.uuid4().hex,
        sender=text.recipient,
        recipient=text.sender,
        text=site.worded(texts, call.language),
        provider=text.provider,
        purpose=Purpose.AUTOMATIC_ANSWER,
        call_id=call.id,
        now=at,
        urgency=Urgency.CONVERSATION,
    )
    enqueue(tx, message)
    return message
