"""Time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as a fact (UTC). Waiting is ``asyncio.sleep`` and ``asyncio.timeout``, monotonic."""

    def now(self) -> datetime: ...
