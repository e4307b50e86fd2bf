"""What ``/metrics`` shows of the CRMs that are told about conversations."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

OUTCOMES: Final = Counter(
    "ivr_crm_postings", "Postings that a CRM has, or that were given up", ["crm", "outcome"]
)
WAITING: Final = Gauge("ivr_crm_waiting", "Postings that a CRM does not have yet", ["crm"])
OLDEST: Final = Gauge("ivr_crm_lag_seconds", "How long ago the oldest of them happened", ["crm"])
DEAD: Final = Gauge("ivr_crm_dead_letters", "Postings that were given up: ivr-engine crm dead", ["crm"])
UP: Final = Gauge("ivr_crm_up", "1 while the CRM takes postings", ["crm"])
LOOKUPS: Final = Counter("ivr_crm_lookups", "Numbers asked for in another system", ["outcome"])
