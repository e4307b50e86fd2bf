"""The outbox over Twilio's adapter and a store: whatever answers are lost, each text is there once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from ivr_engine.domain.messages import Media, MediaStatus, Message, MessageStatus, outbound
from ivr_engine.domain.records import replace
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import status_reported
from ivr_engine.messaging.media_links import with_links
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import StatusReport, Store
from ivr_engine.sms.twilio import OwnerOf, Twilio
from ivr_engine.store import connect
from ivr_engine.web.file_links import FileFront, FileLinks, message_file
from tests.contract.fake_twilio import TwilioWorld, account, twilio_world
from tests.contract.sms_worlds import PHONE, SENDER, SOON

HASTY = SettlingPolicy(retry_first_s=0.05, look_first_s=0.05, list_lag_s=0.1, refresh_first_s=0.2)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
async def world() -> AsyncIterator[TwilioWorld]:
    async with twilio_world() as world:
        yield world


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    it = connect(f"sqlite:///{tmp_path}/engine.db")
    yield it
    await it.close()


def owner_in(store: Store) -> OwnerOf:
    async def owner_of(provider_id: str) -> str | None:
        found = await store.run(lambda tx: tx.messages.by_provider_id("twilio", provider_id))
        return found.id if found else None

    return owner_of


def written(id: str) -> Message:
    return outbound(
        id=id,
        sender=SENDER,
        recipient=PHONE,
        text="Answer here",
        provider="twilio",
        purpose="wait_time_sms",
        call_id="c1",
        now=datetime.now(UTC),
    )


async def settled(store: Store, *ids: str, at: MessageStatus) -> list[Message]:
    async with asyncio.timeout(SOON):
        while True:
            messages = await store.run(lambda tx: [tx.messages.get(id) for id in ids])
            if all(message.status is at for message in messages):
                return messages
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["", "lose_answer", "reset", "error", "garble"])
async def test_one_text_and_a_twin_are_each_sent_once(world: TwilioWorld, store: Store, how: str) -> None:
    world.fake.callbacks = False
    world.fake.failing = [how, ""]
    provider = Twilio(account(world.fake.url), owner_of=owner_in(store))
    outbox = Outbox(
        store=store,
        carriers=Carriers(provider, public_url=world.sink.url, probe_first_s=0.05),
        clock=WallClock(),
        rules=SendingRules(policy=HASTY),
        limits=OutboxLimits(poll_s=0.05),
    )
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(outbox.run())
            for id in ("m1", "m2"):
                await store.run(lambda tx, id=id: tx.messages.add(written(id)))
            outbox.wake()
            messages = await settled(store, "m1", "m2", at=MessageStatus.ACCEPTED)
            running.cancel()
    finally:
        await provider.close()
    assert {message.provider_id for message in messages} == {row.sid for row in world.fake.rows}
    assert len(world.fake.rows) == 2


async def test_the_callback_settles_what_the_list_cannot(world: TwilioWorld, store: Store) -> None:
    for id in ("m1", "m2"):
        one = written(id)
        await store.run(lambda tx, one=one: tx.messages.add(one))
        await world.fails("lose_answer")
        await world.provider.send(one, world.status_url(one))
    for hook in await world.called(4):
        told = world.provider.read_webhook(hook)
        assert isinstance(told, StatusReport)
        await store.run(lambda tx, told=told: status_reported(tx, told, "twilio", datetime.now(UTC)))
    messages = await settled(store, "m1", "m2", at=MessageStatus.DELIVERED)
    assert [message.provider_id for message in messages] == [row.sid for row in world.fake.rows]


# ── pictures that go out ─────────────────────────────────────────────────────────────────────────

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at


async def opened(front: FileFront, url: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=front, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://engine.example") as client:
        return await client.get(url)


async def test_a_picture_goes_out_as_a_link_that_twilio_can_open_for_a_while(
    world: TwilioWorld, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "p1.png").write_bytes(PNG)
    picture = Media(
        id="p1", url="", content_type="image/png", status=MediaStatus.STORED, file="p1.png", size=len(PNG)
    )
    clock = Hand()
    links = FileLinks(
        "s" * 32,
        "https://engine.example",
        clock,
        lambda: timedelta(hours=4),
        prefix="/webhooks/sms/twilio/media/",
    )
    provider = Twilio(account(world.fake.url), owner_of=owner_in(store))
    carriers = Carriers(provider, public_url=world.sink.url, dressed=with_links({"twilio": links.link}))
    outbox = Outbox(store=store, carriers=carriers, clock=WallClock(), limits=OutboxLimits(poll_s=0.05))
    await store.run(lambda tx: tx.messages.add(replace(written("m1"), text="", media=(picture,))))
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(outbox.run())
            [message] = await settled(store, "m1", at=MessageStatus.ACCEPTED)
            running.cancel()
    finally:
        await provider.close()
    assert message.media == (picture,)  # no address in the store: each attempt has one of its own
    [url] = world.fake.rows[0].media_urls
    assert url.startswith("https://engine.example/webhooks/sms/twilio/media/m1/p1?expires=")
    front = FileFront(FastAPI(), links, store, tmp_path, message_file)
    answer = await opened(front, url)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert (await opened(front, url.replace("/m1/", "/m2/"))).status_code == 403
    crm = FileLinks("s" * 32, "https://engine.example", clock, lambda: timedelta(hours=4))
    elsewhere = crm.link("m1", "p1")[0].replace(crm.prefix, links.prefix)
    assert (await opened(front, elsewhere)).status_code == 403  # a CRM's link is good there alone
    clock.at += timedelta(hours=4, seconds=1)
    assert (await opened(front, url)).status_code == 403
