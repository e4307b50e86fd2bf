"""Lines that would come again and again, because strangers cause them or because a trouble lasts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

INTERVAL_S: Final = 60.0
"""Between two lines of one cause."""

_CAUSES: Final = 256
"""Remembered at once: what strangers write may be part of a cause."""

log = structlog.get_logger()


class RationedLog:
    """For what strangers can cause as often as they like: of each event and cause one line in
    ``interval_s`` seconds; the next one says how many were left out."""

    def __init__(
        self, interval_s: float = INTERVAL_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._said: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def warning(self, event: str, *, cause: str = "", **facts: object) -> None:
        """``cause`` is not written: it stands in one of the ``facts``."""
        now = self._monotonic()
        at, left_out = self._said.get((event, cause), (float("-inf"), 0))
        if now - at < self._interval_s:
            self._said[event, cause] = at, left_out + 1
            return
        self._said[event, cause] = now, 0
        self._said.move_to_end((event, cause))
        if len(self._said) > _CAUSES:
            self._said.popitem(last=False)
        log.warning(event, **facts, **({"left_out": left_out} if left_out else {}))


class Trouble:
    """For what fails and is tried again until it works: a line when it begins (and when it becomes another
    trouble), a line when it is over."""

    def __init__(self, begins: str, over: str) -> None:
        self._begins = begins
        self._over = over
        self._said: set[str] = set()
        self._times = 0

    def met(self, error: Exception, **facts: object) -> None:
        """It failed, for the first time or again."""
        self._times += 1
        what = str(error) or "no answer in time"
        if what not in self._said and len(self._said) < _CAUSES:
            self._said.add(what)
            log.error(self._begins, error=what, **facts)

    def over(self) -> None:
        """It worked."""
        if self._times:
            log.warning(self._over, failures=self._times)
            self._said.clear()
            self._times = 0
