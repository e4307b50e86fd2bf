"""Whether a caller is asked now if a text may be sent, and on record why where not."""

from __future__ import annotations

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import NotOffered, why_not_offered
from ivr_engine.domain.events import ConsentAsked, ConsentNotOffered, Happening
from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.wait_estimate import Estimate
from ivr_engine.ports import Tx


def why_never_asked(house: House, call: Call) -> tuple[Happening, ...]:
    """To put on record, of a caller who chooses something else than to wait before ever being asked."""
    if not house.site.rules_for(call.queue).enabled or call.consent.status is not None:
        return ()
    return (ConsentNotOffered(NotOffered.LEFT_THE_LINE, call.queue, call.language),)


def ask_or_skip(house: House, tx: Tx, call: Call, wait: Estimate | None) -> tuple[Call, NotOffered | None]:
    """On to the consent chapter, or stay, and why. ``wait`` counts where the queue's rules have a window."""
    why = why_not_offered(
        call.consent,
        house.site.rules_for(call.queue),
        receiver(call.caller),
        was_over_capacity=call.over_capacity,
        wait=wait,
        attested=call.routing.attested,
        full=house.full_caps.one_of(tx, house.site.abuse.caps, call.caller or "", house.clock.now()),
    )
    if why is None and call.caller is not None and tx.opt_outs.is_opted_out(call.caller):
        why = NotOffered.OPTED_OUT  # looked up only for who would be asked
    if why is None:
        call = call.at(Chapter.CONSENT)
        tx.calls.save(call)
        asked = ConsentAsked(call.consent.rounds + 1, call.queue, call.language)
        tx.events.add(house.clock.now(), call.id, asked)
    else:
        tx.events.add(house.clock.now(), call.id, ConsentNotOffered(why, call.queue, call.language))
    return call, why
