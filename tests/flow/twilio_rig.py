"""A contact centre that sends by Twilio: people and telephones are simulated, but in real time, beside real
sockets to a Twilio of ours.

Twilio knows the engine by ``PUBLIC``; a reverse proxy leads from there to where it listens.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec

from fastapi import FastAPI

from ivr_engine.domain.messages import Message, MessageStatus, outbound
from ivr_engine.domain.records import replace
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaPolicy, MediaStorer
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.reconcile import ReconcilePolicy, Reconciliation
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import Store, Tx
from ivr_engine.sim.clock import SimClock, VirtualTimeLoop
from ivr_engine.sim.prompts import SimPrompts
from ivr_engine.sms.twilio import Twilio
from ivr_engine.web.server import serve
from ivr_engine.web.webhooks import WebhookFront, WebhookServices
from tests.contract.fake_twilio import FakeTwilio, account, fake_twilio
from tests.contract.sms_worlds import PHONE, SENDER
from tests.flow.centre import Centre, contact_centre

P = ParamSpec("P")

PUBLIC = "https://calls.example.org"
INBOUND = f"{PUBLIC}/webhooks/sms/twilio/inbound"
SEND_S = 1.0
"""What the adapter waits for Twilio's answer."""
SOON_S = 20.0
"""Deadline for what happens at once, on a busy machine."""

HASTY = SettlingPolicy(
    retry_first_s=0.05, look_first_s=0.05, list_lag_s=0.2, stopped_s=1.0, settle_s=0.6, refresh_first_s=0.3
)


class _RealTimeLoop(VirtualTimeLoop):
    """What the simulation asks of its loop, on a clock that does not jump."""

    time = asyncio.SelectorEventLoop.time
    run_in_executor = asyncio.SelectorEventLoop.run_in_executor  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self) -> None:
        asyncio.SelectorEventLoop.__init__(self)
        self.random = random.Random(0)
        self.unseen = []


def real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an ``async def`` test with a simulated centre in real time."""

    @functools.wraps(test)
    def in_real_time(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_RealTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return in_real_time


@dataclass
class Rig:
    centre: Centre
    fake: FakeTwilio
    folder: Path
    outbox: Outbox

    @property
    def store(self) -> Store:
        return self.centre.store

    async def write(
        self,
        id: str = "m1",
        *,
        text: str = "Answer here",
        provider: str = "twilio",
        status: MessageStatus = MessageStatus.QUEUED,
    ) -> None:
        """A message that somebody decided to send."""
        message = outbound(
            id=id,
            sender=SENDER,
            recipient=PHONE,
            text=text,
            provider=provider,
            purpose="wait_time_sms",
            call_id="c1",
            now=self.centre.clock.now(),
        )
        await self.store.run(lambda tx: tx.messages.add(replace(message, status=status)))
        self.outbox.wake()

    async def messages(self, status: MessageStatus | None = None) -> list[Message]:
        """Oldest first."""
        found = await self.store.run(lambda tx: tx.messages.search(status=status, limit=100))
        return found[::-1]

    async def until(self, wanted: Callable[[Tx], bool]) -> None:
        """Polls the store, with a deadline."""
        async with asyncio.timeout(SOON_S):
            while not await self.store.run(wanted):  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)

    async def until_status(self, status: MessageStatus, id: str = "m1") -> Message:
        await self.until(lambda tx: tx.messages.get(id).status is status)
        return await self.store.run(lambda tx: tx.messages.get(id))

    async def told(self, count: int) -> list[int]:
        """How the first ``count`` webhooks were answered, waited for."""
        async with asyncio.timeout(SOON_S):
            while len(self.fake.answers) < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        return self.fake.answers[:count]


@asynccontextmanager
async def rig(folder: Path) -> AsyncGenerator[Rig]:
    async with fake_twilio(PUBLIC) as fake, _centre() as centre:
        owner_of = functools.partial(_owner, centre.store)
        provider = Twilio(account(fake.url, send_s=SEND_S), numbers=lambda: (SENDER,), owner_of=owner_of)
        clock, rules = centre.clock, lambda: InboundRules(provider="twilio", country="DE")
        media = MediaStorer(
            store=centre.store,
            provider=provider,
            clock=clock,
            folder=folder,
            policy=MediaPolicy(retry_first_s=0.05, retry_most_s=0.2, poll_s=0.05),
        )
        outbox = Outbox(
            store=centre.store,
            carriers=Carriers(provider, public_url=PUBLIC, probe_first_s=0.05),
            clock=clock,
            rules=SendingRules(policy=HASTY),
            limits=OutboxLimits(poll_s=0.05),
        )
        reconciliation = Reconciliation(
            store=centre.store,
            provider=provider,
            clock=clock,
            rules=rules,
            stored=lambda _: media.wake(),
            policy=ReconcilePolicy(every_s=0.2, retry_s=0.1),
        )
        webhooks = WebhookServices(
            store=centre.store,
            clock=clock,
            providers={"twilio": provider},
            rules={"twilio": rules},
            public_url=PUBLIC,
            stored=lambda _: media.wake(),
        )
        listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        web = serve(
            WebhookFront(FastAPI(), webhooks),
            "127.0.0.1",
            0,
            listening=lambda host, port: listening.set_result(f"http://{host}:{port}"),
        )
        try:
            async with asyncio.TaskGroup() as group:
                services = (web, outbox.run(), media.run(), reconciliation.run())
                held = [group.create_task(service) for service in services]
                fake.reached_at = (PUBLIC, await listening)
                yield Rig(centre, fake, folder, outbox)
                for task in held:
                    task.cancel()
        finally:
            await provider.close()


@asynccontextmanager
async def _centre() -> AsyncGenerator[Centre]:
    """Everything short: real seconds pass."""
    async with contact_centre(
        announcement_interval=0.3,
        sms={"provider": "twilio", "sender": SENDER},
        support={"announce_position": False},
    ) as centre:
        began = timedelta(seconds=asyncio.get_running_loop().time())
        centre.clock = SimClock(datetime.now(UTC) - began)
        centre.prompts = SimPrompts(otherwise_s=0.5)
        yield centre


async def _owner(store: Store, provider_id: str) -> str | None:
    found = await store.run(lambda tx: tx.messages.by_provider_id("twilio", provider_id))
    return found.id if found else None
