"""What becomes of an outbound message after each thing the provider says or does not say.

Pure: ``(message, result, now) → message``. Sending is not idempotent, so a request whose answer is missing
is neither repeated nor forgotten: it is ``unsettled`` until a status callback or the provider's list tells,
and ``unknown``, for people to decide, when neither can.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ivr_engine.domain.messages import FINAL, Message, MessageStatus, Urgency
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.ports import Accepted, FindResult, NotTaken, SendResult, Unclear

NO_ANSWER: Final = "engine:no_answer"
"""The deadline passed: the provider may still be at work on it."""
ANSWER_LOST: Final = "engine:answer_lost"
"""The provider said 5xx or the connection broke: whatever it did, it has done."""
ENGINE_STOPPED: Final = "engine:stopped_while_sending"
"""The engine ended between the request and the row that would have told its outcome."""
EXPIRED: Final = "engine:expired"
"""Certainly not sent, and too old to be sent now."""
DROPPED: Final = "engine:dropped"
"""An admin decided not to send it (again)."""
CONFLICT: Final = "engine:same_provider_id"
"""The provider gave one id to two messages."""

REFRESH_S: Final = 60.0
"""An accepted message without (further) callbacks is looked up so many seconds later."""


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlingPolicy:
    """Times in seconds.

    ``retry_first_s`` doubles with each attempt up to ``retry_most_s``, each less a random part (``jitter``
    gives the factor). ``look_first_s``: the first look into the provider's list; later looks come after the
    time already spent, at most every ``look_most_s``. ``list_lag_s``: a list read sooner after the request
    may not show it yet. ``stopped_s``: how long after its request a message of an engine that died may still
    be accepted (a provider slower than the deadline of a request is rare). ``settle_s``: how long after a
    time-out it may. ``lost_after_s``: no word for so long, not even from the list. ``valid_s``: not sent
    after that age; ``campaign_valid_s``: nor one of a campaign. ``refresh_first_s``: an accepted message
    without callbacks is looked up so long after, then at growing intervals until ``refresh_until_s``.
    ``lease_s``: a row in ``sending`` for so long belongs to nobody.
    """

    retry_first_s: float = 1.0
    retry_most_s: float = 60.0
    look_first_s: float = 1.0
    look_most_s: float = 15.0
    list_lag_s: float = 3.0
    stopped_s: float = 15.0
    settle_s: float = 60.0
    lost_after_s: float = 86_400.0
    valid_s: float = 14_400.0
    campaign_valid_s: float = 604_800.0
    refresh_first_s: float = REFRESH_S
    refresh_until_s: float = 21_600.0
    lease_s: float = 120.0
    jitter: Callable[[], float] = field(default=_jitter)


def claimed(message: Message, now: datetime, policy: SettlingPolicy) -> Message:
    """About to be sent: written before the request, so that a dead engine leaves a trace."""
    return replace(
        message,
        status=MessageStatus.SENDING,
        updated_at=now,
        attempts=message.attempts + 1,
        next_attempt_at=now + timedelta(seconds=policy.lease_s),
        error_code=None,
    )


def too_old(message: Message, now: datetime, policy: SettlingPolicy) -> bool:
    if message.valid_until is not None:
        return now > message.valid_until
    valid_s = policy.campaign_valid_s if message.urgency is Urgency.CAMPAIGN else policy.valid_s
    return now - message.created_at > timedelta(seconds=valid_s)


def held(message: Message, until: datetime, now: datetime, policy: SettlingPolicy) -> Message:
    """Not to be sent before ``until``, from when it is as good as new."""
    valid_until = until + timedelta(seconds=policy.valid_s)
    return replace(message, updated_at=now, next_attempt_at=until, valid_until=valid_until)


def after_send(
    message: Message,
    result: SendResult,
    now: datetime,
    policy: SettlingPolicy,
    *,
    goes_elsewhere: bool = False,
) -> Message:
    """``message`` as it stands in the store now: a callback may have overtaken the answer.
    ``goes_elsewhere``: if this provider has not taken it, another may be asked at once."""
    if isinstance(result, Accepted):
        return _accepted(message, result, now, policy)
    if message.status not in (MessageStatus.SENDING, MessageStatus.UNSETTLED):
        return message
    if isinstance(result, NotTaken):
        settled = _not_taken(message, result, now, policy)
        at_once = goes_elsewhere and settled.status is MessageStatus.QUEUED
        return replace(settled, next_attempt_at=now) if at_once else settled
    return _unsettled(message, ANSWER_LOST if result.processing_over else NO_ANSWER, now, policy)


def after_stop(message: Message, now: datetime, policy: SettlingPolicy) -> Message:
    """A row found in ``sending`` whose sender is gone."""
    if message.status is not MessageStatus.SENDING:
        return message
    # Its age goes on counting from the request, however long the engine was away.
    return replace(_unsettled(message, ENGINE_STOPPED, now, policy), updated_at=message.updated_at)


def after_look(message: Message, result: FindResult, now: datetime, policy: SettlingPolicy) -> Message:
    """What the provider's list said about an unsettled, or a long silent accepted, message."""
    if isinstance(result, Accepted):
        return _accepted(message, result, now, policy)
    if message.status is not MessageStatus.UNSETTLED:
        return replace(message, next_attempt_at=_next_refresh(message, now, policy))
    age = (now - message.updated_at).total_seconds()
    if isinstance(result, Unclear):
        if age >= policy.lost_after_s:
            return message.moved(MessageStatus.UNKNOWN, now)
        return replace(message, next_attempt_at=_next_look(message, now, policy))
    return _not_listed(message, age, now, policy)


def after_report(
    message: Message, status: MessageStatus, provider_id: str, error_code: str | None, now: datetime
) -> Message:
    """A status callback: proof that the provider has the message, whatever was thought before.

    The worker keeps an eye on a message not final yet: its last callback may never come.
    """
    known = message if message.provider_id else replace(message, provider_id=provider_id)
    if known.status is MessageStatus.UNKNOWN:
        known = replace(known, status=MessageStatus.UNSETTLED)
    if known.error_code is not None and known.error_code.startswith("engine:") and known.status not in FINAL:
        known = replace(known, error_code=None)
    moved = known.moved(status, now, error_code=error_code)
    if moved is known or moved.status in FINAL:
        return moved
    later = message.next_attempt_at or now + timedelta(seconds=REFRESH_S)
    return replace(moved, next_attempt_at=later)


def resent(message: Message, now: datetime, policy: SettlingPolicy) -> Message:
    """An admin decided that an unknown message is to be sent again: its age counts from now."""
    _must_be_unknown(message)
    return replace(
        message,
        valid_until=now + timedelta(seconds=policy.valid_s),
        status=MessageStatus.QUEUED,
        updated_at=now,
        next_attempt_at=now,
        provider_id=None,
        error_code=None,
    )


def dropped(message: Message, now: datetime) -> Message:
    """An admin decided that an unknown message is not to be sent again."""
    _must_be_unknown(message)
    return message.moved(MessageStatus.FAILED, now, error_code=DROPPED)


def _must_be_unknown(message: Message) -> None:
    if message.status is not MessageStatus.UNKNOWN:
        raise Refused(f"message {message.id} is {message.status}, not unknown: there is nothing to decide")


def failed(message: Message, code: str, now: datetime) -> Message:
    return message.moved(MessageStatus.FAILED, now, error_code=code)


def _accepted(message: Message, result: Accepted, now: datetime, policy: SettlingPolicy) -> Message:
    if message.status in FINAL and message.provider_id:
        return message
    moved = after_report(message, result.status, result.provider_id, result.error_code, now)
    if moved.status in FINAL:
        return moved
    return replace(moved, next_attempt_at=_next_refresh(moved, now, policy))


def _not_taken(message: Message, result: NotTaken, now: datetime, policy: SettlingPolicy) -> Message:
    if result.retry_after_s is None:
        return failed(message, result.code, now)
    if too_old(message, now, policy):
        return failed(message, EXPIRED, now)
    return _again(message, now, policy, at_least_s=result.retry_after_s, code=result.code)


def _not_listed(message: Message, age: float, now: datetime, policy: SettlingPolicy) -> Message:
    if message.error_code == NO_ANSWER:
        if age >= policy.settle_s:
            return message.moved(MessageStatus.UNKNOWN, now)
        return replace(message, next_attempt_at=_next_look(message, now, policy))
    if age < (policy.stopped_s if message.error_code == ENGINE_STOPPED else policy.list_lag_s):
        return replace(message, next_attempt_at=_next_look(message, now, policy))
    if too_old(message, now, policy):
        return failed(message, EXPIRED, now)
    return _again(message, now, policy, at_least_s=0.0, code=None)


def _again(
    message: Message, now: datetime, policy: SettlingPolicy, *, at_least_s: float, code: str | None
) -> Message:
    doubled = policy.retry_first_s * 2 ** min(max(message.attempts - 1, 0), 20)
    wait = max(at_least_s, min(policy.retry_most_s, doubled) * policy.jitter())
    return replace(
        message,
        status=MessageStatus.QUEUED,
        updated_at=now,
        next_attempt_at=now + timedelta(seconds=wait),
        error_code=code,
    )


def _unsettled(message: Message, why: str, now: datetime, policy: SettlingPolicy) -> Message:
    return replace(
        message,
        status=MessageStatus.UNSETTLED,
        updated_at=now,
        next_attempt_at=now + timedelta(seconds=policy.look_first_s),
        error_code=why,
    )


def _next_look(message: Message, now: datetime, policy: SettlingPolicy) -> datetime:
    """Intervals double: as long again as has passed already."""
    passed = (now - message.updated_at).total_seconds()
    return now + timedelta(seconds=min(max(passed, policy.look_first_s), policy.look_most_s))


def _next_refresh(message: Message, now: datetime, policy: SettlingPolicy) -> datetime | None:
    passed = (now - message.updated_at).total_seconds()
    if passed >= policy.refresh_until_s:
        return None
    return now + timedelta(seconds=max(passed, policy.refresh_first_s))
