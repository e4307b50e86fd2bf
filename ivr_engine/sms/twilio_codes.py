"""What Twilio's numbers and words mean here: error codes, HTTP statuses, message statuses.

The codes are listed at https://www.twilio.com/docs/api/errors; which of them may be tried again is decided
here. A code that is not listed is final: a text sent twice is worse than one that people have to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.ports import NotTaken, SendResult, Unclear

MENDING_RETRY_S: Final = 30.0
"""Wrong or suspended credentials are mended by people, not by trying quickly."""
QUEUE_FULL_RETRY_S: Final = 30.0
"""Twilio's queue for the sender is full; it empties at one part a second."""
HANDSET_RETRY_S: Final = 300.0
"""The phone is off or out of reach."""
BUSY_RETRY_S: Final = 1.0
"""429 without ``Retry-After``."""
BUSY_AT_MOST_S: Final = 3600.0
"""Whatever ``Retry-After`` says."""

_MENDED_BY_PEOPLE: Final = frozenset(
    {
        *("20003", "20005", "20006", "20008", "20404"),
        # Not authenticated, account suspended, access denied, test credentials, no such account.
        *("21212", "21606", "21660", "21609"),
        # The sender is no number, cannot text, is another account's; our status callback is no address.
    }
)
"""The account or our settings are wrong: no fault of a message, and the same for all of them."""

_QUEUE_FULL: Final = frozenset({"30001", "21611"})
_HANDSET: Final = frozenset({"30003", "30008"})
"""Out of reach, unknown error: a second try may work. A third is spam."""

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
    if code in _MENDED_BY_PEOPLE or (status in (401, 403, 404) and not code):
        return NotTaken(code or str(status), reason, retry_after_s=MENDING_RETRY_S)
    if code in _HANDSET and attempts > 1:
        return NotTaken(code, reason)
    return NotTaken(
        code or str(status), reason, retry_after_s=again_after_s(code), this_one_only=code in _HANDSET
    )


def again_after_s(code: str | None) -> float | None:
    """When a message that Twilio took, and could not deliver for this reason, may be sent once more."""
    if code in _QUEUE_FULL:
        return QUEUE_FULL_RETRY_S
    return HANDSET_RETRY_S if code in _HANDSET else None


def seconds(retry_after: str | None) -> float:
    """``Retry-After`` as seconds, within reason; its form with a date counts as not given."""
    text = (retry_after or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return BUSY_RETRY_S
    return min(max(float(text), BUSY_RETRY_S), BUSY_AT_MOST_S)
