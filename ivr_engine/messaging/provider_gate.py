"""Whether the provider takes messages now, said once when it changes.

A provider that is down is not asked by every waiting message: one at a time tries, at growing intervals,
until one gets through. A provider that asks for patience (429) is left alone for as long as it asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.messaging.metrics import PROVIDER_UP
from ivr_engine.ports import Accepted, NotTaken, SendResult

_log = structlog.get_logger()

TROUBLES_UNTIL_DOWN: Final = 3
"""Failed requests in a row: a single one happens to every provider."""
PROBE_FIRST_S: Final = 1.0
PROBE_MOST_S: Final = 15.0
PATIENCE_S: Final = 10.0
"""A provider that asks for longer than that takes nothing, as one that is down."""


class ProviderGate:
    """Fed with every outcome; asked before every claim. ``probe_first_s`` doubles up to ``PROBE_MOST_S``."""

    def __init__(self, provider: str, probe_first_s: float = PROBE_FIRST_S) -> None:
        self._provider = provider
        self._first = timedelta(seconds=probe_first_s)
        self._interval = self._first
        self._troubles = 0
        self._down_since: datetime | None = None
        self._closed_until: datetime | None = None
        PROVIDER_UP.labels(provider).set(1)

    @property
    def down(self) -> bool:
        return self._down_since is not None

    def allowance(self, now: datetime, free: int, under_way: int) -> int:
        """How many messages may be sent now, of ``free`` places, with ``under_way`` taken."""
        if self._closed_until is not None and now < self._closed_until:
            return 0
        if self.down:
            return 1 if under_way == 0 and free > 0 else 0
        return free

    def stands_still(self, now: datetime) -> bool:
        """Messages need not wait for it, where somebody else would take them."""
        return self.down or (
            self._closed_until is not None and self._closed_until - now > timedelta(seconds=PATIENCE_S)
        )

    def saw(self, result: SendResult, now: datetime) -> None:
        if isinstance(result, Accepted) or (isinstance(result, NotTaken) and _about_this_one(result)):
            self._works(now)
            return
        self._troubles += 1
        late = self._closed_until is not None and now < self._closed_until
        if isinstance(result, NotTaken) and result.retry_after_s is not None:
            self._close(now + timedelta(seconds=result.retry_after_s))
        if self.down and not late:  # a try of now, not one that was under way when it went down
            self._interval = min(self._interval * 2, timedelta(seconds=PROBE_MOST_S))
            self._close(now + self._interval)
        elif not self.down and self._troubles >= TROUBLES_UNTIL_DOWN:
            self._goes_down(result.reason, now)

    def _goes_down(self, reason: str, now: datetime) -> None:
        self._down_since = now
        self._interval = self._first
        self._close(now + self._interval)
        PROVIDER_UP.labels(self._provider).set(0)
        _log.error(
            "sms.provider_down",
            provider=self._provider,
            reason=reason,
            meaning="texts wait in the outbox and are sent when it is back; calls go on",
        )

    def _works(self, now: datetime) -> None:
        self._troubles = 0
        self._closed_until = None
        if self._down_since is None:
            return
        seconds = round((now - self._down_since).total_seconds(), 1)
        self._down_since = None
        PROVIDER_UP.labels(self._provider).set(1)
        _log.warning("sms.provider_back", provider=self._provider, down_for_s=seconds)

    def _close(self, until: datetime) -> None:
        if self._closed_until is None or until > self._closed_until:
            self._closed_until = until


def _about_this_one(result: NotTaken) -> bool:
    """The provider works: it said no to this message."""
    return result.retry_after_s is None or result.this_one_only
