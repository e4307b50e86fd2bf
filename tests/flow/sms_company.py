"""An SMS company in virtual time, and engines that send through it and may be killed at any step."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ivr_engine.domain.events import MessageQueued, MessageStatusChanged
from ivr_engine.domain.messages import Media, Message, MessageStatus, outbound
from ivr_engine.domain.records import replace
from ivr_engine.messaging.carriers import Carriers, Second
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import status_reported
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.queueing import enqueue
from ivr_engine.ports import (
    Accepted,
    FindResult,
    InboundSms,
    NotListed,
    NotTaken,
    OwnNumber,
    SendResult,
    StatusReport,
    Store,
    Tx,
    Unclear,
    WebhookRequest,
)
from ivr_engine.sim.clock import SimClock
from ivr_engine.sim.life import Life, MortalStore
from ivr_engine.store import connect
from tests.flow.databases import new_database

SENDER = "+4930123456"
SECOND_SENDER = "+4930999999"
PHONE = "+4915112345678"
ANSWER_S = 0.1
"""How long the company takes to answer."""
DEADLINE_S = 10.0
"""When the adapter stops waiting for it."""

OK, ERROR, LOST, BUSY, REFUSED = "ok", "error", "lost", "busy", "refused"
HANGS, LATE, UNREACHABLE, EARLY, BUG = "hangs", "late", "unreachable", "early", "bug"


@dataclass
class Company:
    """``says``: how each further request to send ends; then ``OK`` for ever. ``down``: every request is
    answered 500. ``ledger``: (provider id, our message id), once for each message taken."""

    name: str = "company"
    says: list[str] = field(default_factory=list[str])
    list_says: list[str] = field(default_factory=list[str])
    down: bool = False
    tells: Sequence[MessageStatus] = ()
    copies: int = 1
    late_s: float = 12.0
    retry_after_s: float = 5.0
    same_id: str | None = None
    ledger: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    requests: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    under_way: int = 0
    most_under_way: int = 0
    told: Callable[[StatusReport], None] | None = None
    _ids: itertools.count[int] = field(default_factory=itertools.count)
    _later: list[tuple[float, Message]] = field(default_factory=list[tuple[float, Message]])

    def take(self, message: Message) -> Accepted:
        provider_id = self.same_id or f"SM{next(self._ids)}"
        self.ledger.append((provider_id, message.id))
        for status in self.tells:
            for _ in range(self.copies):
                if self.told:
                    self.told(StatusReport(provider_id, status, message.id))
        return Accepted(provider_id)

    def taken(self, message_id: str) -> int:
        return sum(1 for _, ours in self.ledger if ours == message_id)

    def take_later(self, message: Message) -> None:
        self._later.append((asyncio.get_running_loop().time() + self.late_s, message))

    def catch_up(self) -> None:
        """Messages that hung have been taken by now."""
        now = asyncio.get_running_loop().time()
        due = [message for at, message in self._later if at <= now]
        self._later = [(at, message) for at, message in self._later if at > now]
        for message in due:
            self.take(message)


class CompanyAdapter:
    """``SmsProvider`` of one engine: its requests stop with the engine's ``life``."""

    def __init__(self, company: Company, life: Life) -> None:
        self.name = company.name
        self._company = company
        self._life = life

    async def send(self, message: Message, status_url: str) -> SendResult:
        company = self._company
        self._life.step("before post")
        company.requests.append((asyncio.get_running_loop().time(), message.id))
        company.under_way += 1
        company.most_under_way = max(company.most_under_way, company.under_way)
        try:
            return await self._sent(message, status_url)
        finally:
            company.under_way -= 1

    async def _sent(self, message: Message, status_url: str) -> SendResult:
        company = self._company
        assert status_url == f"https://engine.example/webhooks/sms/{company.name}/status?message={message.id}"
        says = ERROR if company.down else company.says.pop(0) if company.says else OK
        if says == UNREACHABLE:
            return NotTaken("unreachable", "no connection", retry_after_s=1.0)
        if says == BUG:
            raise KeyError("sid")
        await asyncio.sleep(ANSWER_S / 2)
        result = company.take(message) if says in (OK, LOST, EARLY) else None
        self._life.step("between post and answer")
        if says in (HANGS, LATE):
            if says == LATE:
                company.take_later(message)
            await asyncio.sleep(DEADLINE_S)
            return Unclear("no answer", processing_over=False)
        await asyncio.sleep(ANSWER_S / 2)
        self._life.step("after answer")
        match says:
            case "error":
                return Unclear("500", processing_over=True)
            case "lost":
                return Unclear("connection lost", processing_over=True)
            case "busy":
                return NotTaken("20429", "too many requests", retry_after_s=company.retry_after_s)
            case "refused":
                return NotTaken("21610", "opted out")
            case _:
                assert result is not None
                return result

    async def find(self, message: Message) -> FindResult:
        self._life.step("before list")
        await asyncio.sleep(ANSWER_S)
        company = self._company
        company.catch_up()
        if company.down or (company.list_says and company.list_says.pop(0) == ERROR):
            return Unclear("500", processing_over=False)
        for provider_id, ours in company.ledger:
            if ours == message.id:
                return Accepted(provider_id)
        return NotListed()

    async def own_number(self, number: str) -> OwnNumber | None:
        return OwnNumber(texts=True, media=True)

    async def received_since(self, since: datetime) -> Sequence[InboundSms]:
        raise NotImplementedError

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        raise NotImplementedError

    def read_webhook(self, request: WebhookRequest) -> InboundSms | StatusReport:
        raise NotImplementedError

    async def close(self) -> None: ...


class Office:
    """What outlives an engine: the store, the company and the clock."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.store: Store = connect(new_database.get()(), inline=True)
        self.company = Company()
        self.queued: list[str] = []
        self.faults: list[Exception] = []
        self._read = 0
        self._status: dict[str, str] = {}

    async def queue(self, count: int = 1, *, text: str = "Hello", **fields: Any) -> list[str]:
        ids = [f"m{len(self.queued) + n}" for n in range(count)]
        self.queued += ids

        def write(tx: Tx) -> None:
            for id in ids:
                message = outbound(
                    id=id,
                    sender=SENDER,
                    recipient=PHONE,
                    text=text,
                    provider="company",
                    purpose="wait_time_sms",
                    call_id="c1",
                    now=self.clock.now(),
                )
                enqueue(tx, replace(message, **fields))

        await self.store.run(write)
        return ids

    async def message(self, id: str = "m0") -> Message:
        return await self.store.run(lambda tx: tx.messages.get(id))

    async def statuses(self) -> list[MessageStatus]:
        return [(await self.message(id)).status for id in self.queued]

    async def moves(self, id: str = "m0") -> list[str]:
        """The statuses that the events tell, in order."""
        events = await self.store.run(lambda tx: tx.events.after(0, 100_000))
        return [
            e.what.status
            for e in events
            if isinstance(e.what, MessageStatusChanged) and e.what.message_id == id
        ]

    async def report(self, report: StatusReport, company: str = "company") -> None:
        """As the webhook does."""
        await self.store.run(lambda tx: status_reported(tx, report, company, self.clock.now()))

    async def until(self, *wanted: MessageStatus, limit_s: float = 100_000.0, every_s: float = 0.25) -> None:
        """Every message is in one of the ``wanted`` statuses; looked at ``every_s``."""
        names = {status.value for status in wanted}
        async with asyncio.timeout(limit_s):
            while not await self.store.run(lambda tx: self._are(tx, names)):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(every_s)

    def _are(self, tx: Tx, names: set[str]) -> bool:
        """Told from the events, of which each is read once."""
        for event in tx.events.after(self._read, 100_000):
            self._read = event.id
            match event.what:
                case MessageStatusChanged(message_id=id, status=status):
                    self._status[id] = status
                case MessageQueued(message_id=id):
                    self._status[id] = MessageStatus.QUEUED
                case _:
                    pass
        return set(self._status.values()) <= names

    @asynccontextmanager
    async def engine(
        self,
        life: Life | None = None,
        *,
        rules: SendingRules | None = None,
        limits: OutboxLimits | None = None,
        second: Company | None = None,
    ) -> AsyncGenerator[Outbox, None]:
        """One engine's outbox at work, until the body ends."""
        life = life or Life()
        store = MortalStore(self.store, life)
        store.faults = self.faults
        outbox = Outbox(
            store=store,
            carriers=Carriers(
                CompanyAdapter(self.company, life),
                second and Second(CompanyAdapter(second, life), SECOND_SENDER),
                public_url="https://engine.example/",
            ),
            clock=self.clock,
            rules=rules,
            limits=limits,
        )
        running = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def close(self) -> None:
        await self.store.close()
