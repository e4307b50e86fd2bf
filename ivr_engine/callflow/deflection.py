"""Over capacity, the caller goes on by SMS: a text goes out and the call ends politely. The key is the
consent."""

from __future__ import annotations

from dataclasses import dataclass

from ivr_engine.callflow import asked_sms, ways
from ivr_engine.callflow.house import House
from ivr_engine.domain.abuse import Taken
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import LineLeft
from ivr_engine.domain.messages import Purpose
from ivr_engine.domain.visit import Asked
from ivr_engine.ports import Tx
from ivr_engine.site.over_capacity import GoToSms, OverCapacity

WORDS = "deflected"


@dataclass(frozen=True, slots=True)
class Deflected:
    """``going``: to the last words; ``None``: the SMS cannot be sent. ``taken`` as of ``asked_sms.Sent``."""

    going: ways.Going | None
    taken: Taken | None = None


def deflect(
    house: House, tx: Tx, call: Call, settings: OverCapacity, sms: GoToSms, key: str | None
) -> Deflected:
    """What was asked, in the words of ``settings.prompt``, and answered by ``key`` is proof."""
    text = house.site.worded(sms.text, call.language)
    asked = Asked(settings.prompt, key)
    sent = asked_sms.ask_for(house, tx, call, text, asked, Purpose.DEFLECTION)
    if not sent.goes_out:
        return Deflected(None, sent.taken)
    left = ways.Going(call.left_line(), (LineLeft(call.queue, "over_capacity"),))
    return Deflected(ways.last_words(left, call.queue, WORDS), sent.taken)
