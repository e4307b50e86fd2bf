"""A row of Twilio's message list, and whether it may be a given text of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ivr_engine.domain.messages import MessageStatus
from ivr_engine.ports import Accepted
from ivr_engine.sms.twilio_codes import STATUSES, again_after_s

TRIAL_PREFIX: Final = "Sent from your Twilio trial account - "
"""What Twilio puts before the texts of an account that is not paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """``made`` and ``sent`` are ``None`` where Twilio does not say. ``text`` is empty also where the account
    hides its texts."""

    sid: str
    direction: str
    sender: str
    recipient: str
    text: str
    status: str
    made: datetime | None
    sent: datetime | None
    has_files: bool
    error_code: str | None = None

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"

    @property
    def outcome(self) -> MessageStatus:
        """What became of an outbound one."""
        return STATUSES.get(self.status, MessageStatus.ACCEPTED)

    def accepted(self) -> Accepted:
        """The outbound one as the outbox wants to know it."""
        return Accepted(self.sid, self.outcome, self.error_code, again_after_s(self.error_code))

    def since(self, when: datetime) -> bool:
        """Not surely older than ``when``."""
        at = self.sent or self.made
        return at is None or at >= when

    def made_before(self, when: datetime) -> bool:
        return self.made is not None and self.made < when

    def may_say(self, text: str) -> bool:
        """Also when it says nothing at all. White space is not compared: it may be trimmed on the way."""
        if not self.text:
            return True
        return _words(self.text.removeprefix(TRIAL_PREFIX)) == _words(text)


def _words(text: str) -> list[str]:
    return text.split()
