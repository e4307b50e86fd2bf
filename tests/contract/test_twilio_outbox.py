"""The outbox over Twilio's adapter and a store: whatever answers are lost, each text is there once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ivr_engine.domain.messages import Message, MessageStatus, outbound
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import status_reported
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import StatusReport, Store
from ivr_engine.sms.twilio import OwnerOf, Twilio
from ivr_engine.store import connect
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
