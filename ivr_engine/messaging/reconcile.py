"""Texts that no webhook brought: looked up in the provider's list, at start and every few minutes.

A provider tries a webhook twice at most, so what was sent while the engine was down is only in its list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.errors import ExternalError
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import Clock, InboundSms, Store, Tx

_log = structlog.get_logger()

_BATCH: Final = 50
"""Texts stored in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePolicy:
    """Seconds. ``overlap_s``: how far each look reaches back behind the one before, or at start behind the
    newest text stored. ``first_s``: how far back when no text was ever stored. ``most_s``: never further."""

    every_s: float = 120.0
    overlap_s: float = 3600.0
    first_s: float = 86_400.0
    most_s: float = 7 * 86_400.0
    retry_s: float = 10.0


class ReceivedList(Protocol):
    """The part of ``SmsProvider`` that is of use here."""

    async def received_since(self, since: datetime) -> Sequence[InboundSms]: ...


class Reconciliation:
    """Hold ``run`` in the root task group. ``stored`` is told of each text that was found."""

    def __init__(
        self,
        *,
        store: Store,
        provider: ReceivedList,
        clock: Clock,
        rules: Callable[[], InboundRules],
        stored: Callable[[Message], None],
        policy: ReconcilePolicy | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
        self._clock = clock
        self._rules = rules
        self._stored = stored
        self._policy = policy or ReconcilePolicy()
        self._looked_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled; a provider or store that is down is asked again soon, and said once."""
        troubled = False
        while True:
            try:
                await self.look()
            except ExternalError as error:
                if not troubled:
                    _log.warning("sms.reconciliation_waits", error=str(error))
                troubled = True
                await asyncio.sleep(self._policy.retry_s)
                continue
            troubled = False
            await asyncio.sleep(self._policy.every_s)

    async def look(self) -> int:
        """Store what is missing; how many texts that were."""
        began = self._clock.now()
        since = await self._since(began)
        listed = await self._provider.received_since(since)
        found = 0
        for first in range(0, len(listed), _BATCH):
            found += await self._take(listed[first : first + _BATCH])
        self._looked_at = began
        if found:
            _log.warning("sms.found_in_list", messages=found, meaning="no webhook had brought them")
        return found

    async def _since(self, now: datetime) -> datetime:
        last = self._looked_at or await self._newest_stored()
        if last is None:
            return now - timedelta(seconds=self._policy.first_s)
        reach = min(last, now) - timedelta(seconds=self._policy.overlap_s)
        return max(reach, now - timedelta(seconds=self._policy.most_s))

    async def _newest_stored(self) -> datetime | None:
        newest = await self._store.run(lambda tx: tx.messages.search(status=MessageStatus.RECEIVED, limit=1))
        return newest[0].created_at if newest else None

    async def _take(self, listed: Sequence[InboundSms]) -> int:
        rules = self._rules()  # here: the store's thread has no event loop

        def write(tx: Tx) -> list[Message]:
            now = self._clock.now()
            stored = (received(tx, sms, rules, now) for sms in listed)
            return [message for message in stored if message is not None]

        new = await self._store.run(write)
        for message in new:
            self._stored(message)
        return len(new)
