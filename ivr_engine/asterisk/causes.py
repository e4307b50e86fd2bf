"""What Asterisk says about the end of a ringing leg, as the core's ``DialResult``.

Causes are Q.850 numbers; chan_pjsip makes them from the SIP answer: 486 → 17, 603 → 21, 480 → 19 (the
same as a dial time-out), 404 → 1, 503 → 34.
"""

from __future__ import annotations

from ivr_engine.ports import DialResult

_CAUSES = {
    16: DialResult.NO_ANSWER,  # cancelled by us
    17: DialResult.BUSY,
    18: DialResult.NO_ANSWER,
    19: DialResult.NO_ANSWER,
    21: DialResult.DECLINED,
    26: DialResult.NO_ANSWER,  # answered elsewhere
}

_STATUSES = {
    "ANSWER": DialResult.ANSWERED,
    "BUSY": DialResult.BUSY,
}


def of_cause(cause: int) -> DialResult:
    """Why a leg ended that had not been answered."""
    return _CAUSES.get(cause, DialResult.UNREACHABLE)


def of_status(dialstatus: str) -> DialResult | None:
    """What a ``Dial`` event settles. Other statuses are left to the cause, which says more."""
    return _STATUSES.get(dialstatus)
