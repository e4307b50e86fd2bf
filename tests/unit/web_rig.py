"""The API on a store in memory, with a desk, a clock and a site of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
from fastapi import FastAPI

from ivr_engine.acd.desk import AgentDesk
from ivr_engine.acd.estimates import WaitEstimates
from ivr_engine.acd.switchboard import Switchboard
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.consent import Consent, ConsentRecord, WaitTimeSmsStatus
from ivr_engine.domain.events import CallStarted, ConsentGiven
from ivr_engine.domain.messages import Direction, Media, MediaStatus, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.errors import Refused
from ivr_engine.observability.metrics import Metrics
from ivr_engine.observability.metrics_page import MetricsPage
from ivr_engine.ports import Line, Store, Tx
from ivr_engine.sim.prompts import SimPrompts
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect
from ivr_engine.web.app import create_app
from ivr_engine.web.health import Check, HealthBoard, store_check
from ivr_engine.web.services import WebServices

TOKEN = "a-token-only-for-these-tests"
CALLER = "+4915112345678"
OTHER = "+4915187654321"
START = datetime(2026, 1, 31, 9, 15, tzinfo=UTC)

SITE = Site.model_validate(
    {
        "brand": "Example",
        "country": "DE",
        "default_language": "en",
        "languages": ("en",),
        "wait_time_sms": {"text": {"en": "Example: hello"}},
        "sms": {"sender": "+4930901820"},
        "numbers": {"700": {"queue": "support"}},
        "queues": {"support": {"label": "Support"}, "sales": {"label": "Sales"}},
        "agents": {
            "anna": {"label": "Anna", "queues": {"support"}},
            "bert": {"label": "Bert", "queues": {"support", "sales"}},
        },
        "break_reasons": {"lunch": "Lunch"},
        "wrap_up_reasons": {"sold": "Sold"},
    }
)


@dataclass
class FixedClock:
    at: datetime = START + timedelta(minutes=5)

    def now(self) -> datetime:
        return self.at


async def _password(name: str) -> str:
    return f"password-of-{name}"


class NoLine:
    """Nobody waits."""

    def look(self, queue: str | None) -> None: ...


class FakeReception:
    """Ends calls in the store, as the real one does."""

    def __init__(self, store: Store, clock: FixedClock) -> None:
        self._store, self._clock = store, clock

    async def hang_up(self, call_id: str) -> Call:
        def write(tx: Tx) -> Call:
            call = tx.calls.get(call_id)
            if call.ended_at is not None:
                raise Refused(f"call {call_id} has ended already")
            tx.calls.save(call.ended(EndReason.ENDED_BY_STAFF, self._clock.now()))
            return tx.calls.get(call_id)

        return await self._store.run(write)


class FakeOutbox:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def resend(self, message_id: str) -> Message:
        return await self._decide(message_id, MessageStatus.QUEUED)

    async def drop(self, message_id: str) -> Message:
        return await self._decide(message_id, MessageStatus.FAILED)

    async def _decide(self, message_id: str, status: MessageStatus) -> Message:
        def write(tx: Tx) -> Message:
            message = tx.messages.get(message_id)
            if message.status is not MessageStatus.UNKNOWN:
                raise Refused(f"message {message_id} is {message.status}")
            tx.messages.save(replace(message, status=status))
            return tx.messages.get(message_id)

        return await self._store.run(write)


@dataclass
class Rig:
    services: WebServices
    app: FastAPI
    store: Store
    clock: FixedClock
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {TOKEN}"})

    def client(self, *, token: bool = True) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(
            transport=transport, base_url="http://engine", headers=self.headers if token else {}
        )

    async def get(self, path: str, status: int = 200) -> httpx2.Response:
        async with self.client() as client:
            answer = await client.get(path)
        assert answer.status_code == status, answer.text
        return answer

    async def post(self, path: str, status: int = 200, body: dict[str, Any] | None = None) -> httpx2.Response:
        async with self.client() as client:
            answer = await client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer


def make(media: Path, *, checks: tuple[Check, ...] | None = None, store: Store | None = None) -> Rig:
    store = store or connect("sqlite://")
    clock = FixedClock()
    in_force = SiteNow(InForce(SITE, SimPrompts()))
    services = WebServices(
        store=store,
        clock=clock,
        token=TOKEN,
        site=lambda: SITE,
        health=HealthBoard((store_check(store),) if checks is None else checks),
        metrics=MetricsPage(Metrics(), store, clock).render,
        desk=AgentDesk(in_force, store, clock, _password),
        switches=Switchboard(in_force, store, clock, cast(Line, NoLine())),
        estimates=WaitEstimates(in_force, store, clock),
        running_calls=FakeReception(store, clock),
        unknown_messages=FakeOutbox(store),
        media_folder=media,
        sip_server="127.0.0.1:5060",
    )
    return Rig(services, create_app(services), store, clock)


def call(
    id: str, *, caller: str | None = CALLER, minute: int = 0, chapter: Chapter = Chapter.WAITING
) -> Call:
    started = START + timedelta(minutes=minute)
    return Call(
        id=id,
        engine="ivr-1",
        channel_id=f"channel-{id}",
        caller=caller,
        number="700",
        queue="support",
        language="en",
        started_at=started,
        entered_at=started,
        chapter=chapter,
    )


def inbound(id: str, media: tuple[Media, ...] = ()) -> Message:
    return Message(
        id=id,
        direction=Direction.INBOUND,
        sender=CALLER,
        recipient="+4930901820",
        text="The lamp stays red",
        status=MessageStatus.RECEIVED,
        provider="simulator",
        provider_id=f"p-{id}",
        purpose="reply",
        created_at=START,
        updated_at=START,
        media=media,
        call_id="c1",
    )


def outbound(id: str, status: MessageStatus) -> Message:
    return replace(
        inbound(id), direction=Direction.OUTBOUND, sender="+4930901820", recipient=CALLER, status=status
    )


PICTURE = Media(
    id="d1",
    url="http://provider/1",
    content_type="image/png",
    status=MediaStatus.STORED,
    file="d1.png",
    size=8,
)


async def fill(rig: Rig) -> None:
    """Two callers in line, the first has allowed the SMS and answered with a picture; a ticket."""

    def write(tx: Tx) -> None:
        first = replace(call("c1"), consent=Consent(status=WaitTimeSmsStatus.ALLOWED, rounds=1))
        tx.calls.add(first)
        tx.calls.add(call("c2", caller=OTHER, minute=1))
        tx.calls.add(replace(call("c3", caller=None, minute=2, chapter=Chapter.TALKING), agent="bert"))
        tx.events.add(START, "c1", CallStarted(CALLER, "700"), ConsentGiven("allowed", "1"))
        reply = inbound("m1", (PICTURE,))
        tx.messages.add(reply)
        tx.messages.add(outbound("m2", MessageStatus.UNKNOWN))
        tx.tickets.add(ticket_for(first, [reply], id="t1", now=START))
        tx.consents.add(
            ConsentRecord(
                id="s1",
                at=START,
                call_id="c1",
                number=CALLER,
                queue="support",
                language="en",
                wording="Press 1",
                wording_version="v1",
                audio_hash="h1",
                key="1",
                outcome=WaitTimeSmsStatus.ALLOWED,
            )
        )
        tx.agents.save(Agent(name="bert", state=AgentState.ON_CONTACT, since=START, call_id="c3"))

    await rig.store.run(write)
