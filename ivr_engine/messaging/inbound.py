"""What the provider tells us: texts from phones, and what became of ours.

Plain functions inside a transaction, so that a webhook is answered only after its effect is durable, and
so that the webhook and the reconciliation, which may both bring the same text, do exactly the same.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

import structlog

from ivr_engine.domain.events import MessageReceived, WaitTimeSmsReceived
from ivr_engine.domain.messages import (
    Direction,
    Media,
    MediaStatus,
    Message,
    MessageStatus,
    printable,
)
from ivr_engine.domain.numbers import to_e164
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import comment_from
from ivr_engine.errors import Refused
from ivr_engine.messaging import opt_outs, settling
from ivr_engine.messaging.abandoned import open_late
from ivr_engine.messaging.automatic_answer import answer
from ivr_engine.messaging.belonging import InboundRules, belonging
from ivr_engine.messaging.outcomes import doubled, keep, send_once_more
from ivr_engine.ports import InboundSms, StatusReport, Tx

__all__ = ["InboundRules", "received", "status_reported"]

_log = structlog.get_logger()

MAX_MEDIA: Final = 10
"""Files taken from one message."""
MAX_TEXT: Final = 20_000
"""Characters kept of one inbound text; no phone writes that many."""


def received(tx: Tx, sms: InboundSms, rules: InboundRules, now: datetime) -> Message | None:
    """Store a text from a phone; ``None`` when it is here already.

    Whose it is, ``belonging`` says. A ticket that the call has gets a comment in the same transaction, unless
    its talk is over: such a text can be read with the call, and may get an automatic answer. What it says
    about messages and callbacks is seen to in the same transaction.
    """
    if tx.messages.by_provider_id(rules.provider, sms.provider_id) is not None:
        return None
    sender = _number(sms.sender, rules)
    recipient = _number(sms.recipient, rules)
    whose = belonging(tx, sender, recipient, rules, now)
    message = Message(
        id=uuid.uuid4().hex,
        direction=Direction.INBOUND,
        sender=sender,
        recipient=recipient,
        text=printable(sms.text)[:MAX_TEXT],
        status=MessageStatus.RECEIVED,
        provider=rules.provider,
        purpose=whose.purpose,
        created_at=now,
        updated_at=now,
        media=tuple(_pending(url, kind) for url, kind in sms.media[:MAX_MEDIA]),
        provider_id=sms.provider_id,
        call_id=whose.call.id if whose.call else None,
        ticket_id=whose.ticket_id,
    )
    if not tx.messages.add(message):
        return None
    tx.events.add(now, message.call_id, MessageReceived(message.id, len(message.media)))
    if whose.answers_wait_time_sms:
        tx.events.add(now, message.call_id, WaitTimeSmsReceived(message.id, len(message.media)))
    if message.ticket_id is not None:
        tx.tickets.comment(message.ticket_id, comment_from(message))
    elif whose.call is not None and rules.site is not None:
        open_late(tx, whose.call, rules.site, now)
    command = opt_outs.heard(tx, message, rules.site, now, told=sms.told)
    if rules.site is not None:
        opt_outs.call_off(tx, message, rules.site, now)
    if command is None and whose.over is not None and rules.site is not None:
        answer(tx, whose.over, message, rules.site, now)
    return message


def status_reported(tx: Tx, report: StatusReport, provider: str, now: datetime) -> Message | None:
    """Note what became of a message of ours; the message if that was news, else ``None``.

    The report may come before the answer to the request, late, reversed or ten times over.
    """
    message = _reported(tx, report, provider)
    if message is None or message.direction is not Direction.OUTBOUND:
        return None
    if message.provider_id is not None and message.provider_id != report.provider_id:
        doubled(message, report.provider_id)
        return None
    after = settling.after_report(message, report.status, report.provider_id, report.error_code, now)
    keep(tx, message, after, now)
    send_once_more(tx, message, after, report.retry_after_s, now)
    return after if after.status is not message.status else None


def _reported(tx: Tx, report: StatusReport, provider: str) -> Message | None:
    """By the provider's id; before the answer to our request has told us that, by ours in the URL."""
    known = tx.messages.by_provider_id(provider, report.provider_id)
    if known is not None or report.message_id is None:
        return known
    try:
        ours = tx.messages.get(report.message_id)
    except Refused as refusal:
        if not refusal.missing:
            raise
        return None
    if ours.provider == provider:
        return ours
    if ours.status is MessageStatus.QUEUED:
        return replace(ours, provider=provider)  # it changed over to another provider, who has not got it
    if ours.provider_id is not None or ours.status is MessageStatus.SENDING:
        doubled(ours, report.provider_id)
    return None


def _number(raw: str, rules: InboundRules) -> str:
    """E.164 where it is a number; short codes and names as they came, cleaned and cut."""
    return to_e164(raw, rules.country) or printable(raw).strip()[:32] or "unknown"


def _pending(url: str, content_type: str) -> Media:
    return Media(
        id=uuid.uuid4().hex,
        url=printable(url)[:2000],
        content_type=printable(content_type)[:100],
        status=MediaStatus.PENDING,
    )
