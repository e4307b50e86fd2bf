"""What ``/metrics`` shows of text messages beside the statuses, which are counted from the event table."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

DOUBLED: Final = Counter("ivr_sms_doubled", "Messages that the provider reported under two ids")
MEDIA: Final = Counter("ivr_sms_media", "Pictures and videos by outcome", ["outcome"])
PROVIDER_UP: Final = Gauge("ivr_sms_provider_up", "1 while the provider takes messages", ["provider"])
