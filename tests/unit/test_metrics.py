"""Counters follow the event table: nothing is counted twice, nothing before the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from web_rig import START, FixedClock, call

from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.events import (
    CallFinished,
    CallStarted,
    ConsentAsked,
    ConsentGiven,
    MessageStatusChanged,
    OverCapacity,
    OverCapacityChosen,
    SmsCapReached,
    SmsWithheld,
)
from ivr_engine.domain.wait_estimate import Estimate
from ivr_engine.domain.wait_watch import Accuracy, Of, QueueReport, Told
from ivr_engine.errors import ExternalError
from ivr_engine.observability.lag import LagStore
from ivr_engine.observability.metrics import Metrics, watch_loop
from ivr_engine.observability.metrics_page import MetricsPage
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = connect("sqlite://")
    yield made
    await made.close()


def page_of(store: Store) -> MetricsPage:
    return MetricsPage(Metrics(), store, FixedClock())


async def sample(page: MetricsPage, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families((await page.render()).decode()):
        for found in family.samples:
            if found.name == name and found.labels == labels:
                return found.value
    return None


async def happen(store: Store, count: int = 1) -> None:
    def write(tx: Tx) -> None:
        for _ in range(count):
            tx.events.add(START, "c1", CallStarted(None, "700"))

    await store.run(write)


async def test_each_event_is_counted_once_from_the_beginning_on(store: Store) -> None:
    await happen(store, 3)
    page = page_of(store)
    await page.begin()
    await happen(store, 2)
    assert await sample(page, "ivr_calls_started_total") == 2
    assert await sample(page, "ivr_calls_started_total") == 2
    await happen(store, 1)
    renders = await asyncio.gather(*(page.render() for _ in range(5)))
    assert all(b"ivr_calls_started_total 3.0" in text for text in renders)


async def test_more_than_a_page_of_events_is_caught_up_with(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr_engine.observability.metrics_page._PAGE", 7)
    page = page_of(store)
    await page.begin()
    await happen(store, 21)
    assert await sample(page, "ivr_calls_started_total") == 21


async def test_the_funnel_and_the_ends_have_labels(store: Store) -> None:
    page = page_of(store)
    await page.begin()
    await store.run(
        lambda tx: tx.events.add(
            START,
            "c1",
            ConsentGiven("allowed", "1"),
            CallFinished("caller_hung_up"),
            MessageStatusChanged("m1", "delivered"),
        )
    )
    assert await sample(page, "ivr_wait_time_sms_consent_total", step="allowed") == 1
    assert await sample(page, "ivr_calls_ended_total", reason="caller_hung_up") == 1
    assert await sample(page, "ivr_messages_total", status="delivered") == 1


async def test_what_became_of_todays_offers_is_looked_at_once_a_minute(store: Store) -> None:
    clock = FixedClock()
    page = MetricsPage(Metrics(), store, clock)

    def asked(tx: Tx) -> None:
        tx.events.add(START, "c1", ConsentAsked(1, "support", "en"), SmsWithheld("day_cap", "support", "en"))
        tx.events.add(START, "c1", SmsCapReached("day", "", 5))

    place = {"queue": "support", "language": "en"}
    await page.begin()
    assert await sample(page, "ivr_wait_time_sms_today", **place, step="offered") is None
    await store.run(asked)
    assert await sample(page, "ivr_wait_time_sms_today", **place, step="offered") is None
    clock.at += timedelta(minutes=1)
    assert await sample(page, "ivr_wait_time_sms_today", **place, step="offered") == 1
    assert await sample(page, "ivr_wait_time_sms_today", **place, step="withheld") == 1
    assert await sample(page, "ivr_sms_withheld_total", reason="day_cap") == 1
    assert await sample(page, "ivr_sms_caps_reached_total", cap="day") == 1


async def test_a_transaction_is_timed_also_when_it_fails(store: Store) -> None:
    metrics = Metrics()
    timed = LagStore(store, metrics.store_latency.observe)
    assert await timed.run(lambda _tx: 5) == 5

    def fail(_tx: Tx) -> None:
        raise ExternalError("no")

    with pytest.raises(ExternalError):
        await timed.run(fail)
    await timed.check()
    page = MetricsPage(metrics, timed, FixedClock())
    assert (await sample(page, "ivr_store_transaction_seconds_count") or 0) >= 2


async def test_the_loop_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr_engine.observability.metrics.LAG_EVERY_S", 0.001)
    metrics = Metrics()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(watch_loop(metrics))
        while not metrics.registry.get_sample_value("ivr_event_loop_lag_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()


async def test_what_the_ari_client_counts_is_read_at_each_scrape(store: Store) -> None:
    counts, metrics = {"connections": 1, "unknown": 0}, Metrics()
    metrics.follow_ari(lambda: counts)
    page = MetricsPage(metrics, store, FixedClock())
    assert await sample(page, "ivr_ari_total", what="connections") == 1
    counts["connections"] = 2
    assert await sample(page, "ivr_ari_total", what="connections") == 2


async def test_a_queue_in_which_nobody_waits_is_shown_as_0(store: Store) -> None:
    page = MetricsPage(Metrics(), store, FixedClock(), lambda: ["support", "sales"])
    for queue in ("support", "sales"):
        assert await sample(page, "ivr_queue_waiting", queue=queue) == 0
        assert await sample(page, "ivr_queue_longest_wait_seconds", queue=queue) == 0
    await store.run(lambda tx: tx.calls.add(call("c1")))
    assert await sample(page, "ivr_queue_waiting", queue="support") == 1
    assert await sample(page, "ivr_queue_waiting", queue="sales") == 0


async def test_a_state_no_call_is_in_is_shown_as_0(store: Store) -> None:
    page = MetricsPage(Metrics(), store, FixedClock())
    for chapter in set(Chapter) - {Chapter.ENDED}:
        assert await sample(page, "ivr_calls_open", state=call("c1", chapter=chapter).state) == 0


async def test_wait_estimates_and_how_they_came_out() -> None:
    metrics = Metrics()
    accuracy = Accuracy()
    told = {of: Told(0.0, of, 50.0, 90.0, 60.0, 0.0) for of in Of}
    accuracy.add(80.0, told[Of.ENTRY])
    known = QueueReport(Estimate(100.0, 100.0**2), {Of.ENTRY: accuracy, Of.ANNOUNCED: Accuracy()})
    metrics.follow_waits(lambda: {"support": known, "sales": QueueReport(None, {})})
    text = generate_latest(metrics.registry).decode()
    assert 'ivr_queue_estimated_wait_seconds{quantile="0.8",queue="support"}' in text
    assert 'queue="sales"' not in text
    assert 'ivr_wait_estimate_coverage{of="entry",quantile="0.5",queue="support"} 0.0' in text
    assert 'ivr_wait_estimate_coverage{of="entry",quantile="0.8",queue="support"} 1.0' in text
    assert 'ivr_wait_estimate_error{of="entry",queue="support",rule="engine"} 0.25' in text
    assert 'ivr_wait_estimate_error{of="entry",queue="support",rule="app_queue"} 1.0' in text
    assert 'ivr_wait_estimate_callers{of="announced",queue="support"} 0.0' in text
    assert 'ivr_wait_estimate_coverage{of="announced"' not in text


async def test_queues_over_capacity_and_what_callers_chose(store: Store) -> None:
    def write(tx: Tx) -> None:
        tx.events.add(START, "c1", OverCapacity("support", "wait"), OverCapacityChosen("flow", "2"))

    page = page_of(store)
    await page.begin()
    await store.run(write)
    text = (await page.render()).decode()
    assert 'ivr_queue_over_capacity_total{limit="wait",queue="support"} 1.0' in text
    assert 'ivr_over_capacity_chosen_total{option="flow"} 1.0' in text
