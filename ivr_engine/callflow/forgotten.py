"""Calls of engines that are no more: their application was renamed, or the machine was taken away.

An engine looks after the rows that bear its own name; rows of another are that one's, for it may be alive
beside another Asterisk whose channels we cannot see. So every engine leaves signs of life in the store, and
calls of one that has left none for long are ended, once their channels are not in our Asterisk either. A
caller who is still somewhere is taken over, under the new name, when the fallback offers the channel.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from ivr_engine.callflow import callback
from ivr_engine.callflow.endings import caller_gone
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Tx

log = structlog.get_logger()

SIGN_EVERY_S: Final = 60.0
"""Between two signs of life."""

SILENT_S: Final = 900.0
"""An engine without a sign for so long has no callers: the watchdog's limit and the fallback's together are
shorter."""


async def look_after(house: House) -> None:
    """For ever. A store or an Asterisk that does not answer is asked again at the next turn."""
    trouble = Trouble("calls.not_looked_after", "calls.looked_after_again")
    while True:
        try:
            await leave_sign(house)
            await _end_forgotten(house)
            trouble.over()
        except ExternalError as error:
            trouble.met(error, remedy=f"tried again every {SIGN_EVERY_S:g} s")
        await asyncio.sleep(SIGN_EVERY_S)


async def leave_sign(house: House) -> None:
    """Before the first call is taken, so that no call belongs to an engine never heard of."""
    name, now = house.telephony.name, house.clock.now()
    await house.store.run(lambda tx: tx.engines.lives(name, now))


async def _end_forgotten(house: House) -> None:
    calls = await house.store.run(lambda tx: _forgotten(house, tx))
    if not calls or not house.telephony.connected:
        return
    there = (await house.telephony.snapshot()).all
    for call in calls:
        if call.is_callback:
            await house.store.run(partial(_adopt, house, call.id, call.engine))
            house.bells.ring(callback.ALL)
        elif call.channel_id not in there:
            log.warning("call.forgotten", call=call.id, application=call.engine)
            await caller_gone(house, call.id, EndReason.GONE_DURING_OUTAGE, only_of=call.engine)


def _adopt(house: House, call_id: str, of: str, tx: Tx) -> None:
    """Somebody is to be called back: by whom does not matter."""
    call = tx.calls.get(call_id)
    if call.is_callback and call.engine == of:
        tx.calls.save(replace(call, engine=house.telephony.name))


def _forgotten(house: House, tx: Tx) -> list[Call]:
    since = house.clock.now() - timedelta(seconds=SILENT_S)
    alive = {name for name, at in tx.engines.last_signs().items() if at >= since}
    return [call for call in tx.calls.open() if call.engine not in alive]
