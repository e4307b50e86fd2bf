"""Twilio first, the simulator second, each as itself: what changes over, and what never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.messaging.carriers import Carriers, Second
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import status_reported
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.ports import StatusReport, Store
from ivr_engine.sms.twilio import Twilio
from ivr_engine.store import connect
from tests.contract.fake_twilio import TwilioWorld, account, twilio_world
from tests.contract.sms_worlds import SimulatorWorld, simulator_world
from tests.contract.test_twilio_outbox import HASTY, WallClock, owner_in, settled, written

SECOND_SENDER = "+4930999999"


@dataclass
class Both:
    first: TwilioWorld
    second: SimulatorWorld
    store: Store

    async def send(self, *ids: str, at: MessageStatus = MessageStatus.ACCEPTED) -> list[Message]:
        provider = Twilio(account(self.first.fake.url), owner_of=owner_in(self.store))
        carriers = Carriers(
            provider,
            Second(self.second.provider, SECOND_SENDER),
            public_url=self.second.sink.url,
            probe_first_s=60,
        )
        outbox = Outbox(
            store=self.store,
            carriers=carriers,
            clock=WallClock(),
            rules=SendingRules(policy=HASTY),
            limits=OutboxLimits(poll_s=0.05, sends_at_once=1),
        )
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(outbox.run())
                for id in ids:
                    await self.store.run(lambda tx, id=id: tx.messages.add(written(id)))
                messages = await settled(self.store, *ids, at=at)
                running.cancel()
        finally:
            await provider.close()
        return messages


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    store = connect(f"sqlite:///{tmp_path}/engine.db")
    async with twilio_world() as first, simulator_world(tmp_path) as second:
        yield Both(first, second, store)
    await store.close()


async def test_what_the_first_takes_for_nobody_now_goes_by_the_second(both: Both) -> None:
    both.first.fake.failing = ["20003"]  # the credentials are wrong: people have to mend that
    [message] = await both.send("m1")
    assert (message.provider, message.sender) == ("simulator", SECOND_SENDER)
    assert both.first.fake.rows == []
    [taken] = await both.second.entries()
    assert (taken.reference, taken.sender) == ("m1", SECOND_SENDER)
    for hook in await both.second.called(2):
        told = both.second.provider.read_webhook(hook)
        assert isinstance(told, StatusReport)
        await both.store.run(lambda tx, told=told: status_reported(tx, told, "simulator", WallClock().now()))
    await settled(both.store, "m1", at=MessageStatus.DELIVERED)


@pytest.mark.parametrize("how", ["lose_answer", "garble"])
async def test_what_the_first_may_have_stays_with_it(both: Both, how: str) -> None:
    both.first.fake.callbacks = False
    both.first.fake.failing = [how]
    [message] = await both.send("m1")
    assert message.provider == "twilio"
    assert len(both.first.fake.rows) == 1
    assert await both.second.entries() == []
