"""Whose a text from a phone is: of an open call, of one that has ended, or of none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.in_call_sms import had_session
from ivr_engine.domain.messages import Direction, Purpose
from ivr_engine.errors import Refused
from ivr_engine.messaging.senders import sender_for
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site

AFTER_HANG_UP: Final = timedelta(hours=2)
"""Where no site says how long a text belongs to a call that has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRules:
    """``provider``: whose ids these are. ``country``: where numbers without a country code are from.
    ``after_hang_up``: how long a text still belongs to a call that has ended. Without ``site`` nothing is
    answered."""

    provider: str
    country: str
    after_hang_up: timedelta = AFTER_HANG_UP
    site: Site | None = None

    @classmethod
    def of(cls, provider: str, site: Site) -> InboundRules:
        """As the site in force says."""
        return cls(
            provider=provider,
            country=site.country,
            after_hang_up=timedelta(seconds=site.in_call_sms.after_hang_up),
            site=site,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """``call``: whose the text is. ``over``: the call that has ended in which this phone was last written to
    from that number, also when the text is not that call's any more."""

    purpose: Purpose
    call: Call | None = None
    over: Call | None = None

    @property
    def ticket_id(self) -> str | None:
        """Where it is commented: not after a talk."""
        return self.call.ticket_id if self.call is not None and self.purpose is Purpose.REPLY else None

    @property
    def answers_wait_time_sms(self) -> bool:
        """The caller had allowed one in this call, which goes on or ended while they waited."""
        allowed = self.call is not None and self.call.consent.status is WaitTimeSmsStatus.ALLOWED
        return allowed and self.purpose is Purpose.REPLY


def belonging(tx: Tx, phone: str, number: str, rules: InboundRules, now: datetime) -> Belonging:
    """The open call of that phone that was written to from the number it answers (the call written to last,
    if there are two), else one that would be; else the call that ended a short while ago."""
    last = tx.messages.last_outbound_to(phone, number)
    newest = _call(tx, last.call_id) if last else None
    if newest is not None and newest.chapter is not Chapter.ENDED:
        return Belonging(purpose=Purpose.REPLY, call=newest)
    running = _open_call(tx, phone, number, rules)
    if running is not None:
        return Belonging(purpose=Purpose.REPLY, call=running)
    if newest is None or newest.ended_at is None:
        return Belonging(purpose=Purpose.UNSOLICITED)
    if now - newest.ended_at > rules.after_hang_up:
        return Belonging(purpose=Purpose.UNSOLICITED, over=newest)
    if had_session(newest):
        return Belonging(purpose=Purpose.LATE_REPLY, call=newest, over=newest)
    return Belonging(purpose=Purpose.REPLY, call=newest)


def _open_call(tx: Tx, phone: str, number: str, rules: InboundRules) -> Call | None:
    calls = tx.calls.search(caller=phone, open_only=True)
    written_to = [
        (message.created_at, call.id)
        for call in calls
        for message in tx.messages.of_call(call.id)
        if message.direction is Direction.OUTBOUND and message.sender == number
    ]
    if written_to:
        return tx.calls.get(max(written_to)[1])
    site = rules.site
    ours = (call for call in calls if site and sender_for(tx, site, call.queue, phone) == number)
    return next(ours, None)


def _call(tx: Tx, call_id: str | None) -> Call | None:
    """``None`` also when it is not kept any more: what came in is stored all the same."""
    if call_id is None:
        return None
    try:
        return tx.calls.get(call_id)
    except Refused as refusal:
        if not refusal.missing:
            raise
        return None
