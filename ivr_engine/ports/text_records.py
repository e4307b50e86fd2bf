"""What is kept of text messages: the messages, how fast senders go, who agreed, and what is counted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from ivr_engine.domain.abuse import Counter, Taken
from ivr_engine.domain.consent import ConsentRecord
from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.domain.pace import SenderPace
from ivr_engine.domain.sms_reports import Funnel, Place, Usage


class Messages(Protocol):
    def get(self, message_id: str) -> Message: ...

    def by_provider_id(self, provider: str, provider_id: str) -> Message | None: ...

    def add(self, message: Message) -> bool:
        """False when (provider, provider id) is there already: the same webhook again."""
        ...

    def save(self, message: Message) -> None:
        """Its media rows too."""
        ...

    def due(self, now: datetime, statuses: frozenset[MessageStatus], limit: int) -> list[Message]:
        """Outbound messages in one of ``statuses`` whose ``next_attempt_at`` has come, oldest first, but for
        those that are ready to be sent; locked, those another engine has locked left out."""
        ...

    def make_ready(self, now: datetime, limit: int) -> int:
        """Queued messages that waited for a moment which has come are ready; how many that were."""
        ...

    def senders_waiting(self) -> list[str]:
        """From which messages are ready to be sent."""
        ...

    def to_send(self, sender: str, limit: int) -> list[Message]:
        """Those ready to be sent from ``sender``, whose turn it is first; locked, those another engine has
        locked left out."""
        ...

    def left_in_sending(self, engine: str, limit: int) -> list[Message]:
        """Requests of ``engine`` whose outcome is not stored; locked."""
        ...

    def last_of_stream(self, stream: str) -> Message | None:
        """The one with the latest turn."""
        ...

    def with_pending_media(self, limit: int) -> list[Message]: ...

    def of_call(self, call_id: str) -> list[Message]:
        """Oldest first."""
        ...

    def exchanged(self, call_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """How many messages were sent in these calls, and how many came. A call without any is not in it."""
        ...

    def last_outbound_to(self, number: str, sender: str) -> Message | None:
        """The newest message sent to ``number`` from ``sender`` that belongs to a call."""
        ...

    def last_sender_to(self, number: str, among: Collection[str]) -> str | None:
        """Which of ``among`` wrote to ``number`` last."""
        ...

    def carried(self, number: str, since: datetime) -> tuple[int, int]:
        """How many messages were sent from ``number``, and came to it."""
        ...

    def search(
        self, *, number: str | None = None, status: MessageStatus | None = None, limit: int = 100
    ) -> list[Message]:
        """Messages to or from ``number``, newest first."""
        ...


class SenderPaces(Protocol):
    """How fast each sender goes: one row for all engines, so the store decides among them."""

    def get(self, sender: str) -> SenderPace | None:
        """Locked until the transaction ends; ``None`` for one that never sent."""
        ...

    def turn(self, sender: str) -> float:
        """Of what was sent last; not locked."""
        ...

    def save(self, pace: SenderPace) -> None: ...


class Consents(Protocol):
    """The ledger: append-only."""

    def add(self, record: ConsentRecord) -> None: ...

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[ConsentRecord]:
        """Newest first. ``number``: of that alone, erased or not."""
        ...

    def given(self, number: str, purpose: str) -> ConsentRecord | None:
        """The consent of that number, erased or not, that stands: given, and not withdrawn since."""
        ...

    def page(
        self, after: tuple[datetime, str] | None, limit: int, *, number: str | None = None
    ) -> list[ConsentRecord]:
        """Oldest first, those after that moment and id. ``number``: of that alone, erased or not."""
        ...


class SmsReports(Protocol):
    """Counts of what the other records say, from ``since`` to before ``until``. Ask for a day at a time:
    calls wait meanwhile."""

    def funnel(self, since: datetime, until: datetime) -> dict[Place, Funnel]: ...

    def usage(self, since: datetime, until: datetime) -> dict[Place, Usage]:
        """Of calls, by the queue they were in last."""
        ...


class SmsCounts(Protocol):
    """How many SMS callers had sent today, by counter (``domain.abuse``)."""

    def take(self, counters: tuple[Counter, ...], now: datetime) -> Taken:
        """Count one more in each, or in none when one is full. Whoever asks at the same moment waits until
        this transaction is over."""
        ...

    def used(self, counters: tuple[Counter, ...], now: datetime) -> dict[str, int]:
        """Today's count of each, by its key."""
        ...

    def high(self, at_least: int, now: datetime) -> dict[str, tuple[int, datetime]]:
        """By key, the counts of today that have come so far, and when the last SMS was counted."""
        ...

    def forget(self, before: datetime) -> None:
        """The counts of the days before that one."""
        ...
