"""What a process has used so far, from ``/proc``."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU seconds (user and system, all threads) and the most memory ever held, in MB."""

    cpu_s: float
    peak_mb: float


def used(pid: int) -> Used:
    fields = _fields(pid)
    status = Path(f"/proc/{pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return Used((int(fields[11]) + int(fields[12])) * _TICK_S, int(peak[1]) / 1024 if peak else 0.0)


def family_cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children, of those too that have ended."""
    own = _fields(pid)
    ticks = sum(map(int, own[11:15]))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended: its parent has its ticks now
                fields = _fields(int(entry.name))
                ticks += int(fields[11]) + int(fields[12]) if int(fields[1]) == pid else 0
    return ticks * _TICK_S


def _fields(pid: int) -> list[str]:
    """Of ``/proc/…/stat``, from the third on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def machine_busy() -> tuple[float, float]:
    """Seconds of work and seconds of all, over all cores, since the machine was started."""
    ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) * _TICK_S, sum(ticks) * _TICK_S
