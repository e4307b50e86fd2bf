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
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from ivr_engine.callflow import consent, tickets
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.endings import caller_gone
from ivr_engine.callflow.house import House
from ivr_engine.callflow.offering import ask_or_skip
from ivr_engine.callflow.waiting import position_prompt
from ivr_engine.domain.announcements import said_of_wait, says_position
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.dialplan import AppQueue, Trouble, VisitOutcome, VisitStatus, failed
from ivr_engine.domain.events import CallAdopted, CallStarted, PositionAnnounced
from ivr_engine.domain.messages import Direction
from ivr_engine.domain.numbers import masked, shown_caller
from ivr_engine.errors import CallEnded, ExternalError
from ivr_engine.ports import Failed, Leg, Prompt, Tx
from ivr_engine.ports.pbx import Pbx, Visit
from ivr_engine.site.models import Site

log = structlog.get_logger()

QUEUE_S: Final = 1.0
"""For the PBX to say how its queue stands; the caller hears nothing meanwhile."""
STORE_S: Final = 3.0
"""For the store to take the end of a visit; likewise."""
SETTLE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Begun:
    """``why`` the caller is not asked; ``None``: they are."""

    call: Call
    why: NotOffered | None


class DialplanCalls:
    """``receive`` takes visits, ``run`` looks after the calls between them, as a ``ports.PbxCalls`` does.
    ``held``: calls in the engine's hands besides these."""

    def __init__(self, house: House, admission: Admission, pbx: Pbx | None, held: Callable[[], int]) -> None:
        self._house = house
        self._admission = admission
        self._pbx = pbx
        self._held = held
        self._visits: dict[str, asyncio.Event] = {}
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
            log.warning(
                "visit.no_such_queue", remedy="name a queue of the configuration in the AGI's address"
            )
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
            begun = await house.store.run(partial(_begin, house, visit, queue))
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
        self, house: House, visit: Visit, begun: _Begun, queue: AppQueue | None
    ) -> VisitOutcome:
        call = begun.call
        try:
            if visit.announce and queue is not None:
                await _announce(house, visit.leg, call, queue)
            if begun.why is None:
                call = await _ask(house, visit.leg, call)
        except ExternalError as error:
            log.error("visit.broken_off", error=str(error), meaning="the caller went on in the dialplan")
        except Exception as error:
            # One who went on without us (``CallMoved``) has not hung up.
            hung_up = type(error) is CallEnded
            await self._let_go(call, EndReason.CALLER_HUNG_UP if hung_up else EndReason.WENT_ON)
            raise
        sent = await self._let_go(call, EndReason.WENT_ON)
        return _outcome(begun, call, sent, queue)

    async def _app_queue(self, name: str) -> AppQueue | None:
        if self._pbx is None:
            return None
        try:
            async with asyncio.timeout(QUEUE_S):
                return await self._pbx.queue(name)
        except TimeoutError:
            log.warning("visit.queue_unknown", why="the PBX did not answer in time")
            return None

    async def _let_go(self, call: Call, reason: EndReason) -> str:
        """Back in the PBX's hands: it tells of the end, or nobody does, and this was it. Returns the id of
        what was sent. A store that does not answer keeps no caller waiting: it is done later."""
        self._left[call.id] = reason
        try:
            async with asyncio.timeout(STORE_S):
                return await self._settle(call.id)
        except (ExternalError, TimeoutError) as error:
            log.error("visit.end_not_stored", error=str(error), remedy=f"tried again every {SETTLE_S:g} s")
            return ""

    async def _settle(self, call_id: str) -> str:
        if self._pbx is None or not self._pbx.connected:
            await caller_gone(self._house, call_id, self._left[call_id])
        sent = await self._house.store.run(lambda tx: _gone_on(tx, call_id))
        self._left.pop(call_id, None)
        return sent

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
                await self._house.store.run(lambda tx, gone_on=call.id: _gone_on(tx, gone_on))
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

        await house.store.run(write)

    async def hung_up(self, channel_id: str) -> None:
        call = await self._house.store.run(lambda tx: tx.calls.open_on(channel_id))
        if call is not None:
            await caller_gone(self._house, call.id)

    async def _open(self) -> list[Call]:
        name = self._house.telephony.name
        calls = await self._house.store.run(lambda tx: tx.calls.open())
        return [call for call in calls if call.in_dialplan and call.engine == name]


def _begin(house: House, visit: Visit, queue: AppQueue | None, tx: Tx) -> _Begun:
    """The stored call, asked or not. A caller who was here before has the same call."""
    now, known = house.clock.now(), tx.calls.open_on(visit.leg.id)
    if known is None:
        call = _newcomer(house, visit)
        tx.calls.add(call)
        tx.events.add(now, call.id, CallStarted(call.caller, call.number))
    else:
        call = replace(known, engine=house.telephony.name, queue=visit.queue, chapter=Chapter.DIALPLAN)
        tx.calls.save(call)
        tx.events.add(now, call.id, CallAdopted(known.chapter))
    call, why = ask_or_skip(house, tx, call, queue.estimate() if queue is not None else None)
    return _Begun(call, why)


def _newcomer(house: House, visit: Visit) -> Call:
    now = house.clock.now()
    return Call(
        id=house.new_id(),
        engine=house.telephony.name,
        channel_id=visit.leg.id,
        caller=shown_caller(visit.caller, house.site.country),
        number=shown_caller(visit.number, house.site.country) or "",
        queue=visit.queue,
        language=_language(house.site, visit.language),
        started_at=now,
        entered_at=now,
        chapter=Chapter.DIALPLAN,
        over_capacity=True,
    )


def _language(site: Site, asked: str) -> str:
    """Of the site's languages the one meant: ``de_AT`` is ``de`` where there is no other."""
    known = {language.lower().replace("-", "_"): language for language in site.languages}
    asked = asked.lower().replace("-", "_")
    return known.get(asked) or known.get(asked.partition("_")[0]) or site.default_language


async def _announce(house: House, leg: Leg, call: Call, queue: AppQueue) -> None:
    """Place and wait in the PBX's queue, as ours would be told."""
    rules = house.site.announcements(call.queue)
    prompts: list[Prompt] = []
    if says_position(rules, queue.position):
        prompts.append(position_prompt(house, call, queue.position))
        said = PositionAnnounced(queue.position)
        await house.store.run(lambda tx: tx.events.add(house.clock.now(), call.id, said))
    wait = said_of_wait(rules, queue.estimate())
    if wait is not None:
        prompts.append(house.prompt(call, wait.prompt))
    if prompts:
        await leg.answer()
        await _say(leg, prompts)


async def _ask(house: House, leg: Leg, call: Call) -> Call:
    await leg.answer()
    call = await consent.converse(house, leg, call)
    if call.chapter is Chapter.THANKING:
        await _say(leg, [house.prompt(call, "sms_sent")])
    return call


async def _say(leg: Leg, prompts: list[Prompt]) -> None:
    heard = await leg.play(prompts)
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompts=[prompt.name for prompt in prompts], why=heard.why)


def _gone_on(tx: Tx, call_id: str) -> str:
    call = tx.calls.get(call_id)
    if call.chapter not in (Chapter.ENDED, Chapter.DIALPLAN):
        tx.calls.save(replace(call.at(Chapter.DIALPLAN), consent=replace(call.consent, wrong_keys=0)))
    sent = (m.id for m in tx.messages.of_call(call_id) if m.direction is Direction.OUTBOUND)
    return next(sent, "")


def _outcome(begun: _Begun, call: Call, sent: str, queue: AppQueue | None) -> VisitOutcome:
    asked = call.consent.rounds > begun.call.consent.rounds
    status, reason = VisitStatus.NOT_OFFERED, str(begun.why or "")
    if asked or begun.why is NotOffered.ALREADY_ANSWERED:
        status = VisitStatus(call.consent.status or VisitStatus.NO_RESPONSE)
    elif begun.why is None:
        status, reason = VisitStatus.FAILED, Trouble.NOT_PLAYED.value
    return VisitOutcome(status=status, reason=reason, call_id=call.id, message_id=sent, app_queue=queue)
