"""Brings waiting callers and free agents together: on events, never by polling.

The store tells which calls and agents a transaction wrote; these are read again, and the pairs that have
become possible are carried out, all in one transaction: it marks the call ``ringing`` and the agent
``offered``, each only if its row still allows it, so that no agent gets two callers and no caller two
agents. Then the call's own coroutine is called from its seat and rings the phone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.acd.seats import CalledSeat
from ivr_engine.acd.standing import Standing
from ivr_engine.domain.agents import TIME_UP, Agent, AgentState
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import AgentChanged, AgentOffered, WrappedUp
from ivr_engine.domain.matching import Pair
from ivr_engine.domain.routing import Strategy
from ivr_engine.domain.switches import Switch, closed_by
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Changes, Clock, Store, Tx
from ivr_engine.site.now import SiteNow

log = structlog.get_logger()

STORE_PAUSE_S: Final = 1.0
"""Before another try when the store did not answer."""

MANY: Final = 50
"""Calls that are read all at once rather than one by one."""


@dataclass(slots=True)
class _News:
    """What is to be read again. ``gone``: calls without a chair; ``leaving``: callers who are called to look
    whether they leave the line; ``everything``: what is kept in memory is to be built anew."""

    calls: set[str] = field(default_factory=set[str])
    gone: set[str] = field(default_factory=set[str])
    agents: set[str] = field(default_factory=set[str])
    leaving: set[str] = field(default_factory=set[str])
    everything: bool = False


class Dispatcher:
    """``ports.Line``. ``run`` is held by the engine's root task group."""

    def __init__(self, in_force: SiteNow, store: Store, clock: Clock, new_id: Callable[[], str]) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._seats: dict[str, CalledSeat] = {}
        self._wake = asyncio.Event()
        self._news = _News()
        self._standing: Standing | None = None
        self._trouble = Trouble("matching.store_unavailable", "matching.works_again")
        store.listen(self._stored)

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def seat(self, call_id: str) -> Generator[CalledSeat]:
        self.hold(call_id)
        try:
            yield self._seats[call_id]
        finally:
            self.give_up(call_id)

    def hold(self, call_id: str) -> None:
        self._seats.setdefault(call_id, CalledSeat())
        self._news.calls.add(call_id)
        self._wake.set()

    def give_up(self, call_id: str) -> None:
        self._seats.pop(call_id, None)
        self._news.calls.add(call_id)
        self._wake.set()

    def site_changed(self) -> None:
        """Other agents, queues or rules are in force."""
        self._wake.set()

    def look(self, queue: str | None) -> None:
        if self._standing is not None:
            self._news.leaving.update(self._standing.waiting_in(queue))
        self._news.everything = True
        self._wake.set()

    def _stored(self, changes: Changes) -> None:
        self._news.everything |= changes.missed
        self._news.agents |= changes.agents
        self._news.calls.update(call_id for call_id in changes.calls if call_id in self._seats)
        if changes.missed or changes.agents or self._news.calls:
            self._wake.set()

    # ── what follows ─────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        while True:
            await self._sleep_until(await self._match())

    async def _sleep_until(self, moment: datetime | None) -> None:
        """Until something happens, or time itself changes something."""
        delay = None if moment is None else max(0.0, (moment - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _match(self) -> datetime | None:
        """Reserve every pair that has become possible; returns when time changes something next."""
        self._wake.clear()
        news, self._news = self._news, _News()
        standing = None if news.everything else self._standing
        if standing is not None and standing.site is not self._in_force.current.site:
            standing = None
        if standing is None:
            news.calls |= self._seats.keys()
        # Not the difference of two sets: that would look at every chair.
        news.gone = {call_id for call_id in news.calls if call_id not in self._seats}
        news.calls -= news.gone
        if standing is not None and self._only_gone(standing, news):
            return standing.next_alarm()
        try:
            standing, reserved = await self._store.run(lambda tx: self._turn(tx, news, standing))
        except ExternalError as error:
            self._standing = None
            self._trouble.met(error, meaning="no caller is offered until it is over")
            return self._clock.now() + timedelta(seconds=STORE_PAUSE_S)
        except BaseException:
            self._standing = None
            raise
        self._trouble.over()
        self._standing = standing
        for pair in reserved:
            log.info("agent.offered", call=pair.call_id, agent=pair.agent)
        for call_id in {pair.call_id for pair in reserved} | news.leaving:
            seat = self._seats.get(call_id)
            if seat is not None:
                seat.call()
        return standing.next_alarm()

    def _only_gone(self, standing: Standing, news: _News) -> bool:
        """Chairs were left and nothing else happened, as at the end of most calls: nobody can be brought
        together by that, so the store need not be asked."""
        if news.calls or news.agents or news.leaving or standing.is_time(self._clock.now()):
            return False
        for call_id in news.gone:
            standing.gone(call_id)
        return standing.board.settled

    def _turn(self, tx: Tx, news: _News, standing: Standing | None) -> tuple[Standing, list[Pair]]:
        """One transaction. It may run twice: all it touched is in ``news`` by then, and read again."""
        now = self._clock.now()
        if standing is None:
            standing = Standing(self._in_force.current.site, tx.queues.turns())
            for agent in tx.agents.all():
                standing.agent(_settled(tx, agent, now), now)
        self._hear_alarms(standing, news, now)
        for name in sorted(news.agents):
            agent = tx.agents.get(name)
            if agent is not None:
                standing.agent(_settled(tx, agent, now), now)
        for call in _rows(tx, news.calls):
            standing.call(call, now)
        for call_id in news.gone:
            standing.gone(call_id)
        reserved: list[Pair] = []
        closed: dict[str, Switch] | None = None
        for pair in standing.board.pairs():
            news.calls.add(pair.call_id)
            news.agents.add(pair.agent)
            closed = tx.queues.switches() if closed is None else closed
            if closed_by(closed, standing.board.waiting[pair.call_id].need.queue) is not None:
                standing.gone(pair.call_id)  # ``look`` brings it back when the queue is opened
            elif self._reserve(tx, standing, pair, now):
                reserved.append(pair)
        return standing, reserved

    def _hear_alarms(self, standing: Standing, news: _News, now: datetime) -> None:
        news.agents |= standing.agent_alarms.due(now)
        due = standing.call_alarms.due(now)
        news.calls |= due
        news.leaving |= due
        for queue in standing.queue_alarms.due(now):
            news.leaving |= set(standing.waiting_in(queue))

    def _reserve(self, tx: Tx, standing: Standing, pair: Pair, now: datetime) -> bool:
        """Write it, unless somebody was quicker: then what stands is put right."""
        call, agent = _row(tx, pair.call_id), tx.agents.get(pair.agent)
        if call is None or agent is None or not standing.is_as(call, agent, now):
            _put_right(standing, pair, call, agent, now)
            return False
        queue = standing.site.queues[call.queue]
        call = call.offered(agent.name, self._new_id(), now + timedelta(seconds=queue.ring_time))
        agent = agent.offered(call.id, now, call.queue)
        tx.calls.save(call)
        tx.agents.save(agent)
        if queue.strategy is Strategy.ROUND_ROBIN:
            tx.queues.keep_turn(call.queue, agent.name)
            standing.turn(call.queue, agent.name)
        tx.events.add(now, call.id, AgentOffered(agent.name))
        tx.events.add(now, None, AgentChanged(agent.name, AgentState.OFFERED))
        _put_right(standing, pair, call, agent, now)
        return True


def _put_right(standing: Standing, pair: Pair, call: Call | None, agent: Agent | None, now: datetime) -> None:
    if call is None:
        standing.gone(pair.call_id)
    else:
        standing.call(call, now)
    if agent is None:
        standing.board.set_busy(pair.agent)
    else:
        standing.agent(agent, now)


def _settled(tx: Tx, agent: Agent, now: datetime) -> Agent:
    """A wrap-up whose time is up is over: that is stored when it is."""
    settled = agent.settled(now)
    if settled is not agent:
        tx.agents.save(settled)
        tx.events.add(now, agent.last_call_id, WrappedUp(agent.name, TIME_UP))
        tx.events.add(now, None, AgentChanged(agent.name, settled.state, settled.reason))
    return settled


def _rows(tx: Tx, call_ids: Set[str]) -> list[Call]:
    if len(call_ids) > MANY:
        return [call for call in tx.calls.open() if call.id in call_ids]
    found = (_row(tx, call_id) for call_id in sorted(call_ids))
    return [call for call in found if call is not None]


def _row(tx: Tx, call_id: str) -> Call | None:
    try:
        return tx.calls.get(call_id)
    except Refused:
        return None
