"""Which caps on SMS are reached today (``domain.abuse``), remembered so that nobody is asked in vain: no look
into the store in each round.

What is remembered never lets an SMS go out. That is decided by the store, with the key that asks for it;
another engine may have reached a cap that is not remembered here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.abuse import Cap, Caps, Counter, Taken, day_of
from ivr_engine.domain.events import SmsCapReached
from ivr_engine.domain.numbers import masked
from ivr_engine.ports import Tx

log = structlog.get_logger()

KEPT: Final = timedelta(days=7)
"""How long counts can be looked at."""


class FullCaps:
    def __init__(self) -> None:
        self._day = ""
        self._used: dict[str, int] = {}

    def one_of(self, tx: Tx, caps: Caps, number: str, now: datetime) -> Cap | None:
        """The first that ``number`` has reached. The first time on a day the store is looked at."""
        counters = caps.counters(number)
        if counters and self._day != day_of(now):
            self._begin_day(tx, caps, now)
        full = (c.cap for c in counters if self._used.get(c.key, 0) >= c.limit)
        return next(full, None)

    def took(self, taken: Taken) -> None:
        """The SMS counted, or did not; after the commit. What is reached now is said, once."""
        for counter in taken.full:
            self._used[counter.key] = counter.limit
            log.error(
                "sms.cap_reached",
                cap=counter.cap,
                whose=_shown(counter),
                limit=counter.limit,
                meaning="no more SMS that callers ask for, until the day (UTC) is over",
                remedy=counter.remedy,
            )
        if taken.over is not None:
            self._used[taken.over.key] = taken.over.limit

    def _begin_day(self, tx: Tx, caps: Caps, now: datetime) -> None:
        limits = [caps.per_number, caps.per_prefix, caps.per_day]
        least = min(limit for limit in limits if limit is not None)
        self._used = {key: used for key, (used, _) in tx.sms_counts.high(least, now).items()}
        self._day = day_of(now)
        tx.sms_counts.forget(now - KEPT)


def count(tx: Tx, caps: Caps, number: str, call_id: str, now: datetime) -> Taken:
    """One more SMS to ``number``, if there may be: with the alarm, in the transaction that stores the SMS."""
    taken = tx.sms_counts.take(caps.counters(number), now)
    reached = [SmsCapReached(full.cap, full.whose, full.limit) for full in taken.full]
    tx.events.add(now, call_id, *reached)
    return taken


def _shown(counter: Counter) -> str:
    return masked(counter.whose) if counter.cap is Cap.NUMBER else counter.whose or "all"
