"""Where calls come in: new ones, and those that were on the line when an engine went away.

Holds every call's coroutine in one task group. After each (re)connection the store's open calls are held
against what the telephone system has: who is there is taken over, who is gone is ended, what belongs to
nobody is cleared away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

import structlog

from ivr_engine.callflow import callback, party
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.endings import (
    Ending,
    caller_gone,
    end_by_staff,
    hang_up_both,
    supervise,
    turn_away,
)
from ivr_engine.callflow.entry import register
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import AgentChanged, CallAdopted
from ivr_engine.domain.numbers import masked
from ivr_engine.errors import CallEnded, ExternalError, Gone, Refused
from ivr_engine.observability.rationed import RationedLog, Trouble
from ivr_engine.ports import Arrival, Leg, Snapshot, Tx

log = structlog.get_logger()

SWEEP_S: Final = 4.0
"""How often calls without a coroutine (callers in the fallback) are looked after, while there are any."""


class Reception:
    """Takes calls and keeps their coroutines. ``run`` is held by the engine's root task group."""

    def __init__(self, house: House, admission: Admission) -> None:
        self._house = house
        self._admission = admission
        self._running: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._settled = False
        self._one_at_a_time = asyncio.Lock()
        self._rationed_log = RationedLog()
        self._taking = Trouble("call.not_taken", "calls.taken_again")
        self._reconciling = Trouble("reconciliation.failed", "reconciliation.works_again")
        self._told: tuple[int, int] | None = None

    @property
    def calls(self) -> int:
        """Coroutines alive."""
        return len(self._running)

    async def empty(self) -> None:
        """Until there is no coroutine left."""
        while self._running:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                group.create_task(self._take_arrivals(group), name="arrivals")
                group.create_task(self._reconcile_on_connect(group), name="reconciliation")
                group.create_task(self._call_back(group), name="callbacks")
                await self._sweep(group)
            finally:
                self._group = None

    async def hang_up(self, call_id: str) -> Call:
        """End an open call at the staff's word: returns when that is stored, the hang-up follows at once.

        Raises ``Refused`` when there is no such call, or when it has ended.
        """
        ended = await end_by_staff(self._house, call_id)
        self._house.bells.ring(call_id)
        if self._group is None:
            self._settled = False  # looked after by the next sweep, as what a crash leaves
        else:
            self._group.create_task(self._apart(hang_up_both(self._house, ended)), name=f"hang up {call_id}")
        return ended

    # ── new calls ────────────────────────────────────────────────────────────────────────────────

    async def _take_arrivals(self, group: asyncio.TaskGroup) -> None:
        async for arrival in self._house.telephony.arrivals(self._wanted):
            self._admission.took(self._house.site.limits.limits)
            self._hold(group, arrival.leg.id, self._receive(arrival))

    def _wanted(self, coming: int) -> bool:
        return self._admission.wants(self._house.site.limits.limits, calls=self.calls, coming=coming)

    def _hold(self, group: asyncio.TaskGroup, channel_id: str, life: Coroutine[None, None, None]) -> None:
        """Keep the coroutine of the call on that channel until it ends."""
        task = group.create_task(self._apart(life), name=f"call {channel_id}")
        self._running[channel_id] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._running.get(channel_id) is done:
                del self._running[channel_id]

        task.add_done_callback(forget)

    async def _apart(self, life: Coroutine[None, None, None]) -> None:
        """One call's trouble stays its own: what even its supervision could not deal with ends here, and
        the next sweep looks after the call."""
        try:
            await life
        except Exception:
            self._settled = False
            log.exception("call.lost_hold", remedy=f"looked after again within {SWEEP_S:g} s; report this")

    async def _receive(self, arrival: Arrival) -> None:
        try:
            call = await register(self._house, arrival)
        except Refused as error:
            self._rationed_log.warning("call.turned_away", caller=masked(arrival.caller), error=str(error))
            await turn_away(self._house, arrival.leg)
            return
        except ExternalError as error:
            self._taking.met(error, meaning="callers hear the fallback until it is over")
            await _send_back(arrival.leg)
            return
        self._taking.over()
        log.info("call.taken", call=call.id, caller=masked(call.caller), queue=call.queue)
        await self._live(arrival.leg, call)

    async def _receive_stray(self, arrival: Arrival) -> None:
        """A caller claimed just before a crash has no call yet; one whose call has ended was about to be
        hung up on."""
        if await self._house.store.run(lambda tx: tx.calls.knew(arrival.leg.id)):
            await arrival.leg.hang_up()
        else:
            await self._receive(arrival)

    async def _live(self, leg: Leg, call: Call) -> None:
        ending = await supervise(self._house, leg, call)
        if ending is Ending.IN_FALLBACK:
            self._settled = False

    # ── callers who are called back ──────────────────────────────────────────────────────────────

    async def _call_back(self, group: asyncio.TaskGroup) -> None:
        """Each in a coroutine of its own, from now on or from where an engine before this one was."""
        house = self._house
        with house.bells.of(callback.ALL) as bell:
            while True:
                bell.clear()
                try:
                    calls = await house.store.run(lambda tx: tx.calls.open())
                except ExternalError as error:
                    self._reconciling.met(error, remedy="callbacks wait until it is over")
                    await asyncio.sleep(SWEEP_S)
                    continue
                for call in calls:
                    mine = call.engine == house.telephony.name and call.is_callback
                    if mine and _key(call) not in self._running:
                        self._hold(group, _key(call), self._live_callback(call.id))
                await bell.wait()

    async def _live_callback(self, call_id: str) -> None:
        reached = await callback.live(self._house, call_id)
        if reached is not None:
            await self._live(*reached)

    # ── calls that were there before ─────────────────────────────────────────────────────────────

    async def _reconcile_on_connect(self, group: asyncio.TaskGroup) -> None:
        async for snapshot in self._house.telephony.connections():
            self._told = None
            await self._try_to_reconcile(group, snapshot)

    async def _try_to_reconcile(self, group: asyncio.TaskGroup, snapshot: Snapshot) -> None:
        try:
            async with self._one_at_a_time:
                self._settled = True
                await self._reconcile(group, snapshot)
            self._reconciling.over()
        except ExternalError as error:
            self._settled = False
            self._reconciling.met(error, remedy=f"done again every {SWEEP_S:g} s")
        except Exception:
            # A bug met while one call is looked after must not end the coroutines of all others.
            self._settled = False
            log.exception(
                "reconciliation.fault", remedy=f"done again within {SWEEP_S:g} s; report this trace"
            )

    async def _sweep(self, group: asyncio.TaskGroup) -> None:
        """Callers in the fallback may hang up there, where nobody tells us."""
        house = self._house
        while True:
            if house.telephony.connected and not self._settled:
                try:
                    await self._try_to_reconcile(group, await house.telephony.snapshot())
                except ExternalError as error:
                    self._reconciling.met(error, remedy=f"done again every {SWEEP_S:g} s")
            await asyncio.sleep(SWEEP_S)

    async def _reconcile(self, group: asyncio.TaskGroup, snapshot: Snapshot) -> None:
        house = self._house
        known = await house.store.run(lambda tx: tx.calls.open())
        here = [c for c in known if not c.is_callback and not c.in_dialplan]
        mine = [c for c in here if c.engine == house.telephony.name]
        absent = [c for c in mine if _key(c) not in self._running]
        for call in absent:
            if call.channel_id in snapshot.mine and call.in_line:
                house.line.hold(call.id)
        for call in absent:
            if _key(call) not in self._running:
                await self._take_over(group, call, snapshot)
        await self._clear_strays(group, known, snapshot)
        await house.store.run(self._free_agents_of_ended_calls)
        self._tell(len(known), len(self._running))

    def _tell(self, known: int, running: int) -> None:
        """Once a connection, and when it has changed: sweeps come every few seconds."""
        if self._told != (known, running):
            self._told = known, running
            log.info("calls.reconciled", open=known, running=running)

    async def _take_over(self, group: asyncio.TaskGroup, call: Call, snapshot: Snapshot) -> None:
        if call.channel_id in snapshot.mine:
            self._hold(group, _key(call), self._resume(call))
        elif call.channel_id in snapshot.all:
            self._settled = False
        else:
            await caller_gone(self._house, call.id, EndReason.GONE_DURING_OUTAGE)

    async def _resume(self, call: Call) -> None:
        house = self._house

        def write(tx: Tx) -> Call:
            tx.events.add(house.clock.now(), call.id, CallAdopted(call.chapter))
            return tx.calls.get(call.id)

        try:
            leg = await house.telephony.adopt(call.channel_id)
            current = await house.store.run(write)
        except Gone:
            # Hung up since the snapshot, or sent to the fallback: a new snapshot will tell.
            house.line.give_up(call.id)
            self._settled = False
            return
        except ExternalError as error:
            self._settled = False
            remedy = f"tried again within {SWEEP_S:g} s; music meanwhile"
            log.warning("call.not_adopted", call=call.id, error=str(error), remedy=remedy)
            return
        log.info("call.adopted", call=call.id, chapter=call.chapter)
        await self._live(leg, current)

    async def _clear_strays(self, group: asyncio.TaskGroup, known: list[Call], snapshot: Snapshot) -> None:
        """Legs, bridges and callers in our hands that no open call accounts for."""
        house = self._house
        offers = {each for c in known for each in c.legs}
        # The channel of a caller who is to be called back is that of their last words, and ends.
        channels = {c.channel_id for c in known if c.chapter is not Chapter.CALLBACK} | self._running.keys()
        for channel_id in snapshot.mine - channels:
            if not channel_id.startswith("agent-"):
                arrival = await house.telephony.stray(channel_id)
                if arrival is not None:
                    self._hold(group, channel_id, self._receive_stray(arrival))
            elif not party.is_of(channel_id, offers):
                await house.telephony.end_leg(channel_id)
        for bridge_id in snapshot.bridges:
            if bridge_id.startswith("talk-") and bridge_id.removeprefix("talk-") not in offers:
                await house.telephony.end_bridge(bridge_id)

    def _free_agents_of_ended_calls(self, tx: Tx) -> None:
        busy = {(name, c.id) for c in tx.calls.open() for name in c.agents}
        for each in tx.agents.all():
            if each.call_id is not None and (each.name, each.call_id) not in busy:
                now = self._house.clock.now()
                free = each.released(now)
                tx.agents.save(free)
                tx.events.add(now, None, AgentChanged(free.name, free.state))


def _key(call: Call) -> str:
    """What a call's coroutine is kept under: one who is called back comes back on another channel."""
    return call.channel_id if call.callback is None else f"callback {call.id}"


async def _send_back(leg: Leg) -> None:
    """A call we cannot store is not ours to promise anything: the fallback keeps the caller."""
    try:
        await leg.give_to_fallback()
    except CallEnded:
        return
    except ExternalError as error:
        log.error("call.not_given_to_fallback", error=str(error))
