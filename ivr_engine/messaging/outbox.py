"""The outbox worker: every stored message is sent once, or shown to people as one nobody can tell of.

The order that makes this true: the row says ``sending`` and is durable before the request leaves
(``claiming``); what came of it is a second transaction; a row found in ``sending`` later, or a request
without an answer, is settled by the provider's callback or list before anything is sent again
(``settling``).
``docs/0003-sms-outbox.md`` has the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.domain.pace import AHEAD
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging import settling
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import Claim, Claimed, SendingRules
from ivr_engine.messaging.outcomes import (
    belongs_to_another,
    keep,
    say_unknown,
    send_once_more,
)
from ivr_engine.messaging.unhurried import TICK_S, Unhurried
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Accepted, Clock, FindResult, NotTaken, SendResult, Store, Tx

_log = structlog.get_logger()

_STORE_RETRIES_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Seconds between tries to write an outcome; then the lease on the row runs out and the list tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """``poll_s``: how often due times are looked at when nobody wakes the worker. ``tick_s``: how long
    transactions gather (see ``unhurried``). Seconds."""

    sends_at_once: int = 96
    looks_at_once: int = 4
    poll_s: float = 1.0
    tick_s: float = TICK_S


class Outbox:
    """Hold ``run`` in the root task group."""

    def __init__(
        self,
        *,
        store: Store,
        carriers: Carriers,
        clock: Clock,
        rules: SendingRules | None = None,
        limits: OutboxLimits | None = None,
    ) -> None:
        self._limits = limits or OutboxLimits()
        self._store = Unhurried(store, self._limits.tick_s)
        self._carriers = carriers
        self._clock = clock
        self._rules = rules or SendingRules()
        self._policy = self._rules.policy
        self._woken = asyncio.Event()
        self._looking = 0
        self._backlog = False
        self._more_looks = False
        self._look_at: datetime | None = None
        self._resting: Mapping[str, datetime] = {}
        self._trouble = Trouble("sms.store_down", "sms.store_back")

    def wake(self) -> None:
        """There is a new row. Promises nothing: the row does."""
        self._woken.set()

    @property
    def provider_down(self) -> bool:
        return self._carriers.down

    async def run(self) -> None:
        """Until cancelled. What a former run left in ``sending`` is settled first."""
        self._carriers.begin_anew()
        self._looking = 0
        await self._recover()
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                await self._turn(group)
                await self._pause()

    async def resend(self, message_id: str) -> Message:
        """An admin's decision about an unknown or failed message; ``Refused`` in any other state."""
        message = await self._decide(
            message_id, lambda before, now: settling.resent(before, now, self._policy)
        )
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
        routes = self._carriers.routes(now, self._limits.sends_at_once - self._carriers.under_way)
        looks = None
        if self._look_at is None or now >= self._look_at:
            looks = self._limits.looks_at_once - self._looking
        if looks is None and not any(route.places > 0 for route in routes):
            return
        resting = self._still_resting(now)
        try:
            claimed = await self._store.run(
                lambda tx: Claim(tx, self._rules, self._clock.now()).claimed(routes, looks, resting)
            )
        except ExternalError as error:
            self._store_troubled(error)
            return
        self._trouble.over()
        self._note(claimed, looks, resting, now)
        for message, moment in claimed.sends:
            self._carriers.begins(message)
            group.create_task(self._send(message, moment))
        for message in claimed.looks:
            self._looking += 1
            group.create_task(self._look(message))

    def _still_resting(self, now: datetime) -> dict[str, datetime]:
        """A moment far away was noted before the clock was set back."""
        soon = now + timedelta(seconds=self._limits.poll_s)
        return {sender: at for sender, at in self._resting.items() if now < at <= soon}

    def _note(
        self, claimed: Claimed, looks: int | None, resting: Mapping[str, datetime], now: datetime
    ) -> None:
        self._resting = {**resting, **claimed.again_at}
        self._backlog = claimed.backlog
        if looks is not None:
            self._look_at = now + timedelta(seconds=self._limits.poll_s)
            self._more_looks = claimed.more_looks
        if claimed.at_once:
            self._woken.set()
        say_unknown(claimed.moved)

    async def _pause(self) -> None:
        """Until woken, or a sender has a moment free, or due times are to be looked at again."""
        now = self._clock.now()
        waits = [(at - now).total_seconds() for at in self._resting.values()]
        try:
            async with asyncio.timeout(max(0.0, min([self._limits.poll_s, *waits]))):
                await self._woken.wait()
        except TimeoutError:
            return

    # ── asking the provider ──────────────────────────────────────────────────────────────────────

    async def _send(self, message: Message, moment: datetime) -> None:
        try:
            if await self._waited_for(moment) and not await self._may_still_leave(message):
                return
            result = await self._carriers.send(message)
            now = self._clock.now()
            self._carriers.saw(message, result, now)
            elsewhere = self._carriers.goes_elsewhere(message, result, now)
            await self._record(
                message,
                result,
                lambda current: settling.after_send(
                    current, result, now, self._policy, goes_elsewhere=elsewhere
                ),
            )
        finally:
            self._carriers.ended(message)
            if self._backlog:
                self._woken.set()

    async def _waited_for(self, moment: datetime) -> bool:
        """Whether that took long enough for a STOP to come."""
        wait_s = min(moment - self._clock.now(), AHEAD).total_seconds()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return wait_s > TICK_S

    async def _may_still_leave(self, message: Message) -> bool:
        """Without the store that is not known: then it stays, until its lease is over."""
        try:
            stopped = await self._store.at_once(
                lambda tx: Claim(tx, self._rules, self._clock.now()).stopped(message.id)
            )
        except ExternalError as error:
            self._store_troubled(error)
            return False
        return stopped is None

    async def _look(self, message: Message) -> None:
        try:
            result = await self._carriers.find(message)
            now = self._clock.now()
            await self._record(
                message, result, lambda current: settling.after_look(current, result, now, self._policy)
            )
        finally:
            self._looking -= 1
            if self._more_looks:
                self._look_at = None
                self._woken.set()

    # ── writing what came of it ──────────────────────────────────────────────────────────────────

    async def _record(
        self, message: Message, result: SendResult | FindResult, decide: Callable[[Message], Message]
    ) -> None:
        def write(tx: Tx) -> Message | None:
            now = self._clock.now()
            before = tx.messages.get(message.id)
            after = decide(before)
            if isinstance(result, Accepted) and belongs_to_another(tx, after, result):
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
            say_unknown([moved] if moved else [])
            if isinstance(result, NotTaken) and result.retry_after_s is None:
                _log.warning("sms.refused", message=message.id, code=result.code, reason=result.reason)
            return
        _log.error("sms.outcome_not_stored", message=message.id, meaning="the provider's list will tell")

    async def _recover(self) -> None:
        """Rows that this engine left in ``sending`` belong to a run that is gone: its connections died with
        it. Those of another engine are its own until their lease is over."""

        def settle(tx: Tx) -> list[Message]:
            now = self._clock.now()
            found = tx.messages.left_in_sending(self._rules.engine, 100)
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

    def _store_troubled(self, error: ExternalError) -> None:
        self._trouble.met(error, meaning="nothing is sent until it is back")
