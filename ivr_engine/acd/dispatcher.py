"""Brings waiting callers and free agents together: on events, never by polling.

The decision is pure (``domain.waiting.matches``); carrying it out is one transaction that marks the call
``ringing`` and the agent ``offered``, so that no agent gets two callers and no caller two agents. Then the
call's own coroutine is called from its seat and rings the phone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import structlog

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.events import AgentChanged, AgentOffered
from ivr_engine.domain.waiting import Match, matches
from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.now import SiteNow

log = structlog.get_logger()

STORE_PAUSE_S = 1.0
"""Before another try when the store did not answer."""


class CalledSeat:
    """``ports.Seat``: whether an agent is reserved, and the cut of whatever is being said."""

    def __init__(self) -> None:
        self._called = False
        self._cut: asyncio.Timeout | None = None

    @property
    def called(self) -> bool:
        return self._called

    @asynccontextmanager
    async def interrupting(self) -> AsyncGenerator[None]:
        cut = asyncio.timeout(0 if self.called else None)
        try:
            async with cut:
                self._cut = cut
                yield
        except TimeoutError:
            if not cut.expired():
                raise
        finally:
            self._cut = None

    def heard(self) -> None:
        self._called = False

    def call(self) -> None:
        """An agent is reserved for this seat's caller."""
        self._called = True
        if self._cut is not None:
            self._cut.reschedule(asyncio.get_running_loop().time())


class Dispatcher:
    """``ports.Line``. ``run`` is held by the engine's root task group."""

    def __init__(self, in_force: SiteNow, store: Store, clock: Clock, new_id: Callable[[], str]) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._seats: dict[str, CalledSeat] = {}
        self._wake = asyncio.Event()
        self._agents_left_over = True
        self._trouble = Trouble("matching.store_unavailable", "matching.works_again")

    @contextmanager
    def seat(self, call_id: str) -> Generator[CalledSeat]:
        seat = self._seats.setdefault(call_id, CalledSeat())
        try:
            yield seat
        finally:
            self.give_up(call_id)

    def hold(self, call_id: str) -> None:
        self._seats.setdefault(call_id, CalledSeat())

    def give_up(self, call_id: str) -> None:
        self._seats.pop(call_id, None)

    def caller_waits(self) -> None:
        if self._agents_left_over:
            self._wake.set()

    def agent_changed(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            next_free_at = await self._match()
            await self._sleep_until(next_free_at)

    async def _sleep_until(self, moment: datetime | None) -> None:
        """Until something happens, or the first wrap-up is over."""
        delay = None if moment is None else max(0.0, (moment - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _match(self) -> datetime | None:
        """Reserve every pair there is; returns when the next wrap-up ends."""
        self._wake.clear()
        self._agents_left_over = True  # until this turn has told: who sits down meanwhile asks for another
        seated = frozenset(self._seats)
        try:
            reserved, next_free_at, left_over = await self._store.run(lambda tx: self._reserve(tx, seated))
        except ExternalError as error:
            self._trouble.met(error, meaning="no caller is offered until it is over")
            return self._clock.now() + timedelta(seconds=STORE_PAUSE_S)
        self._trouble.over()
        self._agents_left_over = left_over
        for match in reserved:
            self._call(match)
        return next_free_at

    def _call(self, match: Match) -> None:
        log.info("agent.offered", call=match.call.id, agent=match.agent.name)
        seat = self._seats.get(match.call.id)
        if seat is not None:
            seat.call()

    def _reserve(self, tx: Tx, seated: frozenset[str]) -> tuple[list[Match], datetime | None, bool]:
        now, site = self._clock.now(), self._in_force.current.site
        queues_of = site.queues_of()
        agents = [a for a in tx.agents.all() if a.name in queues_of]
        next_free_at = min((a.until for a in agents if a.until is not None and a.until > now), default=None)
        free = [a for a in agents if a.is_free(now)]
        if not free:
            return [], next_free_at, False
        waiting = [c for c in tx.calls.open() if c.id in seated]
        found = matches(waiting, free, queues_of, now)
        for match in found:
            self._write(tx, match, site, now)
        return found, next_free_at, len(found) < len(free)

    def _write(self, tx: Tx, match: Match, site: Site, now: datetime) -> None:
        call, agent = match.call, match.agent
        ends_at = now + timedelta(seconds=site.queues[call.queue].ring_time)
        tx.calls.save(call.offered(agent.name, self._new_id(), ends_at))
        tx.agents.save(agent.offered(call.id, now))
        tx.events.add(now, call.id, AgentOffered(agent.name))
        tx.events.add(now, None, AgentChanged(agent.name, AgentState.OFFERED))
