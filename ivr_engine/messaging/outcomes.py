"""Writing what became of a message, with the event that tells it: for the outbox and the webhooks alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

import structlog

from ivr_engine.domain.events import MessageQueued, MessageStatusChanged
from ivr_engine.domain.messages import Message, MessageStatus, once_more
from ivr_engine.domain.numbers import masked
from ivr_engine.domain.tickets import comment_from
from ivr_engine.messaging import opt_outs
from ivr_engine.messaging.metrics import DOUBLED
from ivr_engine.ports import Accepted, Tx

_log = structlog.get_logger()


def keep(tx: Tx, before: Message, after: Message, now: datetime) -> Message:
    """Write ``after`` if it differs, and an event if the status moved. Who opted out with the provider is so
    here too."""
    if after == before:
        return before
    tx.messages.save(after)
    if after.status is not before.status:
        tx.events.add(now, after.call_id, MessageStatusChanged(after.id, after.status, after.error_code))
    if after.error_code != before.error_code and after.error_code in opt_outs.REFUSED_BY_PROVIDER:
        opt_outs.refused_by_provider(tx, after, now)
    return after


def send_once_more(
    tx: Tx, before: Message, after: Message, retry_after_s: float | None, now: datetime
) -> None:
    """A message has just turned out as not deliverable, for a reason that may pass: a second one takes its
    place, so that what became of the first stays to be seen, and its late callbacks mean nothing to it."""
    if retry_after_s is None or after.status is before.status:
        return
    second = once_more(after, retry_after_s, id=uuid.uuid4().hex, now=now)
    if second is None:
        return
    tx.messages.add(second)
    tx.events.add(now, second.call_id, MessageQueued(second.id))
    if second.ticket_id is not None:
        tx.tickets.comment(second.ticket_id, comment_from(second))


def belongs_to_another(tx: Tx, message: Message, result: Accepted) -> bool:
    """The id that the provider gave is that of another message already."""
    other = tx.messages.by_provider_id(message.provider, result.provider_id)
    return other is not None and other.id != message.id


def doubled(message: Message, second: str) -> None:
    """Not silently: the promise is that every doubled message is shown."""
    DOUBLED.inc()
    _log.error(
        "sms.doubled",
        message=message.id,
        call=message.call_id,
        to=masked(message.recipient),
        first=message.provider_id,
        second=second,
        meaning="the same message was taken twice; whoever took it first had denied having it",
    )


def say_unknown(moved: Iterable[Message]) -> None:
    for message in moved:
        if message.status is MessageStatus.UNKNOWN:
            _log.error(
                "sms.unknown",
                message=message.id,
                call=message.call_id,
                to=masked(message.recipient),
                code=message.error_code,
                meaning="neither callback nor list tells whether it was sent: resend or drop it",
            )
