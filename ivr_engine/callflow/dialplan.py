"""Callers of another PBX, whose dialplan hands them over for one round of the consent conversation at a time.

The call is in the store from its first visit until it is over in the PBX: texts belong to it meanwhile, and
the ticket is opened when the PBX connects an agent. Of both the PBX's manager interface tells; where there is
none, the call ends with the visit. That the caller was over capacity and chose to wait is for the dialplan to
know, which asks; our queue's rules say the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from ivr_engine.callflow import tickets, visits
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.endings import caller_gone
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.domain.dialplan import AppQueue, Trouble, VisitOutcome, VisitStatus, failed
from ivr_engine.domain.events import AgentConnected
from ivr_engine.domain.numbers import masked
from ivr_engine.domain.records import replace
from ivr_engine.errors import CallEnded, ExternalError
from ivr_engine.observability.rationed import RationedLog
from ivr_engine.ports import Tx
from ivr_engine.ports.pbx import Pbx, Visit

log = structlog.get_logger()

QUEUE_S: Final = 1.0
"""For the PBX to say how its queue stands; the caller hears nothing meanwhile."""
STORE_S: Final = 3.0
"""For the store to take the end of a visit; likewise."""
SETTLE_S: Final = 5.0


class DialplanCalls:
    """``receive`` takes visits, ``run`` looks after the calls between them, as a ``ports.PbxCalls`` does.
    ``held``: calls in the engine's hands besides these."""

    def __init__(self, house: House, admission: Admission, pbx: Pbx | None, held: Callable[[], int]) -> None:
        self._house = house
        self._admission = admission
        self._pbx = pbx
        self._held = held
        self._visits: dict[str, asyncio.Event] = {}
        self._rationed_log = RationedLog()
        self._left: dict[str, EndReason] = {}
        """Calls whose visit is over, which is not stored yet."""

    async def empty(self) -> None:
        """Until no visit is left."""
        for over in list(self._visits.values()):
            await over.wait()

    # ── a visit ──────────────────────────────────────────────────────────────────────────────────

    async def receive(self, visit: Visit) -> VisitOutcome:
        """From the hand-over to what the dialplan is told. Raises ``CallEnded`` when the caller hung up, or
        went on without us."""
        house = self._house.for_a_step()
        if visit.queue not in house.site.queues:
            remedy = "name a queue of the configuration in the address of AGI()"
            self._rationed_log.warning("visit.no_such_queue", cause=visit.queue, remedy=remedy)
            return failed(Trouble.NO_SUCH_QUEUE)
        limits = house.site.limits.limits
        if not self._admission.wants(limits, calls=self._held() + len(self._visits), coming=0):
            why = self._admission.overloaded
            return VisitOutcome(status=VisitStatus.NOT_OFFERED, reason=str(why or "overloaded"))
        self._admission.took(limits)
        over = self._visits[visit.leg.id] = asyncio.Event()
        try:
            return await self._lived(house, visit)
        finally:
            over.set()
            if self._visits.get(visit.leg.id) is over:
                del self._visits[visit.leg.id]

    async def _lived(self, house: House, visit: Visit) -> VisitOutcome:
        try:
            queue = await self._app_queue(visit.app_queue)
            begun = await house.store.run(partial(visits.begin, house, visit, queue))
        except ExternalError as error:
            log.error("visit.not_begun", error=str(error), meaning="the caller went on in the dialplan")
            return failed(Trouble.STORE_UNAVAILABLE)
        call = begun.call
        if self._pbx is not None:
            self._pbx.knows(call.channel_id)
        with structlog.contextvars.bound_contextvars(call=call.id):
            log.info("visit.begun", caller=masked(call.caller), queue=call.queue, why_not=begun.why)
            return await self._talked(house, visit, begun, queue)

    async def _talked(
        self, house: House, visit: Visit, begun: visits.Begun, queue: AppQueue | None
    ) -> VisitOutcome:
        call, trouble = begun.call, Trouble.NOT_PLAYED
        try:
            if visit.announce and queue is not None:
                await visits.announce(house, visit.leg, call, queue)
            if begun.why is None:
                call = await visits.ask(house, visit.leg, call)
        except ExternalError as error:
            log.error("visit.broken_off", error=str(error), meaning="the caller went on in the dialplan")
            trouble = Trouble.STORE_UNAVAILABLE
        except Exception as error:
            # One who went on without us (``CallMoved``) has not hung up.
            hung_up = type(error) is CallEnded
            await self._let_go(call, EndReason.CALLER_HUNG_UP if hung_up else EndReason.WENT_ON)
            raise
        over = await self._let_go(call, EndReason.WENT_ON)
        return replace(visits.outcome(begun, over, trouble), app_queue=queue)

    async def _app_queue(self, name: str) -> AppQueue | None:
        if self._pbx is None:
            return None
        try:
            async with asyncio.timeout(QUEUE_S):
                return await self._pbx.queue(name)
        except TimeoutError:
            log.warning("visit.queue_unknown", why="the PBX did not answer in time")
            return None

    async def _let_go(self, call: Call, reason: EndReason) -> visits.Over:
        """Back in the PBX's hands: it tells of the end, or nobody does, and this was it. A store that does
        not answer keeps no caller waiting: it is done later."""
        self._left[call.id] = reason
        try:
            async with asyncio.timeout(STORE_S):
                return await self._settle(call.id)
        except (ExternalError, TimeoutError) as error:
            log.error("visit.end_not_stored", error=str(error), remedy=f"tried again every {SETTLE_S:g} s")
            return visits.Over(call)

    async def _settle(self, call_id: str) -> visits.Over:
        if self._pbx is None or not self._pbx.connected:
            await caller_gone(self._house, call_id, self._left[call_id])
        over = await self._house.store.run(lambda tx: visits.gone_on(tx, call_id))
        self._left.pop(call_id, None)
        return over

    # ── between visits: ``ports.PbxCalls`` ───────────────────────────────────────────────────────

    async def run(self) -> None:
        """For ever: what could not be stored at once. Where no PBX tells of ends, the calls of before this
        start have had theirs."""
        before = await self._open() if self._pbx is None else []
        self._left.update((call.id, EndReason.GONE_DURING_OUTAGE) for call in before)
        while True:
            for call_id in list(self._left):
                with suppress(ExternalError):
                    await self._settle(call_id)
            await asyncio.sleep(SETTLE_S)

    async def connected(self, channels: Callable[[], Awaitable[frozenset[str]]]) -> None:
        calls = await self._open()
        for call in calls:
            if self._pbx is not None:
                self._pbx.knows(call.channel_id)
        there = await channels()
        for call in calls:
            if call.channel_id not in there:
                await caller_gone(self._house, call.id, EndReason.GONE_DURING_OUTAGE)
            elif call.channel_id not in self._visits:
                await self._house.store.run(lambda tx, gone_on=call.id: visits.gone_on(tx, gone_on))
        log.info("pbx.calls_reconciled", open=len(calls))

    async def answered(self, channel_id: str, by: str) -> None:
        house, ids = self._house, (self._house.new_id(), self._house.new_id())

        def write(tx: Tx) -> None:
            call, now = tx.calls.open_on(channel_id), house.clock.now()
            if call is None or call.ticket_id is not None:
                return
            call = replace(call, ticket_id=ids[0], answered_at=now)
            tx.calls.save(call)
            # An agent of the PBX's: in the ticket by name, and nobody whom we could reserve or free.
            tickets.open_for(tx, replace(call, agent=by), ids[0], now)
            if house.site.crm.contacts is None:
                house.identify(tx, call, ids[1], now)
            tx.events.add(now, call.id, AgentConnected(by, ids[0]))

        await house.store.run(write)

    async def hung_up(self, channel_id: str) -> None:
        call = await self._house.store.run(lambda tx: tx.calls.open_on(channel_id))
        if call is not None:
            await caller_gone(self._house, call.id)

    async def _open(self) -> list[Call]:
        name = self._house.telephony.name
        calls = await self._house.store.run(lambda tx: tx.calls.open())
        return [call for call in calls if call.in_dialplan and call.engine == name]
