"""Before a callback: the caller confirms a number to be called at, hangs up, and keeps the place."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from ivr_engine.callflow.callback import ALL, TRIES, WAIT_S
from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.callbacks import Callback
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallbackAgreed, CallbackNotAgreed
from ivr_engine.domain.numbers import masked, to_e164
from ivr_engine.domain.records import replace
from ivr_engine.ports import Digit, Failed, Leg, Prompt, Tx

log = structlog.get_logger()

MOST_DIGITS: Final = 16


def chosen(house: House, going: Going) -> Going:
    """For whoever offers it to a caller who waits: the number is asked for next, the place is kept."""
    return going.then(replace(going.call, chapter=Chapter.ARRANGING))


async def ask(house: House, leg: Leg, call: Call) -> Call | EndReason:
    """Have a number confirmed: the last words then; without one the caller waits on at the same place."""
    await leg.stop_playing()
    number = await _number(house, leg, call)
    if number is not None and await house.store.run(partial(_agreed, house, call, number)):
        house.bells.ring(ALL)
        await leg.play([house.prompt(call, "callback_arranged")])
        return EndReason.SAID_GOODBYE
    await leg.play([house.prompt(call, "callback_not_arranged")])
    return await house.store.run(partial(_waits_on, house, call))


async def _number(house: House, leg: Leg, call: Call) -> str | None:
    """The number called from if the caller says so, else one keyed in and read back."""
    own = _dialled_as(house, call.caller or "")
    if own is not None:
        key = await _key(leg, [house.prompt(call, "callback_this_number")])
        if key != "2":
            return own if key == "1" else None
    prompts = [house.prompt(call, "callback_number")]
    for _ in range(TRIES):
        digits = await _digits(leg, prompts)
        number = _dialled_as(house, digits)
        if number is None:
            prompts = [house.prompt(call, "callback_wrong_number"), house.prompt(call, "callback_number")]
            continue
        read_back = [house.prompt(call, f"digit_{digit}") for digit in digits]
        if await _key(leg, [*read_back, house.prompt(call, "callback_confirm")]) == "1":
            return number
        prompts = [house.prompt(call, "callback_number")]
    return None


def _dialled_as(house: House, written: str) -> str | None:
    """In E.164, if it may be dialled."""
    if house.site.transfers is None or house.site.why_not_dialled(written) is not None:
        return None
    return to_e164(written, house.site.country)


async def _key(leg: Leg, prompts: list[Prompt]) -> str | None:
    """1 or 2; asked again after anything else."""
    for _ in range(TRIES):
        heard = await leg.gather(prompts, window_s=WAIT_S)
        if isinstance(heard, Failed):
            log.error("callback.not_asked", why=heard.why)
            return None
        if isinstance(heard, Digit) and heard.key in ("1", "2"):
            return heard.key
    return None


async def _digits(leg: Leg, prompts: list[Prompt]) -> str:
    """Until hash, or a pause."""
    digits, heard = "", await leg.gather(prompts, window_s=WAIT_S)
    while isinstance(heard, Digit) and heard.key.isdigit() and len(digits) < MOST_DIGITS:
        digits += heard.key
        heard = await leg.gather([], window_s=WAIT_S, go_on=True)
    return digits


def _agreed(house: House, call: Call, number: str, tx: Tx) -> bool:
    """From here on the place outlives the caller's hanging up."""
    now, current = house.clock.now(), tx.calls.get(call.id)
    if current.chapter is not Chapter.ARRANGING:
        return False
    expires_at = now + timedelta(seconds=house.site.callbacks.expires)
    callback = Callback(number=number, expires_at=expires_at)
    tx.calls.save(replace(current, chapter=Chapter.CALLBACK, callback=callback, next_announcement_at=None))
    tx.events.add(now, call.id, CallbackAgreed(number))
    log.info("callback.agreed", number=masked(number))
    return True


def _waits_on(house: House, call: Call, tx: Tx) -> Call:
    current = tx.calls.get(call.id)
    if current.chapter is Chapter.ARRANGING:
        current = current.waiting_again(house.clock.now(), house.site.interval(current.queue))
        tx.calls.save(current)
        tx.events.add(house.clock.now(), call.id, CallbackNotAgreed())
    return current
