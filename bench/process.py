"""What a process has used so far, from ``/proc``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU seconds (user and system, all threads) and the most memory ever held, in MB."""

    cpu_s: float
    peak_mb: float


def used(pid: int) -> Used:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return Used((int(fields[11]) + int(fields[12])) * _TICK_S, int(peak[1]) / 1024 if peak else 0.0)


def machine_busy() -> tuple[float, float]:
    """Seconds of work and seconds of all, over all cores, since the machine was started."""
    ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) * _TICK_S, sum(ticks) * _TICK_S
