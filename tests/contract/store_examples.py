"""Stores to try, and rows to put in."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord, WaitTimeSmsStatus
from ivr_engine.domain.messages import Direction, Media, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Comment, Ticket, TicketFile
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect
from tests.postgresql import Server

KINDS = ("file", "inline-file", "memory", "postgresql")
NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
DEADLINE_S = 30.0
_unique = itertools.count()

sharing_a_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
"""For examples that undo what they did: one store serves them all."""


class Undo(Exception):
    """Raised at the end of an example, so that the next one finds the store as it was."""


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncGenerator[Store, None]:
    """One on SQLite."""
    url = "sqlite://" if kind == "memory" else f"sqlite:///{folder}/engine.db"
    async with kept(connect(url, inline=kind != "file")) as store:
        yield store


@asynccontextmanager
async def requested(request: pytest.FixtureRequest, folder: Path) -> AsyncGenerator[Store, None]:
    """One of the kind that the fixture's parameter names."""
    if request.param != "postgresql":
        async with opened(request.param, folder) as store:
            yield store
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.tables() as url:
        async with kept(connect(url)) as store:
            yield store


@asynccontextmanager
async def kept(store: Store) -> AsyncGenerator[Store, None]:
    """Closed at the end."""
    try:
        yield store
    finally:
        await store.close()


def call(**fields: Any) -> Call:
    number = next(_unique)
    return replace(
        Call(
            id=f"call-{number:06}",
            engine="ivr-1",
            channel_id=f"channel-{number}",
            caller="+4915112345678",
            number="700",
            queue="support",
            language="de",
            started_at=NOW,
        ),
        **fields,
    )


def message(**fields: Any) -> Message:
    number = next(_unique)
    return replace(
        Message(
            id=f"message-{number:06}",
            direction=Direction.OUTBOUND,
            sender="+4930123456",
            recipient="+4915112345678",
            text="Hallo",
            status=MessageStatus.QUEUED,
            provider="simulator",
            purpose="wait_time_sms",
            created_at=NOW,
            updated_at=NOW,
        ),
        **fields,
    )


def ticket(**fields: Any) -> Ticket:
    number = next(_unique)
    base = Ticket(
        id=f"ticket-{number}",
        call_id=f"call-{number}",
        caller="+4915112345678",
        queue="support",
        agent="anna",
        language="de",
        opened_at=NOW,
    )
    return replace(base, **fields)


def adding(*calls: Call) -> Callable[[Tx], None]:
    def transaction(tx: Tx) -> None:
        for one in calls:
            tx.calls.add(one)

    return transaction


def writing(*messages: Message) -> Callable[[Tx], list[bool]]:
    return lambda tx: [tx.messages.add(one) for one in messages]


def media(**fields: Any) -> Media:
    return replace(Media(id="m", url="https://example.org/1", content_type="image/png"), **fields)


def comment(number: int, source_id: str | None = None) -> Comment:
    return Comment(id=f"comment-{number}", at=NOW, author="caller", text=str(number), source_id=source_id)


def kept_file(number: int, source_id: str | None = None) -> TicketFile:
    return TicketFile(
        id=f"file-{number}", at=NOW, file="a.png", content_type="image/png", size=7, source_id=source_id
    )


def consent(number: int, phone: str) -> ConsentRecord:
    return ConsentRecord(
        id=f"consent-{number}",
        at=NOW + timedelta(seconds=number),
        call_id="c1",
        number=phone,
        queue="support",
        language="de",
        wording="Drücken Sie 1 …",
        wording_version="v",
        audio_hash="h",
        key="1",
        outcome=WaitTimeSmsStatus.ALLOWED,
    )


class Held:
    """A transaction that has begun and does not end until ``release``: others that come meanwhile wait
    at the same moment."""

    def __init__(self, first: Callable[[Tx], object] = lambda tx: tx.calls.search()) -> None:
        self._first = first
        self._started = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._go_on = threading.Event()

    def __call__(self, tx: Tx) -> object:
        result = self._first(tx)
        self._loop.call_soon_threadsafe(self._started.set)
        assert self._go_on.wait(DEADLINE_S)
        return result

    async def started(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self._started.wait()

    def release(self) -> None:
        self._go_on.set()
