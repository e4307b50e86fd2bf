"""A text that the caller pressed a key of a menu for: it goes out once, and they are told. Then the
call ends, to go on by SMS, or it goes on."""

from __future__ import annotations

from urllib.parse import quote

import structlog

from ivr_engine.callflow import asked_sms, ways
from ivr_engine.callflow.asked_sms import Sent
from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.messages import Purpose
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.ports import Failed, Leg, Tx
from ivr_engine.site.flow_texts import AppLink, GoBySms

log = structlog.get_logger()

Texting = GoBySms | AppLink


async def send(house: House, leg: Leg, call: Call) -> Call:
    """On to the last words, or by the way of who got the text, or by that of who cannot be written to. An
    engine that takes over says again whether it was sent, and sends nothing again."""
    texting = house.doing(call, GoBySms, AppLink)
    if call.where.texted is None:
        call = await _decided(house, call, texting)
    if call.chapter is not Chapter.TEXTING:
        return call
    sent = isinstance(texting, AppLink) and call.where.texted is True
    heard = await leg.play([house.prompt(call, texting.prompt if sent else texting.not_sent)])
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompt=texting.prompt if sent else texting.not_sent, why=heard.why)
    target = texting.then if isinstance(texting, AppLink) and sent else texting.otherwise
    return await house.store.run(
        lambda tx: ways.go_on(house, tx, tx.calls.get(call.id), target).stored(house, tx)
    )


async def _decided(house: House, call: Call, texting: Texting) -> Call:
    """The text is in the outbox or never will be, in one transaction with where the caller stands then."""

    def write(tx: Tx) -> tuple[Call, Sent]:
        current = tx.calls.get(call.id)
        sent = _sent(house, tx, current, texting)
        told = replace(current.where, texted=sent.goes_out)
        going = Going(current.led_to(Chapter.TEXTING, told))
        if sent.goes_out and isinstance(texting, GoBySms):
            going = ways.last_words(going, texting.queue, texting.prompt)
        return going.stored(house, tx), sent

    call, sent = await house.store.run(write)
    if sent.taken is not None:
        house.full_caps.took(sent.taken)
    if sent.goes_out:
        house.message_queued()
    return call


def _sent(house: House, tx: Tx, call: Call, texting: Texting) -> Sent:
    """Whoever comes by again gets the same link no second time."""
    asked = call.where.asked
    if asked is None:
        raise Refused(f"call {call.id}: nobody asked for the text of node {call.where.node}")
    text, purpose = house.site.worded(texting.text, call.language), Purpose.DEFLECTION
    if isinstance(texting, AppLink):
        text, purpose = text.replace("{link}", _link(texting, call)), Purpose.APP_LINK
    if any(each.purpose == purpose and each.text == text for each in tx.messages.of_call(call.id)):
        return Sent(True)
    return asked_sms.ask_for(house, tx, replace(call, queue=texting.queue), text, asked, purpose)


def _link(texting: AppLink, call: Call) -> str:
    """With ``LINK_FACTS`` filled in."""
    facts = {"call": call.id, "number": call.number, "language": call.language}
    link = texting.link
    for name, value in facts.items():
        link = link.replace(f"{{{name}}}", quote(value, safe=""))
    return link
