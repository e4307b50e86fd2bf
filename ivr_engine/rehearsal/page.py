"""A simulated day as one HTML page with its charts in it: nothing is fetched when it is opened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final
from xml.etree.ElementTree import Element

import pygal  # pyright: ignore[reportMissingTypeStubs]
from pygal.style import CleanStyle  # pyright: ignore[reportMissingTypeStubs]

# pygal leaves a finder for its map plugins, of a kind that Python knows no more: every later import of what
# is not there would warn of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

Json = Mapping[str, Any]

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
figure { margin: 1.5rem 0; }
"""

_CHART: Final[dict[str, Any]] = {
    "style": CleanStyle,
    "js": [],  # no script from elsewhere
    "disable_xml_declaration": True,
    "width": 900,
    "height": 340,
    "x_label_rotation": 45,
    "show_minor_x_labels": False,
    "legend_at_bottom": True,
    "legend_at_bottom_columns": 3,
    "truncate_legend": -1,
    "explicit_size": False,
    "no_prefix": True,
}


def page(report: Json) -> str:
    """Of a report by ``figures``."""
    intervals: Sequence[Json] = report["intervals"]
    title = escape(f"{report['what']}: {report['calls']} calls on {report['date']}")
    charts = [chart(intervals) for chart in (_calls, _waits, _service, _agents)] + [_sms(report["sms"])]
    figures = "\n".join(f"<figure>{chart}</figure>" for chart in charts)
    tables = _table(QUEUE_COLUMNS, queue_rows(report)) + _table(ESTIMATE_COLUMNS, estimate_rows(report))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n<p>{escape(summary(report))}</p>\n{tables}\n{figures}\n</body></html>\n"
    )


# ── words and tables, also of the command ────────────────────────────────────────────────────────

QUEUE_COLUMNS: Final = ("queue", "callers", "answered", "lost", "in time", "mean wait", "P80", "P95")
ESTIMATE_COLUMNS: Final = ("estimates", "callers", "within P80", "bias", "error", "app_queue's error")


def summary(report: Json) -> str:
    """The day in two sentences."""
    agents, sms = report["agents"], report["sms"]
    return (
        f"Agents served {agents['hours']:g} hours and were busy for {_percent(agents['occupancy'])} of them. "
        f"{sms['offered']} callers were offered a text, {sms['allowed']} allowed it, {sms['delivered']} "
        f"texts were delivered and {sms['callers_who_replied']} callers wrote back."
    )


def queue_rows(report: Json) -> list[list[str]]:
    """A row a queue, and one of all."""
    rows = [*report["queues"].items(), ("all", report["total"])]
    return [_queue_row(name, of, report["answered_within_s"]) for name, of in rows]


def _queue_row(name: str, of: Json, within_s: float) -> list[str]:
    wait: Json = of["wait_s"] or {}
    level = f"{_percent(of['service_level'])} in {within_s:g} s"
    counts = [str(of["offered"]), str(of["answered"]), f"{of['abandoned']} ({_percent(of['abandonment'])})"]
    return [name, *counts, level, *(_seconds(wait.get(each)) for each in ("mean", "p80", "p95"))]


def estimate_rows(report: Json) -> list[list[str]]:
    """Of what callers would have been told on entry, and of what they were told."""
    return [
        [
            f"{queue}, {when}",
            str(of["callers"]),
            _percent(of["within_p80"]),
            _percent(of["bias"]),
            _number(of["rrase"]),
            _number(of["rrase_of_app_queue"]),
        ]
        for queue, both in report["wait_estimates"].items()
        for when, of in both.items()
        if of is not None
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


# ── charts ───────────────────────────────────────────────────────────────────────────────────────


def _calls(intervals: Sequence[Json]) -> str:
    series = {
        "answered": [each["answered"] for each in intervals],
        "hung up while waiting": [each["abandoned"] for each in intervals],
    }
    return _chart(pygal.StackedBar, "Callers by half hour of arrival", intervals, series)


def _waits(intervals: Sequence[Json]) -> str:
    series = {
        name: [each["wait_s"] and each["wait_s"][of] for each in intervals]
        for name, of in (("mean", "mean"), ("P80", "p80"), ("P95", "p95"))
    }
    return _chart(pygal.Line, "Wait of those answered, in seconds", intervals, series)


def _service(intervals: Sequence[Json]) -> str:
    shares = [None if e["service_level"] is None else round(e["service_level"] * 100, 1) for e in intervals]
    series = {"answered in time": shares}
    return _chart(pygal.Line, "Service level in percent", intervals, series, range=(0, 100))


def _agents(intervals: Sequence[Json]) -> str:
    series = {
        "agents serving": [each["agents"] for each in intervals],
        "of them busy": [round(each["agents"] * (each["occupancy"] or 0), 2) for each in intervals],
    }
    return _chart(pygal.Line, "Agents", intervals, series)


def _sms(funnel: Json) -> str:
    steps = ("offered", "allowed", "sent", "delivered", "callers_who_replied")
    chart: Any = pygal.HorizontalBar(
        **_CHART, title="Texts while waiting", show_legend=False, print_values=True
    )
    chart.x_labels = [step.replace("_", " ") for step in reversed(steps)]
    chart.add("callers", [funnel[step] for step in reversed(steps)])
    return _svg(chart)


def _chart(
    kind: Callable[..., Any],
    title: str,
    intervals: Sequence[Json],
    series: Mapping[str, Sequence[Any]],
    **more: object,
) -> str:
    chart = kind(**_CHART, title=title, show_dots=False, **more)
    chart.x_labels = [each["from"] for each in intervals]
    chart.x_labels_major = [each["from"] for each in intervals if each["from"].endswith(":00")]
    for name, values in series.items():
        chart.add(name, values)
    return _svg(chart)


def _svg(chart: Any) -> str:  # noqa: ANN401  pygal has no types
    chart.uuid = str(chart.config.title)  # by itself it would be another one each time
    chart.add_xml_filter(_without_scripts)
    return chart.render(is_unicode=True)


def _without_scripts(root: Element) -> Element:
    for parent in list(root.iter()):
        for script in parent.findall("script"):
            parent.remove(script)
    return root
