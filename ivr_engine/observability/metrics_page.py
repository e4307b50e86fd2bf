"""What Prometheus reads: the counters as of the newest event, the gauges as things are now."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import REGISTRY, generate_latest

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import STATES, Call
from ivr_engine.domain.events import Event
from ivr_engine.domain.sms_reports import STEPS, Funnel, Place
from ivr_engine.errors import ExternalError
from ivr_engine.observability.metrics import Metrics
from ivr_engine.ports import Clock, Store, Tx

STORE_ANSWERS_S: Final = 5.0
"""Seconds the store has to answer a scrape; without it the rest is reported."""

FUNNEL_EVERY: Final = timedelta(minutes=1)
"""Between two looks at what became of the day's offers: it takes a moment of the store's time."""

_PAGE: Final = 1000


class MetricsPage:
    """``/metrics``: brings the counters up to the newest event, reads the gauges, renders."""

    def __init__(
        self,
        metrics: Metrics,
        store: Store,
        clock: Clock,
        queues: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """``queues``: the names of those that are shown also when nobody waits in them."""
        self._metrics = metrics
        self._queues = queues
        self._store = store
        self._clock = clock
        self._seen: int | None = None
        self._funnel_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    async def begin(self) -> None:
        """Count from here on. Without this call the first scrape is the beginning."""
        async with self._one_at_a_time:
            self._seen = await self._store.run(lambda tx: tx.events.newest_id())

    async def render(self) -> bytes:
        """The exposition text, with what others put into the process-wide registry. Also without a store
        that answers: then ``ivr_store_up`` is 0."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(STORE_ANSWERS_S):
                    await self._catch_up()
                self._metrics.store_up.set(1)
            except (ExternalError, TimeoutError):
                self._metrics.store_up.set(0)
        return generate_latest(self._metrics.registry) + generate_latest(REGISTRY)

    async def _catch_up(self) -> None:
        if self._seen is None:
            self._seen = await self._store.run(lambda tx: tx.events.newest_id())
        while page := await self._store.run(_after(self._seen)):
            for event in page:
                self._metrics.count(event)
            self._seen = page[-1].id
            if len(page) < _PAGE:
                break
        calls, states = await self._store.run(_now)
        self._set_gauges(calls, states)
        now = self._clock.now()
        if self._funnel_at is None or not timedelta() <= now - self._funnel_at < FUNNEL_EVERY:
            self._funnel_at = now
            self._set_funnel(await self._store.run(lambda tx: _today(tx, now)))

    def _set_funnel(self, today: dict[Place, Funnel]) -> None:
        gauge = self._metrics.funnel
        gauge.clear()
        for (queue, language), counts in today.items():
            for step in STEPS:
                gauge.labels(queue, language, step).set(getattr(counts, step))

    def _set_gauges(self, calls: list[Call], states: Tally[str]) -> None:
        m, now = self._metrics, self._clock.now()
        for gauge in (m.open, m.waiting, m.longest, m.agents):
            gauge.clear()
        for state in STATES:
            m.open.labels(state)
        for queue in self._queues():
            m.waiting.labels(queue)
            m.longest.labels(queue)
        for state in AgentState:
            m.agents.labels(state).set(states[state])
        for call in calls:
            m.open.labels(call.state).inc()
            if call.in_line and call.entered_at:
                m.waiting.labels(call.queue).inc()
        for queue in {call.queue for call in calls}:
            waits = [now - c.entered_at for c in calls if c.queue == queue and c.in_line and c.entered_at]
            m.longest.labels(queue).set(max((w.total_seconds() for w in waits), default=0.0))


def _after(event_id: int) -> Callable[[Tx], list[Event]]:
    return lambda tx: tx.events.after(event_id, _PAGE)


def _now(tx: Tx) -> tuple[list[Call], Tally[str]]:
    return tx.calls.open(), Tally[str](agent.state for agent in tx.agents.all())


def _today(tx: Tx, now: datetime) -> dict[Place, Funnel]:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return tx.sms_reports.funnel(midnight, midnight + timedelta(days=1))
