"""What Prometheus is told.

Whatever is an event in the store is counted from there, when somebody asks: the code that makes things
happen says so once, in the event table, and knows nothing of metrics. Only what is no event (latency,
reconnects, the loop's lag) is measured where it occurs. Counters begin at the start of the process.
With several engines on one store each reports the whole store's events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
from ivr_engine.domain.wait_watch import QueueReport
from ivr_engine.observability.followed import Followed, Trunks, Waits

LAG_EVERY_S: Final = 0.5
"""Seconds between two looks at the event loop's lag."""

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
        self.registry.register(Followed("ivr_ari", "What went by on the ARI socket", "what", counts))

    def follow_admission(self, left: Callable[[], Mapping[str, int]]) -> None:
        """Report the offers of calls that were not taken: ``ivr_offers_left_total{reason="calls"}``. A caller
        in the fallback is offered every 2 s."""
        meaning = "Calls on offer left to other engines or the fallback, each time they are offered"
        self.registry.register(Followed("ivr_offers_left", meaning, "reason", left))

    def site_loaded(self, applied: bool) -> None:
        """Count one loading of a changed configuration."""
        self.site_loads.labels("applied" if applied else "refused").inc()
        self.site_in_force.set(int(applied))

    def follow_trunks(self, up: Callable[[], Mapping[str, bool]]) -> None:
        """``ivr_trunk_up{trunk}``, read anew at each scrape; a trunk whose state is not known is left out."""
        self.registry.register(Trunks(up))

    def follow_waits(self, report: Callable[[], Mapping[str, QueueReport]]) -> None:
        """The wait estimates and how they came out, read anew at each scrape, without what is not known."""
        self.registry.register(Waits(report))

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


async def watch_loop(metrics: Metrics) -> None:
    """Measure for ever how late the event loop wakes us: what every call feels."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LAG_EVERY_S)
        metrics.loop_lag.observe(max(0.0, time.perf_counter() - began - LAG_EVERY_S))
