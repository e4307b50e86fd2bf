"""What the operating guide names is there: checks, lines of the log, metrics."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operating.md").read_text()
SOURCES = "\n".join(file.read_text() for file in (ROOT / "ivr_engine").rglob("*.py"))


def test_lines_of_the_log_exist() -> None:
    table = GUIDE.partition("## What to do when")[2].partition("## Backup")[0]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", cell)}
    assert len(named) > 15
    missing = [name for name in named if f'"{name}"' not in SOURCES]
    assert missing == []


def test_metrics_exist() -> None:
    named = set(re.findall(r"`(ivr_[a-z_]+)`", GUIDE))
    assert len(named) > 7
    missing = [name for name in named if f'"{name.removesuffix("_total")}"' not in SOURCES]
    assert missing == []
