"""A visit: a PBX's dialplan hands a caller over for one conversation, and goes on with what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ivr_engine.domain.wait_estimate import Estimate

CHANNEL: Final = "pbx/"
"""What the channel ids of such callers begin with: they are another Asterisk's, which counts as ours does."""


class VisitStatus(StrEnum):
    """What the dialplan branches on. ``failed``: no conversation, or none to its end."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NO_RESPONSE = "no_response"
    NOT_OFFERED = "not_offered"
    FAILED = "failed"


class Trouble(StrEnum):
    """Why a visit failed."""

    ENGINE_GONE = "engine_gone"
    """What stands there from the beginning of the visit until its end."""
    NOT_AUTHORIZED = "not_authorized"
    NO_SUCH_SCRIPT = "no_such_script"
    NO_SUCH_QUEUE = "no_such_queue"
    STORE_UNAVAILABLE = "store_unavailable"
    NOT_PLAYED = "not_played"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppQueue:
    """One queue of Asterisk's ``app_queue``: ``waiting`` callers, ``agents`` logged in, ``idle`` of them
    free, ``hold_time_s`` what it expects a caller to wait (an average over those it has connected)."""

    waiting: int
    agents: int
    idle: int
    hold_time_s: float

    @property
    def position(self) -> int:
        """Of a caller who enters it now; 1 is next."""
        return self.waiting + 1

    def estimate(self) -> Estimate | None:
        """Of the wait of a caller who enters now: none while somebody is free and nobody waits, else
        exponential with app_queue's average, which is how waits are spread in a queue without overtaking.
        ``None``, unknown: nobody is logged in, or nobody was connected yet."""
        if self.agents <= 0:
            return None
        if self.idle > self.waiting:
            return Estimate(0.0, 0.0)
        if self.hold_time_s <= 0:
            return None
        return Estimate(self.hold_time_s, self.hold_time_s**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitOutcome:
    """``reason``: one word for why it is ``not_offered`` or ``failed``, else empty."""

    status: VisitStatus
    reason: str = ""
    call_id: str = ""
    message_id: str = ""
    app_queue: AppQueue | None = None

    def variables(self) -> Mapping[str, str]:
        """As the dialplan reads them, each with ``IVR_WAIT_SMS_`` before its name."""
        told = self.app_queue
        return MappingProxyType(
            {
                "REASON": self.reason,
                "CALL_ID": self.call_id,
                "MESSAGE_ID": self.message_id,
                "POSITION": str(told.position) if told else "",
                "HOLD_TIME": str(round(told.hold_time_s)) if told else "",
                "STATUS": self.status.value,
            }
        )


def failed(trouble: Trouble, call_id: str = "") -> VisitOutcome:
    return VisitOutcome(status=VisitStatus.FAILED, reason=trouble.value, call_id=call_id)
