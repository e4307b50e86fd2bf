"""How a call's coroutine may end. Three ways that are never mixed up.

*The caller is gone*: the end is stored, the agent freed, legs and bridge cleared away.
*The engine is stopping* (cancellation): nothing is touched; the next engine takes the call over.
*A bug*: logged, and the caller is sent to the fallback dialplan, never hung up on.

*Somebody of the staff ends the call* at any time, by the API: that is stored first, then both are hung up on.
Its coroutine learns of it by the hang-up, or in the store, whichever comes first.

A caller whose queue was taken out of the configuration can be served by nobody: they are told so, and the
call ends.

A caller whom the watchdog sent to the fallback while this engine was cut off is not gone: the call stays
open and keeps its place until an engine is offered it again. And when something outside fails (Asterisk or
the store does not answer), nothing ends: the caller hears music while the engine waits, and goes on from
the stored chapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Final, TypeVar

import structlog

from ivr_engine.callflow import agent, in_call_sms, party, tickets
from ivr_engine.callflow.house import House
from ivr_engine.callflow.journey import journey
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.domain.events import CallFellBack, CallFinished
from ivr_engine.errors import (
    CallEnded,
    CallMoved,
    ExternalError,
    Gone,
    NotInStasis,
    NotUp,
    QueueRemoved,
    Refused,
    Rejected,
)
from ivr_engine.ports import Failed, Leg, Prompt, Tx

log = structlog.get_logger()

T = TypeVar("T")

RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries while something outside does not answer; the last one repeats."""

REJECTIONS_BEFORE_FALLBACK: Final = 5
"""A request refused this often in a row is our mistake, not the other side's trouble."""

_REFUSALS: Final = (Gone, NotInStasis, NotUp, Rejected)
"""What says that Asterisk is well and does not do what we ask; a full disk is not among it."""


class Ending(Enum):
    """Whether the caller is still somewhere in the telephone system."""

    GONE = auto()
    IN_FALLBACK = auto()


async def supervise(house: House, leg: Leg, call: Call) -> Ending:
    """Run the call to one of its endings. Raises only ``CancelledError``: the engine is stopping."""
    with structlog.contextvars.bound_contextvars(call=call.id):
        try:
            reason = await _through_outages(house, leg, call)
            await _hang_up(house, leg, call.id, reason)
        except CallMoved as error:
            log.warning("call.moved", remedy="taken over again when the fallback offers it")
            await _leave_in_fallback(house, call.id, error)
            return Ending.IN_FALLBACK
        except CallEnded:
            await caller_gone(house, call.id)
        except QueueRemoved as error:
            await _apologise(house, leg, call, error)
        except Refused as error:
            if not await _has_ended(house, call.id):
                return await _fault(house, leg, call.id, error)
            await caller_gone(house, call.id)
            await _insist("call.not_hung_up", leg.hang_up)
        except Exception as error:
            return await _fault(house, leg, call.id, error)
        return Ending.GONE


async def _has_ended(house: House, call_id: str) -> bool:
    """The staff ended it while its coroutine was at something else: no fault."""
    call = await _insist("call.not_read", lambda: house.store.run(lambda tx: tx.calls.get(call_id)))
    return call.ended_at is not None


async def _fault(house: House, leg: Leg, call_id: str, error: Exception) -> Ending:
    log.exception("call.fault", remedy="the caller was sent to the fallback; report this trace")
    await _send_to_fallback(house, leg)
    await _leave_in_fallback(house, call_id, error)
    return Ending.IN_FALLBACK


async def _through_outages(house: House, leg: Leg, call: Call) -> EndReason:
    failures = rejections = 0
    said = ""
    while True:
        try:
            return await journey(house, leg, call)
        except ExternalError as error:
            rejections = rejections + 1 if isinstance(error, _REFUSALS) else 0
            if rejections >= REJECTIONS_BEFORE_FALLBACK:
                raise
            if str(error) != said:  # once a trouble, not once a try: many callers have the same
                log.warning("call.outage", error=str(error), meaning="music until it is over")
            said = str(error)
        await leg.until(asyncio.sleep(_pause_s(failures)))
        failures += 1
        call = await _reload(house, leg, call)


async def _reload(house: House, leg: Leg, call: Call) -> Call:
    failures = 0
    while True:
        try:
            return await house.store.run(lambda tx: tx.calls.get(call.id))
        except ExternalError:
            await leg.until(asyncio.sleep(_pause_s(failures)))
            failures += 1


def _pause_s(failures: int) -> float:
    return RETRY_S[min(failures, len(RETRY_S) - 1)]


async def caller_gone(
    house: House,
    call_id: str,
    reason: EndReason = EndReason.CALLER_HUNG_UP,
    *,
    only_of: str | None = None,
) -> None:
    """Store the end, then clear away the agent's leg and the bridge. ``only_of``: unless the call is another
    engine's by now."""
    write = _end(house, call_id, reason, only_of)
    ended = await _insist("call.end_not_stored", lambda: house.store.run(write))
    if ended.ended_at is None:
        return
    log.info("call.ended", call=call_id, reason=ended.end_reason)
    await _clear_away(house, ended.legs)


async def _hang_up(house: House, leg: Leg, call_id: str, reason: EndReason) -> None:
    await caller_gone(house, call_id, reason)
    await _insist("call.not_hung_up", leg.hang_up)


async def end_by_staff(house: House, call_id: str) -> Call:
    """Store the end of an open call, in whatever state it is; ``hang_up_both`` is what must follow.

    Raises ``Refused`` when there is no such call, or when it has ended.
    """

    def write(tx: Tx) -> Call:
        if tx.calls.get(call_id).ended_at is not None:
            raise Refused(f"call {call_id} has ended already")
        if tx.calls.get(call_id).in_dialplan:
            raise Refused(f"call {call_id} is in the dialplan of a PBX: hang up there")
        return _end(house, call_id, EndReason.ENDED_BY_STAFF)(tx)

    ended = await house.store.run(write)
    log.info("call.ended", call=call_id, reason=ended.end_reason)
    return ended


async def hang_up_both(house: House, ended: Call) -> None:
    """Caller and agent of a call that has ended, wherever its channels are, also when they are gone."""
    await _insist("call.not_hung_up", lambda: house.telephony.end_leg(ended.channel_id))
    await _clear_away(house, ended.legs)


async def _apologise(house: House, leg: Leg, call: Call, error: QueueRemoved) -> None:
    log.error("call.queue_removed", queue=error.queue, remedy="take a queue out when nobody waits in it")
    await caller_gone(house, call.id, EndReason.QUEUE_REMOVED)
    await _say_and_hang_up(leg, house.prompts.get(call.language, "apology"))


async def turn_away(house: House, leg: Leg) -> None:
    """The number dialled leads nowhere: say so and hang up."""
    await _say_and_hang_up(leg, house.prompts.get(house.site.default_language, "not_in_service"))


async def _say_and_hang_up(leg: Leg, prompt: Prompt) -> None:
    """Last words; whatever keeps them from being heard, the call is hung up."""
    try:
        await leg.answer()
        await leg.stop_playing()
        heard = await leg.play([prompt])
        if isinstance(heard, Failed):
            log.error("prompt.not_heard", prompt=prompt.name, why=heard.why)
    except CallEnded:
        return
    except ExternalError as error:
        log.error("prompt.not_heard", prompt=prompt.name, why=str(error))
    await _insist("call.not_hung_up", leg.hang_up)


def _end(house: House, call_id: str, reason: EndReason, only_of: str | None = None) -> Callable[[Tx], Call]:
    """The call's end and its agent's release, in one transaction; harmless when it has ended already."""

    def write(tx: Tx) -> Call:
        now = house.clock.now()
        before = tx.calls.get(call_id)
        if before.ended_at is not None or only_of not in (None, before.engine):
            return before
        if before.is_callback and reason is not EndReason.ENDED_BY_STAFF:
            return before  # whoever is to be called back may hang up
        current = tickets.if_abandoned(house, tx, before.ended(reason, now), now)
        tx.calls.save(current)
        tx.events.add(now, call_id, CallFinished(reason))
        in_call_sms.close_session(house, tx, current)
        agent.release(house, tx, before)
        return current

    return write


async def _clear_away(house: House, legs: Sequence[str]) -> None:
    """Hang up on everybody whom a call has with it."""
    for each in legs:
        await _insist("call.leg_not_ended", partial(party.clear_away, house, each))


async def _insist(trouble: str, do: Callable[[], Awaitable[T]]) -> T:
    """Until it is done: what must happen at the end of a call is not given up."""
    failures, said = 0, ""
    while True:
        try:
            return await do()
        except ExternalError as error:
            if str(error) != said:
                log.warning(trouble, error=str(error), remedy="tried again until it is done")
            said = str(error)
        await asyncio.sleep(_pause_s(failures))
        failures += 1


async def _send_to_fallback(house: House, leg: Leg) -> None:
    try:
        await leg.give_to_fallback()
    except CallEnded:
        log.info("call.gone_before_fallback")
    except ExternalError:
        log.exception("call.not_given_to_fallback", remedy="the watchdog will, if it stays without an engine")


async def _leave_in_fallback(house: House, call_id: str, error: Exception) -> None:
    """The call stays open at its place: the fallback tries every two seconds to bring it to an engine.
    If the caller hangs up there, the next sweep ends it."""
    try:
        legs = await house.store.run(lambda tx: _store_fall(house, tx, call_id, error))
    except (ExternalError, Refused):
        log.exception("call.fall_not_stored")
    else:
        await _clear_away(house, legs)


def _store_fall(house: House, tx: Tx, call_id: str, error: Exception) -> list[str]:
    """Back to waiting, or at its place in the flow as it was, the agents free; returns what names the legs
    that are to be ended."""
    now = house.clock.now()
    call = tx.calls.get(call_id)
    if call.ended_at is not None:
        return call.legs
    tx.events.add(now, call_id, CallFellBack(type(error).__name__))
    agent.release(house, tx, call)
    if not call.in_flow:
        tx.calls.save(call.waiting_again(now, house.site.interval(call.queue)))
    return call.legs
