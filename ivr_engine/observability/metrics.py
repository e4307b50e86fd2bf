"""What Prometheus is told.

Whatever is an event in the store is counted from there, when somebody asks: the code that makes things
happen says so once, in the event table, and knows nothing of metrics. Only what is no event (latency,
reconnects, the loop's lag) is measured where it occurs. Counters begin at the start of the process.
With several engines on one store each reports the whole store's events.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import STATES, Call
from ivr_engine.domain.events import (
    AgentConnected,
    CallAdopted,
    CallFellBack,
    CallFinished,
    CallStarted,
    ConsentAsked,
    ConsentGiven,
    ConsentNotOffered,
    Event,
    LineLeft,
    MessageQueued,
    MessageReceived,
    MessageStatusChanged,
    OfferMissed,
    OverCapacity,
    OverCapacityChosen,
    SmsCapReached,
    SmsWithheld,
)
from ivr_engine.domain.sms_reports import STEPS, Funnel, Place
from ivr_engine.domain.wait_watch import Accuracy, Of, QueueReport
from ivr_engine.errors import ExternalError
from ivr_engine.ports import Clock, Store, Tx

STORE_ANSWERS_S: Final = 5.0
"""Seconds the store has to answer a scrape; without it the rest is reported."""

LAG_EVERY_S: Final = 0.5
"""Seconds between two looks at the event loop's lag."""

FUNNEL_EVERY: Final = timedelta(minutes=1)
"""Between two looks at what became of the day's offers: it takes a moment of the store's time."""

_PAGE: Final = 1000
_LATENCY: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The instruments.

    A registry of its own, so that two engines in one process (tests, simulations) do not share counters.
    """

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.calls = Counter("ivr_calls_started", "Calls taken", registry=r)
        self.ended = Counter("ivr_calls_ended", "Calls ended, by reason", ["reason"], registry=r)
        self.adopted = Counter("ivr_calls_adopted", "Calls taken over after an outage", registry=r)
        self.fell_back = Counter("ivr_calls_fell_back", "Calls sent to the fallback by a fault", registry=r)
        self.connected = Counter("ivr_calls_connected", "Callers connected to an agent", registry=r)
        self.left_line = Counter(
            "ivr_lines_left", "Callers who left a line without an agent, not hung up", ["reason"], registry=r
        )
        self.missed = Counter("ivr_offers_missed", "Offers an agent did not take", ["reason"], registry=r)
        self.over_capacity = Counter(
            "ivr_queue_over_capacity",
            "Callers who found the queue over capacity",
            ["queue", "limit"],
            registry=r,
        )
        self.over_capacity_chosen = Counter(
            "ivr_over_capacity_chosen", "What such callers went on with", ["option"], registry=r
        )
        self.consent = Counter(
            "ivr_wait_time_sms_consent",
            "Wait-time SMS: asked, then the outcome",
            ["step"],
            registry=r,
        )
        self.not_offered = Counter(
            "ivr_wait_time_sms_not_offered", "Rounds without the question", ["reason"], registry=r
        )
        self.withheld = Counter(
            "ivr_sms_withheld", "Texts that callers asked for, and did not get", ["reason"], registry=r
        )
        self.caps_reached = Counter(
            "ivr_sms_caps_reached", "Caps on such texts that were reached", ["cap"], registry=r
        )
        self.funnel = Gauge(
            "ivr_wait_time_sms_today",
            "Callers of this day (UTC), by what became of the offer of an SMS",
            ["queue", "language", "step"],
            registry=r,
        )
        self.messages = Counter("ivr_messages", "Messages that reached a status", ["status"], registry=r)
        self.open = Gauge("ivr_calls_open", "Calls now, by state", ["state"], registry=r)
        self.waiting = Gauge("ivr_queue_waiting", "Callers in line now", ["queue"], registry=r)
        self.longest = Gauge("ivr_queue_longest_wait_seconds", "Longest wait now", ["queue"], registry=r)
        self.agents = Gauge("ivr_agents", "Agents now, by state", ["state"], registry=r)
        self.store_up = Gauge("ivr_store_up", "1 when the store answered this scrape", registry=r)
        self.site_loads = Counter("ivr_site_loads", "Changed configurations", ["result"], registry=r)
        self.site_in_force = Gauge(
            "ivr_site_in_force", "1 when the configuration as it is now is in force", registry=r
        )
        self.site_in_force.set(1)
        for result in ("applied", "refused"):
            self.site_loads.labels(result)
        self.loop_lag = Histogram(
            "ivr_event_loop_lag_seconds", "How late the event loop runs", registry=r, buckets=_LATENCY
        )
        self.store_latency = Histogram(
            "ivr_store_transaction_seconds", "From asking to durable", registry=r, buckets=_LATENCY
        )

    def follow_ari(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Report what the ARI client counts for itself (connections, unknown events, …), read anew at
        each scrape: ``ivr_ari_total{what="connections"}``."""
        self.registry.register(_Followed("ivr_ari", "What went by on the ARI socket", "what", counts))

    def follow_admission(self, left: Callable[[], Mapping[str, int]]) -> None:
        """Report the offers of calls that were not taken: ``ivr_offers_left_total{reason="calls"}``. A caller
        in the fallback is offered every 2 s."""
        meaning = "Calls on offer left to other engines or the fallback, each time they are offered"
        self.registry.register(_Followed("ivr_offers_left", meaning, "reason", left))

    def site_loaded(self, applied: bool) -> None:
        """Count one loading of a changed configuration."""
        self.site_loads.labels("applied" if applied else "refused").inc()
        self.site_in_force.set(int(applied))

    def follow_trunks(self, up: Callable[[], Mapping[str, bool]]) -> None:
        """``ivr_trunk_up{trunk}``, read anew at each scrape; a trunk whose state is not known is left out."""
        self.registry.register(_Trunks(up))

    def follow_waits(self, report: Callable[[], Mapping[str, QueueReport]]) -> None:
        """The wait estimates and how they came out, read anew at each scrape, without what is not known."""
        self.registry.register(_Waits(report))

    def count(self, event: Event) -> None:
        """Count one event of the store."""
        match event.what:
            case CallStarted():
                self.calls.inc()
            case CallFinished(reason=reason):
                self.ended.labels(reason).inc()
            case CallAdopted():
                self.adopted.inc()
            case CallFellBack():
                self.fell_back.inc()
            case AgentConnected():
                self.connected.inc()
            case LineLeft(reason=reason):
                self.left_line.labels(reason).inc()
            case OfferMissed(reason=reason):
                self.missed.labels(reason).inc()
            case OverCapacity(queue=queue, limit=limit):
                self.over_capacity.labels(queue, limit).inc()
            case OverCapacityChosen(option=option):
                self.over_capacity_chosen.labels(option).inc()
            case ConsentAsked():
                self.consent.labels("asked").inc()
            case ConsentGiven(outcome=outcome):
                self.consent.labels(outcome).inc()
            case ConsentNotOffered(reason=reason):
                self.not_offered.labels(reason).inc()
            case SmsWithheld(reason=reason):
                self.withheld.labels(reason).inc()
            case SmsCapReached(cap=cap):
                self.caps_reached.labels(cap).inc()
            case MessageQueued():
                self.messages.labels("queued").inc()
            case MessageReceived():
                self.messages.labels("received").inc()
            case MessageStatusChanged(status=status):
                self.messages.labels(status).inc()
            case _:
                pass


class _Followed(Collector):
    """Counters that live elsewhere."""

    def __init__(self, name: str, meaning: str, label: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._meaning, self._label, self._counts = name, meaning, label, counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._meaning, labels=[self._label])
        for what, count in self._counts().items():
            family.add_metric([what], count)
        yield family


class _Trunks(Collector):
    """Whether calls can pass over a line."""

    def __init__(self, up: Callable[[], Mapping[str, bool]]) -> None:
        self._up = up

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("ivr_trunk_up", "1 when calls can pass over this trunk", labels=["trunk"])
        for trunk, up in self._up().items():
            family.add_metric([trunk], float(up))
        yield family


class _Waits(Collector):
    """How long callers will wait, and whether that came true."""

    def __init__(self, report: Callable[[], Mapping[str, QueueReport]]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        waits = GaugeMetricFamily(
            "ivr_queue_estimated_wait_seconds",
            "Wait of somebody who would come now; absent when nobody is signed in",
            labels=["queue", "quantile"],
        )
        served = GaugeMetricFamily(
            "ivr_wait_estimate_callers",
            "Callers who waited and were served, of about a day",
            labels=["queue", "of"],
        )
        covered = GaugeMetricFamily(
            "ivr_wait_estimate_coverage",
            "Share of them who waited no longer than the quantile",
            labels=["queue", "of", "quantile"],
        )
        error = GaugeMetricFamily(
            "ivr_wait_estimate_error",
            "Root mean square error over the mean wait, and that of app_queue's rule",
            labels=["queue", "of", "rule"],
        )
        for queue, each in self._report().items():
            if each.newcomer is not None:
                waits.add_metric([queue, "0.5"], each.newcomer.p50_s)
                waits.add_metric([queue, "0.8"], each.newcomer.p80_s)
            for of, accuracy in each.accuracy.items():
                served.add_metric([queue, of], accuracy.callers)
                _add_accuracy(covered, error, queue, of, accuracy)
        yield from (waits, served, covered, error)


def _add_accuracy(
    covered: GaugeMetricFamily, error: GaugeMetricFamily, queue: str, of: Of, accuracy: Accuracy
) -> None:
    ours, theirs = accuracy.relative(accuracy.square), accuracy.relative(accuracy.app_queue_square)
    if ours is None or theirs is None:
        return
    covered.add_metric([queue, of, "0.5"], accuracy.within_p50 / accuracy.callers)
    covered.add_metric([queue, of, "0.8"], accuracy.within_p80 / accuracy.callers)
    error.add_metric([queue, of, "engine"], ours)
    error.add_metric([queue, of, "app_queue"], theirs)


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


async def watch_loop(metrics: Metrics) -> None:
    """Measure for ever how late the event loop wakes us: what every call feels."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LAG_EVERY_S)
        metrics.loop_lag.observe(max(0.0, time.perf_counter() - began - LAG_EVERY_S))
