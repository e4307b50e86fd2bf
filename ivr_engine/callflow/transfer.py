"""A caller is transferred to a number outside."""

from __future__ import annotations

import structlog

from ivr_engine.callflow import party, ways
from ivr_engine.callflow.house import House
from ivr_engine.domain import handover
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.domain.events import CallTransferred, TransferFailed
from ivr_engine.domain.numbers import masked
from ivr_engine.errors import Refused
from ivr_engine.ports import DialResult, Leg, Tx
from ivr_engine.site.flows import Transfer

log = structlog.get_logger()


async def dial(house: House, leg: Leg, call: Call) -> Call:
    """Music while it rings; on to ``transferred``, or on in the flow by the other way."""
    transfer = house.doing(call, Transfer)
    number = house.number_outside(transfer, call)
    await house.telephony.park(leg, transfer.music)
    result = await leg.until(party.ring(house, call, number, outside=True))
    if result is DialResult.ANSWERED:
        return await house.store.run(lambda tx: _answered(house, tx, call, number))
    log.info("transfer.failed", number=masked(number), reason=result)
    failed = await house.store.run(lambda tx: _failed(house, tx, call, transfer, number, result))
    await house.telephony.end_leg(party.leg_id(_offer(call)))
    return failed


async def talk(house: House, leg: Leg, call: Call) -> EndReason:
    """Until whoever was dialled hangs up."""
    await party.bridge_again(house, leg, _offer(call))
    await party.until_gone(house, leg, _offer(call))
    return EndReason.TRANSFER_OVER


async def hand_on(house: House, leg: Leg, call: Call) -> Call:
    """An agent handed the caller on to a number: music while it rings; on to ``transferred``, or back to the
    line."""
    number = call.talk.outside or ""
    await house.telephony.park(leg, house.music(call))
    result = await leg.until(party.ring(house, call, number, outside=True))
    if result is DialResult.ANSWERED:
        return await house.store.run(lambda tx: _answered_by_hand(house, tx, call, number))
    log.info("transfer.failed", number=masked(number), reason=result)
    failed = await house.store.run(lambda tx: _back_to_line(house, tx, call, number, result))
    await house.telephony.end_leg(party.leg_id(_offer(call)))
    return failed


def _answered_by_hand(house: House, tx: Tx, call: Call, number: str) -> Call:
    current = handover.answered_outside(tx.calls.get(call.id))
    return ways.Going(current, (CallTransferred(number),)).stored(house, tx)


def _back_to_line(house: House, tx: Tx, call: Call, number: str, result: DialResult) -> Call:
    current = tx.calls.get(call.id).waiting_again(house.clock.now(), house.site.interval(call.queue))
    return ways.Going(current, (TransferFailed(number, result),)).stored(house, tx)


def _answered(house: House, tx: Tx, call: Call, number: str) -> Call:
    now = house.clock.now()
    current = tx.calls.get(call.id).transferred(now)
    return ways.Going(current, (CallTransferred(number),)).stored(house, tx)


def _failed(house: House, tx: Tx, call: Call, transfer: Transfer, number: str, result: DialResult) -> Call:
    going = ways.Going(tx.calls.get(call.id), (TransferFailed(number, result),))
    further = ways.go_on(house, tx, going.call, transfer.otherwise)
    return going.then(further.call, *further.happenings).stored(house, tx)


def _offer(call: Call) -> str:
    if call.offer_id is None:
        raise Refused(f"call {call.id} is {call.chapter}: nobody was dialled")
    return call.offer_id
