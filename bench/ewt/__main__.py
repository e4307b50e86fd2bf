"""``python -m bench.ewt``: all ten scenarios, and ``docs/wait-estimate.md`` anew. About a minute."""

from __future__ import annotations

import argparse

from bench.ewt import report
from bench.ewt.centre import Centre
from bench.ewt.scenarios import scenarios

ARRIVALS = 500_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ewt", description=__doc__)
    parser.add_argument("--arrivals", type=int, default=ARRIVALS, help="callers a scenario")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    results: list[report.Result] = []
    for scenario in scenarios(arguments.arrivals):
        results.append((scenario.name, Centre(scenario).run()))
        print(report.row(*results[-1]), flush=True)
    print(report.mean(results))
    if not arguments.dry:
        report.write(results, arguments.arrivals)


if __name__ == "__main__":
    main()
