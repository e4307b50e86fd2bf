"""What Twilio's numbers and words mean here: error codes, HTTP statuses, message statuses.

The codes are listed at https://www.twilio.com/docs/api/errors; which of them may be tried again is decided
here. A code that is not listed is final: a text sent twice is worse than one that people have to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.ports import NotTaken, SendResult, Unclear

CREDENTIALS_RETRY_S: Final = 30.0
"""Wrong or suspended credentials are mended by people, not by trying quickly."""
QUEUE_FULL_RETRY_S: Final = 30.0
"""Twilio's queue for the sender is full; it empties at one part a second."""
HANDSET_RETRY_S: Final = 300.0
"""The phone is off or out of reach."""
BUSY_RETRY_S: Final = 1.0
"""429 without ``Retry-After``."""
BUSY_AT_MOST_S: Final = 3600.0
"""Whatever ``Retry-After`` says."""

_CREDENTIALS: Final = frozenset({"20003", "20005", "20006", "20008", "20404"})
"""Not authenticated, account suspended, access denied, test credentials, no such account."""

_AGAIN_AFTER_S: Final[Mapping[str, float]] = {
    "30001": QUEUE_FULL_RETRY_S,
    "21611": QUEUE_FULL_RETRY_S,
    "30003": HANDSET_RETRY_S,
}
_AGAIN_ONCE_AFTER_S: Final[Mapping[str, float]] = {"30008": HANDSET_RETRY_S}
"""Unknown error: a second try may work, a third is spam."""

STATUSES: Final[Mapping[str, MessageStatus]] = {
    "accepted": MessageStatus.ACCEPTED,
    "scheduled": MessageStatus.ACCEPTED,
    "queued": MessageStatus.ACCEPTED,
    "sending": MessageStatus.ACCEPTED,
    "sent": MessageStatus.SENT,
    "partially_delivered": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.DELIVERED,
    "undelivered": MessageStatus.UNDELIVERED,
    "failed": MessageStatus.FAILED,
    "canceled": MessageStatus.FAILED,
}
"""Of outbound messages; ``receiving`` and ``received`` are those of inbound ones."""


def refused(status: int, code: str, reason: str, retry_after: str | None, *, attempts: int) -> SendResult:
    """What an answer other than success means for a message sent for the ``attempts``-th time.

    ``code`` is empty when the body did not say one.
    """
    if status == 429:
        # Never processed, whatever the limit was: Twilio's own promise.
        return NotTaken(code or "429", reason, retry_after_s=seconds(retry_after))
    if status < 400 or status >= 500 or status == 408:
        return Unclear(f"Twilio answered {status}", processing_over=True)
    if code in _CREDENTIALS or (status in (401, 403, 404) and not code):
        return NotTaken(code or str(status), reason, retry_after_s=CREDENTIALS_RETRY_S)
    again = _AGAIN_AFTER_S.get(code)
    if attempts <= 1:
        again = _AGAIN_ONCE_AFTER_S.get(code, again)
    return NotTaken(code or str(status), reason, retry_after_s=again)


def seconds(retry_after: str | None) -> float:
    """``Retry-After`` as seconds, within reason; its form with a date counts as not given."""
    text = (retry_after or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return BUSY_RETRY_S
    return min(max(float(text), BUSY_RETRY_S), BUSY_AT_MOST_S)
