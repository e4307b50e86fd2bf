"""The wiring of an engine, from an event in the store to a webhook over real HTTP, and back for a picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from ivr_engine.bootstrap.crms import Crms
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import AgentConnected, CallFinished, MediaKept, MessageReceived, TicketOpened
from ivr_engine.domain.messages import Direction, Media, MediaStatus, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.messaging.contacts import at_connect
from ivr_engine.ports import Store, Tx
from ivr_engine.settings import from_environ
from ivr_engine.site.models import Site
from ivr_engine.store import connect
from ivr_engine.web.file_links import FileFront
from tests.contract.crm_receiver import SECRET, Receiver, receiver
from tests.flow.centre import site
from tests.flow.messaging_rig import PHONE, SENDER, WallClock

SOON_S = 20.0
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = Media(
    id="d1", url="x", content_type="image/png", status=MediaStatus.STORED, file="d1.png", size=len(PNG)
)


@dataclass
class World:
    crms: Crms
    store: Store
    media: Path
    other: Receiver
    site: Site

    def webhooks(self, *names: str, **fields: Any) -> None:
        """The site in force names these."""
        usual = {"url": self.other.url, "network": "loopback", "secret_from": "IVR_CRM_SECRET"}
        crm = {"webhooks": {name: usual | fields for name in names}}
        self.site = site(crm=crm)

    async def until(self, true: Callable[[Tx], bool]) -> None:
        """Neither the store nor the receiver tells anybody."""
        async with asyncio.timeout(SOON_S):
            while not await self.store.run(true):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_followed(self, *names: str) -> None:
        await self.until(lambda tx: tx.deliveries.adapters() == sorted(names))

    async def call(self, id: str) -> None:
        """Connected, a picture, and over."""
        now = datetime.now(UTC)
        call = Call(
            id=id,
            engine="ivr-1",
            channel_id=id,
            caller=PHONE,
            number="700",
            queue="support",
            language="en",
            started_at=now,
            chapter=Chapter.TALKING,
            agent="anna",
            ticket_id=f"t-{id}",
        )
        message = Message(
            id=f"m-{id}",
            direction=Direction.INBOUND,
            sender=PHONE,
            recipient=SENDER,
            text="Look",
            status=MessageStatus.RECEIVED,
            provider="simulator",
            purpose="reply",
            created_at=now,
            updated_at=now,
            media=(replace(PICTURE, id=f"d-{id}"),),
            call_id=id,
            ticket_id=f"t-{id}",
        )

        def write(tx: Tx) -> None:
            tx.calls.add(call)
            tx.messages.add(message)
            tx.tickets.add(ticket_for(call, [message], id=f"t-{id}", now=now))
            tx.events.add(now, id, MessageReceived(message.id, 1), MediaKept(message.id, f"d-{id}"))
            tx.events.add(now, id, TicketOpened(f"t-{id}"))
            at_connect(tx, call, f"contact-{id}", now)
            tx.events.add(now, id, AgentConnected("anna", f"t-{id}"))
            tx.calls.save(call.ended(EndReason.CALLER_HUNG_UP, now))
            tx.events.add(now, id, CallFinished(EndReason.CALLER_HUNG_UP))

        await self.store.run(write)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.other.ledger if event["kind"] == kind]


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World]:
    environ = {
        "IVR_STATE": str(folder),
        "IVR_CRM_SECRET": SECRET,
        "IVR_PUBLIC_URL": "https://engine.example",
    }
    settings = from_environ(environ)
    store = connect(f"sqlite:///{folder}/engine.db")
    async with receiver() as other:
        made: list[World] = []
        crms = Crms(settings, lambda: made[0].site, store, WallClock(), environ)
        it = World(crms, store, settings.media, other, site())
        made.append(it)
        it.media.mkdir(parents=True)
        (it.media / "d1.png").write_bytes(PNG)
        feed = asyncio.create_task(crms.feed.run())
        try:
            yield it
        finally:
            feed.cancel()
            await asyncio.wait([feed])
            for crm in crms.now().crms:
                await crm.close()
            await store.close()


async def test_a_call_with_a_picture_arrives_signed_and_its_link_opens_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.webhooks("sales")
        await it.until_followed("built-in", "sales")
        await it.call("c1")
        await it.until(lambda _tx: bool(it.told("transcript")))
        assert [event["kind"] for event in it.other.ledger] == [
            "conversation.opened",
            "message",
            "file",
            "contact.created",
            "conversation.connected",
            "conversation.ended",
            "transcript",
        ]
        assert it.other.refused == 0
        [file] = [event["file"] for event in it.told("file")]
        assert file["url"].startswith("https://engine.example/webhooks/crm/files/t-c1/")
        front = FileFront(FastAPI(), it.crms.links, it.store, it.media)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=front)) as client:
            answer = await client.get(file["url"])
        assert (answer.status_code, answer.content) == (200, PNG)
        comments = (await it.store.run(lambda tx: tx.tickets.get("t-c1"))).comments
        assert [each.text for each in comments][-1] == "Conversation ended: caller_hung_up"


async def test_webhooks_come_change_and_go_without_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.until_followed("built-in")
        it.webhooks("sales", events=["transcript"])
        await it.until_followed("built-in", "sales")
        first = it.crms.now()
        assert it.crms.now() is first, "as long as nothing changes"
        await it.call("c1")
        await it.until(lambda _tx: len(it.other.ledger) == 1)
        assert it.other.ledger[0]["kind"] == "transcript"

        it.webhooks("sales", events=["conversation"])
        assert it.crms.now().crms[1] is not first.crms[1]
        assert it.crms.now().crms[0] is first.crms[0]
        await asyncio.sleep(1.5)  # the feed looks once a second
        await it.call("c2")
        await it.until(lambda _tx: len(it.told("conversation.ended")) == 1)
        assert {event["conversation"]["id"] for event in it.other.ledger[1:]} == {"c2"}

        it.webhooks()
        await asyncio.sleep(1.5)
        requests = it.other.requests
        await it.call("c3")
        await asyncio.sleep(2.5)  # long enough for it to be told, were it told
        assert it.other.requests == requests


async def test_a_webhook_without_its_secret_waits_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.webhooks("sales", secret_from="IVR_NOT_SET")
        await it.until_followed("built-in", "sales")
        await it.call("c1")

        def tried(tx: Tx) -> bool:
            found = tx.deliveries.due("sales", datetime.max.replace(tzinfo=UTC), 9)
            return bool(found) and found[0].error == "the environment variable IVR_NOT_SET is not set"

        await it.until(tried)
        assert it.other.requests == 0
        assert await it.store.run(lambda tx: tx.deliveries.dead()) == []
