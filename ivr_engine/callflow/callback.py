"""A caller is called back: when an agent is reserved the number is dialled, and once a person has said that
it is them, the agent's phone rings. Which number that is, is settled before, in ``callback_number``.

A call's row says which of these it is at. Nobody is dialled without an agent reserved for it, and that it is
being dialled is stored before: after a crash in between, the number counts as not reached, and is tried
again later; it is never dialled twice for one reservation.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from ivr_engine.callflow import agent, party, recording, tickets
from ivr_engine.callflow.house import House
from ivr_engine.domain.callbacks import Callback
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallbackDialled, CallbackFailed, CallbackReached, CallFinished
from ivr_engine.domain.records import replace
from ivr_engine.errors import CallEnded, ExternalError, Gone, Refused, Rejected
from ivr_engine.ports import DialResult, Digit, Leg, Tx

log = structlog.get_logger()

ALL: Final = "callbacks"
"""The bell that says: there is a new one."""

WAIT_S: Final = 8.0
"""For a key, after a question; and for the next digit of a number."""
TRIES: Final = 3
OUTAGE_S: Final = 2.0
FAULT_S: Final = 30.0


async def live(house: House, call_id: str) -> tuple[Leg, Call] | None:
    """Until the person is on the line and the agent's phone is to ring; ``None`` when it is over."""
    while True:
        try:
            call = await house.store.run(lambda tx: tx.calls.get(call_id))
            if call.chapter is Chapter.CALLBACK:
                await _wait(house, call)
            elif call.chapter is Chapter.CALLING_BACK:
                reached = await _call(house, call)
                if reached is not None:
                    return reached
            else:
                return None
        except ExternalError as error:
            log.warning("callback.outage", call=call_id, error=str(error), meaning="tried on when it is over")
            await asyncio.sleep(OUTAGE_S)
        except Exception:
            # Nobody is on the line who could be sent to the fallback: it counts as a try that failed.
            log.exception("callback.fault", call=call_id, remedy="tried again later; report this trace")
            await _give_up_try(house, call_id)
            await asyncio.sleep(FAULT_S)


async def _give_up_try(house: House, call_id: str) -> None:
    try:
        call = await house.store.run(lambda tx: tx.calls.get(call_id))
        if call.chapter is Chapter.CALLING_BACK:
            await house.store.run(partial(_failed, house, call, "fault"))
            await house.telephony.end_leg(call.channel_id)
    except ExternalError as error:
        log.warning("callback.outage", call=call_id, error=str(error))


async def _wait(house: House, call: Call) -> None:
    """In the line like any caller, until an agent is reserved, it is cancelled, or expires."""
    callback, now = _of(call), house.clock.now()
    with house.bells.of(call.id) as bell:
        try:
            async with asyncio.timeout(callback.left_s(now)):
                if callback.wait_s(now) > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), callback.wait_s(now))
                    return
                with house.line.seat(call.id) as seat:
                    async with seat.interrupting():
                        await bell.wait()
                    seat.heard()
        except TimeoutError:
            await house.store.run(partial(_over, house, call, EndReason.CALLBACK_EXPIRED))


def _over(house: House, call: Call, reason: EndReason, tx: Tx) -> Call:
    """It ends, unless an agent has been reserved meanwhile."""
    current = tx.calls.get(call.id)
    if current.chapter is not Chapter.CALLBACK:
        return current
    now = house.clock.now()
    ended = tickets.if_abandoned(house, tx, current.ended(reason, now), now)
    tx.calls.save(ended)
    tx.events.add(now, call.id, CallFinished(reason))
    log.info("callback.over", reason=reason)
    return ended


async def _call(house: House, call: Call) -> tuple[Leg, Call] | None:
    """Dial, and have a person say that they are there."""
    call, fresh = await house.store.run(partial(_dialling, house, call))
    if call.chapter is not Chapter.CALLING_BACK:
        return None
    try:
        leg = await (_dial(house, call) if fresh else house.telephony.adopt(call.channel_id))
        result: str = await leg.rung(_left_s(house, call))
        if result == DialResult.ANSWERED:
            result = await _person(house, leg, call)
    except (Rejected, Gone):
        result = DialResult.UNREACHABLE if fresh else "unclear"
    except CallEnded:
        result = "hung_up"
    else:
        if result == "person":
            current = await house.store.run(partial(_reached, house, call))
            if current.chapter is Chapter.RINGING:
                return leg, current
    await house.store.run(partial(_failed, house, call, result))
    await house.telephony.end_leg(call.channel_id)
    return None


def _dialling(house: House, call: Call, tx: Tx) -> tuple[Call, bool]:
    """That it is dialled is stored before. False: an engine before this one did that, or may have."""
    now, current = house.clock.now(), tx.calls.get(call.id)
    if current.chapter is not Chapter.CALLING_BACK or _of(current).rings_until is not None:
        return current, False
    callback = _of(current).dialled(now, house.site.callbacks.ring_time)
    leg_id = party.customer_leg_id(current.offer.id)
    current = replace(current, callback=callback, channel_id=leg_id)
    tx.calls.save(current)
    tx.events.add(now, call.id, CallbackDialled(callback.attempts))
    return current, True


async def _dial(house: House, call: Call) -> Leg:
    transfers, number = house.site.transfers, _of(call).number
    if transfers is None or house.site.why_not_dialled(number) is not None:
        raise Rejected("the number may not be dialled any more")
    return await house.telephony.dial(
        number,
        leg_id=call.channel_id,
        caller=transfers.caller_id,
        timeout_s=_left_s(house, call),
        trunk=transfers.trunk,
    )


def _left_s(house: House, call: Call) -> float:
    until = _of(call).rings_until
    return max(0.0, (until - house.clock.now()).total_seconds()) if until is not None else 0.0


async def _person(house: House, leg: Leg, call: Call) -> str:
    """A machine presses no key."""
    await leg.stop_playing()
    for _ in range(TRIES):
        heard = await leg.gather([house.prompt(call, "callback_person")], window_s=WAIT_S)
        if isinstance(heard, Digit) and heard.key == "1":
            await recording.tell_called_back(house, leg, call)
            return "person"
    return "no_person"


def _reached(house: House, call: Call, tx: Tx) -> Call:
    """On as any caller for whom an agent is reserved."""
    now, current = house.clock.now(), tx.calls.get(call.id)
    if current.chapter is not Chapter.CALLING_BACK:
        return current
    queue = house.site.queues.get(current.queue)
    ends_at = now + timedelta(seconds=queue.ring_time if queue is not None else WAIT_S)
    current = replace(current, chapter=Chapter.RINGING, offer_ends_at=ends_at)
    tx.calls.save(current)
    tx.events.add(now, call.id, CallbackReached(_of(current).attempts))
    return current


def _failed(house: House, call: Call, reason: str, tx: Tx) -> Call:
    """Not reached: the agent is free, the place is kept for another try, if there is one left."""
    now, current = house.clock.now(), tx.calls.get(call.id)
    if current.chapter is not Chapter.CALLING_BACK or current.offer_id != call.offer_id:
        return current
    agent.release(house, tx, current)
    settings, callback = house.site.callbacks, _of(current)
    tx.events.add(now, call.id, CallbackFailed(callback.attempts, reason))
    log.info("callback.not_reached", attempt=callback.attempts, reason=reason)
    current = replace(
        current,
        chapter=Chapter.CALLBACK,
        agent=None,
        offer_id=None,
        offer_ends_at=None,
        callback=callback.not_reached(now, settings.retry_after),
    )
    if callback.called_off or callback.attempts > settings.retries:
        why = EndReason.CALLBACK_CANCELLED if callback.called_off else EndReason.CALLBACK_FAILED
        current = tickets.if_abandoned(house, tx, current.ended(why, now), now)
        tx.events.add(now, call.id, CallFinished(why))
    tx.calls.save(current)
    return current


def _of(call: Call) -> Callback:
    if call.callback is None:
        raise Refused(f"call {call.id} is not to be called back")
    return call.callback


# ── taking it back ───────────────────────────────────────────────────────────────────────────────


async def cancel(house: House, call_id: str) -> Call:
    """By the staff. ``Refused`` once the number is being dialled."""

    def write(tx: Tx) -> Call:
        current = tx.calls.get(call_id)
        if current.chapter is not Chapter.CALLBACK:
            raise Refused(f"call {call_id} is {current.state}: no callback waits")
        return _over(house, current, EndReason.CALLBACK_CANCELLED, tx)

    ended = await house.store.run(write)
    house.bells.ring(call_id)
    return ended
