"""What is known elsewhere, and read anew at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ivr_engine.domain.wait_watch import Accuracy, Of, QueueReport


class Followed(Collector):
    """Counters that live elsewhere."""

    def __init__(self, name: str, meaning: str, label: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._meaning, self._label, self._counts = name, meaning, label, counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._meaning, labels=[self._label])
        for what, count in self._counts().items():
            family.add_metric([what], count)
        yield family


class Trunks(Collector):
    """Whether calls can pass over a line."""

    def __init__(self, up: Callable[[], Mapping[str, bool]]) -> None:
        self._up = up

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("ivr_trunk_up", "1 when calls can pass over this trunk", labels=["trunk"])
        for trunk, up in self._up().items():
            family.add_metric([trunk], float(up))
        yield family


class Waits(Collector):
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
