"""How long a simulated day of ten thousand calls takes: ``python -m bench.simulate``, on a machine with
nothing else to do. Writes its part of docs/benchmarks.md."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.calls import machine
from bench.report import write_day

PROJECT: Final = Path(__file__).resolve().parents[1]
DAY: Final = PROJECT / "config" / "days" / "ten-thousand.yaml"
MOST_S: Final = 60.0


def main() -> int:
    before = machine()
    runs = [_run() for _ in range(2)]
    same = runs[0][0] == runs[1][0]
    report = json.loads(runs[0][0])
    wall_s, cpu_s = min(run[1] for run in runs), min(run[2] for run in runs)
    memory_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = [
        ("calls simulated", str(report["calls"])),
        ("seconds, of two runs the faster", f"{wall_s:.1f}"),
        ("CPU a call", f"{cpu_s / report['calls'] * 1000:.2f} ms"),
        ("most memory", f"{memory_mb:.0f} MB"),
        ("the same report twice", "yes" if same else "**no**"),
    ]
    write_day(rows, machine=before)
    for what, value in rows:
        print(f"{what}: {value}")
    return 0 if same and wall_s < MOST_S else 1


def _run() -> tuple[str, float, float]:
    """The report, and the seconds it took by the clock and of CPU."""
    cpu, began = _cpu_s(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ivr_engine", "simulate", str(DAY), "--json"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout, time.monotonic() - began, _cpu_s() - cpu


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
