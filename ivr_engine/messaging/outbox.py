"""The outbox worker: every stored message is sent once, or shown to people as one nobody can tell of.

The order that makes this true: the row says ``sending`` and is durable before the request leaves; what
came of it is a second transaction; a row found in ``sending`` later, or a request without an answer, is
settled by the provider's callback or list before anything is sent again (``settling``).
``docs/0003-sms-outbox.md`` has the table.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

import structlog

from ivr_engine.domain.events import MessageQueued, MessageStatusChanged
from ivr_engine.domain.messages import Message, MessageStatus, once_more
from ivr_engine.domain.numbers import masked
from ivr_engine.domain.tickets import comment_from
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging import settling
from ivr_engine.messaging.provider_gate import PROBE_FIRST_S, ProviderGate
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.messaging.unhurried import TICK_S, Unhurried
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import (
    Accepted,
    Clock,
    FindResult,
    NotTaken,
    SendResult,
    SmsProvider,
    Store,
    Tx,
    Unclear,
)

_log = structlog.get_logger()

_TO_SEND: Final = frozenset({MessageStatus.QUEUED})
_TO_LOOK_UP: Final = frozenset(
    {MessageStatus.SENDING, MessageStatus.UNSETTLED, MessageStatus.ACCEPTED, MessageStatus.SENT}
)
_STORE_RETRIES_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Seconds between tries to write an outcome; then the lease on the row runs out and the list tells."""
_PROVIDER_AT_MOST_S: Final = 45.0
"""Above every deadline an adapter has of its own: a last guard against one that hangs."""

Veto = Callable[[Tx, Message], str | None]
"""A reason (code) not to send after all, asked in the transaction that claims the message: opted out, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """``poll_s``: how often due times are looked at when nobody wakes the worker. ``tick_s``: how long
    transactions gather (see ``unhurried``). Seconds."""

    sends_at_once: int = 32
    looks_at_once: int = 4
    poll_s: float = 1.0
    probe_first_s: float = PROBE_FIRST_S
    tick_s: float = TICK_S


@dataclass(slots=True)
class _Batch:
    sends: list[Message]
    looks: list[Message]
    moved: list[Message]


class Outbox:
    """Hold ``run`` in the root task group. ``public_url`` is where the provider reaches this engine."""

    def __init__(
        self,
        *,
        store: Store,
        provider: SmsProvider,
        clock: Clock,
        public_url: str,
        policy: SettlingPolicy | None = None,
        limits: OutboxLimits | None = None,
        veto: Veto | None = None,
    ) -> None:
        self._limits = limits or OutboxLimits()
        self._store = Unhurried(store, self._limits.tick_s)
        self._provider = provider
        self._clock = clock
        self._public_url = public_url.rstrip("/")
        self._policy = policy or SettlingPolicy()
        self._veto = veto
        self._gate = ProviderGate(provider.name, self._limits.probe_first_s)
        self._woken = asyncio.Event()
        self._sending = 0
        self._looking = 0
        self._backlog = False
        self._look_at: datetime | None = None
        self._trouble = Trouble("sms.store_down", "sms.store_back")

    def wake(self) -> None:
        """There is a new row. Promises nothing: the row does."""
        self._woken.set()

    @property
    def provider_down(self) -> bool:
        return self._gate.down

    async def run(self) -> None:
        """Until cancelled. What a former run left in ``sending`` is settled first."""
        self._sending = self._looking = 0
        await self._recover()
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                await self._turn(group)
                await self._pause()

    async def resend(self, message_id: str) -> Message:
        """An admin's decision about an unknown or failed message; ``Refused`` in any other state."""
        message = await self._decide(message_id, settling.resent)
        self.wake()
        return message

    async def drop(self, message_id: str) -> Message:
        """An admin's decision: the message is not to be sent (again)."""
        return await self._decide(message_id, settling.dropped)

    async def _decide(self, message_id: str, decide: Callable[[Message, datetime], Message]) -> Message:
        def write(tx: Tx) -> Message:
            now = self._clock.now()
            before = tx.messages.get(message_id)
            return keep(tx, before, decide(before, now), now)

        return await self._store.run(write)

    # ── one turn ─────────────────────────────────────────────────────────────────────────────────

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Take what is due, as much as there are places for, and start on it."""
        now = self._clock.now()
        free = self._limits.sends_at_once - self._sending
        sends = self._gate.allowance(now, free, self._sending)
        looks = (
            self._limits.looks_at_once - self._looking if self._look_at is None or now >= self._look_at else 0
        )
        if sends <= 0 and looks <= 0:
            return
        try:
            batch = await self._store.run(lambda tx: self._claim(tx, sends, looks, now))
        except ExternalError as error:
            self._store_troubled(error)
            return
        self._trouble.over()
        self._backlog = sends > 0 and len(batch.sends) >= sends
        if looks > 0 and len(batch.looks) < looks:
            self._look_at = now + timedelta(seconds=self._limits.poll_s)
        self._say(batch.moved)
        for message in batch.sends:
            self._sending += 1
            group.create_task(self._send(message))
        for message in batch.looks:
            self._looking += 1
            group.create_task(self._look(message))

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._limits.poll_s):
                await self._woken.wait()
        except TimeoutError:
            return

    def _claim(self, tx: Tx, sends: int, looks: int, now: datetime) -> _Batch:
        batch = _Batch([], [], [])
        if sends > 0:
            for message in tx.messages.due(now, _TO_SEND, sends):
                self._claim_send(tx, message, batch, now)
        if looks > 0:
            for message in tx.messages.due(now, _TO_LOOK_UP, looks):
                self._claim_look(tx, message, batch, now)
        return batch

    def _claim_send(self, tx: Tx, message: Message, batch: _Batch, now: datetime) -> None:
        reason = self._veto(tx, message) if self._veto else None
        if settling.too_old(message, now, self._policy):
            reason = settling.EXPIRED
        if reason is not None:
            batch.moved.append(keep(tx, message, settling.failed(message, reason, now), now))
            return
        claimed = replace(settling.claimed(message, now, self._policy), provider=self._provider.name)
        batch.sends.append(keep(tx, message, claimed, now))

    def _claim_look(self, tx: Tx, message: Message, batch: _Batch, now: datetime) -> None:
        if message.status is MessageStatus.SENDING:
            batch.moved.append(keep(tx, message, settling.after_stop(message, now, self._policy), now))
            return
        lease = now + timedelta(seconds=self._policy.lease_s)
        batch.looks.append(keep(tx, message, replace(message, next_attempt_at=lease), now))

    # ── asking the provider ──────────────────────────────────────────────────────────────────────

    async def _send(self, message: Message) -> None:
        try:
            result = await self._ask_to_send(message)
            now = self._clock.now()
            self._gate.saw(result, now)
            await self._record(
                message, result, lambda current: settling.after_send(current, result, now, self._policy)
            )
        finally:
            self._sending -= 1
            if self._backlog:
                self._woken.set()

    async def _look(self, message: Message) -> None:
        try:
            result = await self._ask_list(message)
            now = self._clock.now()
            await self._record(
                message, result, lambda current: settling.after_look(current, result, now, self._policy)
            )
        finally:
            self._looking -= 1

    async def _ask_to_send(self, message: Message) -> SendResult:
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await self._provider.send(message, self._status_url(message))
        except TimeoutError:
            return Unclear("the adapter did not come back", processing_over=False)
        except Exception:
            # A fault of the adapter's own: the request may have left. Not repeated blindly.
            _log.exception("sms.adapter_bug", message=message.id)
            return Unclear("a fault in the adapter", processing_over=False)

    async def _ask_list(self, message: Message) -> FindResult:
        if message.provider != self._provider.name:
            # The site sends by another one now, whose list says nothing about this message.
            return Unclear(f"it went by {message.provider}", processing_over=False)
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await self._provider.find(message)
        except TimeoutError:
            return Unclear("the adapter did not come back", processing_over=False)
        except Exception:
            _log.exception("sms.adapter_bug", message=message.id)
            return Unclear("a fault in the adapter", processing_over=False)

    def _status_url(self, message: Message) -> str:
        return f"{self._public_url}/webhooks/sms/{self._provider.name}/status?message={quote(message.id)}"

    # ── writing what came of it ──────────────────────────────────────────────────────────────────

    async def _record(
        self, message: Message, result: SendResult | FindResult, decide: Callable[[Message], Message]
    ) -> None:
        def write(tx: Tx) -> Message | None:
            now = self._clock.now()
            before = tx.messages.get(message.id)
            after = decide(before)
            if isinstance(result, Accepted) and _taken(tx, after, result):
                after = before.moved(MessageStatus.UNKNOWN, now, error_code=settling.CONFLICT)
            keep(tx, before, after, now)
            if isinstance(result, Accepted):
                send_once_more(tx, before, after, result.retry_after_s, now)
            return after if after.status is not before.status else None

        for pause in _STORE_RETRIES_S:
            try:
                moved = await self._store.run(write)
            except ExternalError as error:
                self._store_troubled(error)
                await asyncio.sleep(pause)
                continue
            except Refused as refusal:
                _log.error("sms.outcome_refused", message=message.id, reason=refusal.reason)
                return
            self._say([moved] if moved else [])
            if isinstance(result, NotTaken) and result.retry_after_s is None:
                _log.warning("sms.refused", message=message.id, code=result.code, reason=result.reason)
            return
        _log.error("sms.outcome_not_stored", message=message.id, meaning="the provider's list will tell")

    async def _recover(self) -> None:
        """Rows in ``sending`` belong to a run that is gone: its connections died with it."""

        def settle(tx: Tx) -> list[Message]:
            now = self._clock.now()
            found = tx.messages.due(now + timedelta(days=1), frozenset({MessageStatus.SENDING}), 100)
            return [keep(tx, m, settling.after_stop(m, now, self._policy), now) for m in found]

        while True:
            try:
                moved = await self._store.run(settle)
            except ExternalError as error:
                self._store_troubled(error)
                await asyncio.sleep(self._limits.poll_s)
                continue
            if not moved:
                return
            _log.info("sms.found_in_sending", messages=len(moved), meaning="the provider's list will tell")

    def _say(self, moved: list[Message]) -> None:
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

    def _store_troubled(self, error: ExternalError) -> None:
        self._trouble.met(error, meaning="nothing is sent until it is back")


def keep(tx: Tx, before: Message, after: Message, now: datetime) -> Message:
    """Write ``after`` if it differs, and an event if the status moved."""
    if after == before:
        return before
    tx.messages.save(after)
    if after.status is not before.status:
        tx.events.add(now, after.call_id, MessageStatusChanged(after.id, after.status, after.error_code))
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


def _taken(tx: Tx, message: Message, result: Accepted) -> bool:
    """The id that the provider gave belongs to another message already."""
    other = tx.messages.by_provider_id(message.provider, result.provider_id)
    return other is not None and other.id != message.id
