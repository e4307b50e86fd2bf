"""Caller and agent talk, until one of them hangs up or the caller is handed on.

Commands (``commands``) change what is stored and ring the call's bell; here the telephone system is made to
follow, and what the parties do by themselves (answer, hang up) is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from ivr_engine.callflow import agent, party, recording
from ivr_engine.callflow.arrangement import Arrangement
from ivr_engine.callflow.house import House
from ivr_engine.domain import handover
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallHandedOver, ConsultAnswered, ConsultEnded, ListeningEnded
from ivr_engine.domain.records import replace
from ivr_engine.domain.talk import Stage, Talk
from ivr_engine.errors import CallEnded, ExternalError, Gone
from ivr_engine.ports import DialResult, Leg, Tx

log = structlog.get_logger()

T = TypeVar("T")

ARRANGED_AGAIN_S: Final = 1.0
"""After this, what Asterisk refused is asked for again. Whoever refused because they had hung up has been
told of by then."""


async def talk(house: House, leg: Leg, call: Call, *, taken_over: bool) -> Call | EndReason:
    """Until the agent hangs up; or the call as it is handed on, to whoever has it next."""
    arrangement = Arrangement(house, leg, None if taken_over else replace(call, talk=Talk()))
    try:
        over = await _until_over(house, leg, call, arrangement)
    except CallEnded:
        await _part_at_the_end(house, call.id, arrangement)
        raise
    if isinstance(over, EndReason):
        await _part_at_the_end(house, call.id, arrangement)
    return over


async def _until_over(house: House, leg: Leg, call: Call, arrangement: Arrangement) -> Call | EndReason:
    with house.bells.of(call.id) as bell:
        while True:
            bell.clear()
            house = house.for_a_step()
            call = await house.store.run(partial(_row, call.id))
            if call.chapter is not Chapter.TALKING:
                await arrangement.part(call)
                return call
            if not await arrangement.follow(call):
                await recording.failed(house, call)
                continue
            again = ARRANGED_AGAIN_S if arrangement.incomplete else None
            ended = await leg.until(_next(house, leg, call, bell, again))
            if ended is not None:
                return ended


async def _part_at_the_end(house: House, call_id: str, arrangement: Arrangement) -> None:
    """From who was taken out of the call just before: its end knows only those who are in it. What fails is
    cleared away as strays are."""
    try:
        await arrangement.leave_out(await house.store.run(partial(_row, call_id)))
    except ExternalError as error:
        log.warning("conversation.not_parted", call=call_id, why=str(error))


def _row(call_id: str, tx: Tx) -> Call:
    return tx.calls.get(call_id)


async def _next(
    house: House, leg: Leg, call: Call, bell: asyncio.Event, again_s: float | None
) -> EndReason | None:
    """Until something changes, and has been stored, or ``again_s`` have passed; a reason when it was the
    end."""
    consult, listener = call.talk.consult, call.talk.listener
    waiting: dict[str, Coroutine[Any, Any, object]] = {"agent": party.gone(house, call.offer.id)}
    if consult is not None:
        ringing = consult.stage is Stage.RINGING
        left_s = (consult.ends_at - house.clock.now()).total_seconds()
        waiting["consult"] = _rung(house, consult.id, left_s) if ringing else party.gone(house, consult.id)
    if listener is not None:
        left_s = (listener.ends_at - house.clock.now()).total_seconds()
        waiting["listener"] = (
            party.gone(house, listener.id) if listener.there else _rung(house, listener.id, left_s)
        )
    if call.talk.asking:
        waiting["question"] = recording.ask_now(house, leg, call)
    waiting["bell"] = bell.wait()
    if again_s is not None:
        waiting["again"] = asyncio.sleep(again_s)
    who, result = await _first(waiting)
    if who == "agent":
        return await _agent_left(house, call)
    if who == "consult":
        await _consult_changed(house, call, result)
    if who == "listener":
        await _listener_changed(house, call, result)
    return None


async def _rung(house: House, id: str, left_s: float) -> DialResult:
    try:
        leg = await house.telephony.adopt(party.leg_id(id))
    except Gone:
        return DialResult.UNREACHABLE
    return await leg.rung(max(0.0, left_s))


async def _first(waiting: dict[str, Coroutine[Any, Any, object]]) -> tuple[str, object]:
    """Whichever is over first, and its result; the others are cancelled. The order given decides ties."""
    tasks = {name: asyncio.ensure_future(each) for name, each in waiting.items()}
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        name = next(name for name, task in tasks.items() if task.done())
        return name, tasks[name].result()
    finally:
        await _cancelled(tasks.values())


async def _cancelled(tasks: Any) -> None:  # noqa: ANN401
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            log.debug("conversation.late", why=str(task.exception()))


async def _agent_left(house: House, call: Call) -> EndReason | None:
    """With somebody else there, or being rung, the caller is theirs; else the call is over."""

    def write(tx: Tx) -> bool:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.TALKING or current.offer_id != call.offer_id:
            return True
        if current.talk.consult is None:
            return False
        hand_over(house, tx, current)
        return True

    return None if await house.store.run(write) else EndReason.AGENT_HUNG_UP


def hand_over(house: House, tx: Tx, call: Call) -> Call:
    """The agent is done with the call, the third party has it."""
    consult = call.talking().at(*Stage)
    after = recording.begins(house, tx, handover.handed_over(call))
    agent.let_go(house, tx, call.offer.agent, call)
    if call.talk.listener is not None:
        agent.let_go(house, tx, call.talk.listener.agent, call)
    tx.calls.save(after)
    tx.events.add(house.clock.now(), call.id, CallHandedOver(call.offer.agent, consult.whom))
    return after


async def _consult_changed(house: House, call: Call, result: object) -> None:
    consult = call.talk.consult
    if consult is None:
        return

    def write(tx: Tx) -> None:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.TALKING or current.talk.consult != consult:
            return  # somebody was quicker: whoever looks next will see
        if result is DialResult.ANSWERED:
            if consult.agent:
                agent.accept(house, tx, consult.agent, current)
            tx.calls.save(replace(current, talk=current.talk.staged(Stage.PRIVATE)))
            tx.events.add(house.clock.now(), call.id, ConsultAnswered(consult.whom))
        else:
            why = result if isinstance(result, DialResult) else "hung_up"
            end_consult(house, tx, current, why, missed=isinstance(result, DialResult))

    await house.store.run(write)


def end_consult(house: House, tx: Tx, call: Call, reason: str, *, missed: bool = False) -> Call:
    """The third party is out of it; caller and agent go on as before."""
    consult = call.talking().at(*Stage)
    if consult.agent and missed:
        agent.miss(house, tx, consult.agent, call, reason)
    elif consult.agent:
        agent.let_go(house, tx, consult.agent, call)
    call = replace(call, talk=call.talk.taken_back())
    tx.calls.save(call)
    tx.events.add(house.clock.now(), call.id, ConsultEnded(consult.whom, reason))
    return recording.as_arranged(house, tx, call)


async def _listener_changed(house: House, call: Call, result: object) -> None:
    listener = call.talk.listener
    if listener is None:
        return

    def write(tx: Tx) -> None:
        current = tx.calls.get(call.id)
        if current.chapter is not Chapter.TALKING or current.talk.listener != listener:
            return
        if result is DialResult.ANSWERED:
            agent.accept(house, tx, listener.agent, current)
            tx.calls.save(replace(current, talk=current.talk.listener_answered()))
        else:
            end_listening(house, tx, current, result if isinstance(result, DialResult) else "hung_up")

    await house.store.run(write)


def end_listening(house: House, tx: Tx, call: Call, reason: str) -> Call:
    listener, talk = call.talk.listener, call.talking().unheard()
    if listener is not None:
        agent.let_go(house, tx, listener.agent, call)
        tx.events.add(house.clock.now(), call.id, ListeningEnded(listener.agent, reason))
    call = replace(call, talk=talk)
    tx.calls.save(call)
    return call
