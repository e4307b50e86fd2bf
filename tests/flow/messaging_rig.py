"""The messaging half of an engine beside the simulator, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.messages import Message, MessageStatus, outbound
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaPolicy, MediaStorer
from ivr_engine.messaging.media_links import with_links
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.reconcile import ReconcilePolicy, Reconciliation
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import Store, Tx
from ivr_engine.sms.courier import Pace
from ivr_engine.sms.faults import Faults
from ivr_engine.sms.ledger import Entry, Wanted
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.sms.simulator_server import Running, SimulatorSettings, running
from ivr_engine.store import connect
from ivr_engine.web import errors
from ivr_engine.web.file_links import FileFront, FileLinks, message_file
from ivr_engine.web.handset import handset_router
from ivr_engine.web.server import serve
from ivr_engine.web.webhooks import WebhookFront, WebhookServices
from scripts.stack import ports

SECRET = "a secret of the tests"
PHONE = "+4915112345678"
SENDER = "+4930123456"
SOON_S = 20.0
"""Deadline for what happens at once, on a busy machine."""

HASTY = SettlingPolicy(
    retry_first_s=0.05, look_first_s=0.05, list_lag_s=0.2, stopped_s=1.0, settle_s=1.0, refresh_first_s=0.5
)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Rig:
    url: str
    store: Store
    server: Running
    provider: Simulator
    outbox: Outbox
    media: MediaStorer
    reconciliation: Reconciliation
    folder: Path

    @property
    def faults(self) -> Faults:
        return self.server.faults

    async def ledger(self, direction: str = "outbound") -> list[Entry]:
        return await self.server.ledger.run(
            lambda ledger: ledger.find(Wanted(direction=direction, limit=1000))
        )

    async def call(self, id: str = "c1") -> Call:
        call = Call(
            id=id,
            engine="ivr-1",
            channel_id=f"ch-{id}",
            caller=PHONE,
            number="700",
            queue="support",
            language="en",
            started_at=datetime.now(UTC),
            chapter=Chapter.WAITING,
        )
        await self.store.run(lambda tx: tx.calls.add(call))
        return call

    async def send(self, id: str = "m1", *, call_id: str = "c1", text: str = "Answer here") -> None:
        def write(tx: Tx) -> None:
            tx.messages.add(
                outbound(
                    id=id,
                    sender=SENDER,
                    recipient=PHONE,
                    text=text,
                    provider="simulator",
                    purpose="wait_time_sms",
                    call_id=call_id,
                    now=datetime.now(UTC),
                )
            )

        await self.store.run(write)
        self.outbox.wake()

    async def message(self, id: str = "m1") -> Message:
        return await self.store.run(lambda tx: tx.messages.get(id))

    async def received(self) -> list[Message]:
        return await self.store.run(lambda tx: tx.messages.search(status=MessageStatus.RECEIVED, limit=1000))

    async def until(self, wanted: Callable[[Tx], bool]) -> None:
        """Polls the store, with a deadline."""
        async with asyncio.timeout(SOON_S):
            while not await self.store.run(wanted):  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)

    async def until_status(self, status: MessageStatus, id: str = "m1") -> None:
        await self.until(lambda tx: tx.messages.get(id).status is status)


@asynccontextmanager
async def rig(folder: Path, *, services: bool = True, pace: Pace | None = None) -> AsyncGenerator[Rig]:
    """``services`` false: nothing runs but the web server and the simulator."""
    url = f"http://127.0.0.1:{ports.free(socket.SOCK_STREAM)}"
    settings = SimulatorSettings(
        secret=SECRET,
        state=folder / "simulator",
        engine_url=url,
        port=0,
        pace=pace or Pace(sent_after_s=0.01, delivered_after_s=0.01, retry_after_s=0.1),
    )
    store = connect(f"sqlite:///{folder}/engine.db")
    async with running(settings) as server:
        provider = Simulator(
            SimulatorAccount(url=server.url, secret=SECRET, send_s=2.0, max_media_bytes=2_000_000)
        )
        it = _wired(url, store, server, provider, folder / "media")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_web(it))]
            if services:
                tasks += [
                    group.create_task(it.outbox.run()),
                    group.create_task(it.media.run()),
                    group.create_task(it.reconciliation.run()),
                ]
            try:
                await _listening(url)
                yield it
            finally:
                for task in tasks:
                    task.cancel()
        await provider.close()
    await store.close()


def _wired(url: str, store: Store, server: Running, provider: Simulator, folder: Path) -> Rig:
    clock = WallClock()
    rules = InboundRules(provider="simulator", country="DE")
    media = MediaStorer(
        store=store,
        provider=provider,
        clock=clock,
        folder=folder,
        policy=MediaPolicy(retry_first_s=0.05, retry_most_s=0.2, poll_s=0.05),
    )
    return Rig(
        url=url,
        store=store,
        server=server,
        provider=provider,
        outbox=Outbox(
            store=store,
            carriers=Carriers(
                provider,
                public_url=url,
                dressed=with_links({"simulator": _links(url).link}),
                probe_first_s=0.05,
            ),
            clock=clock,
            rules=SendingRules(policy=HASTY),
            limits=OutboxLimits(poll_s=0.05),
        ),
        media=media,
        reconciliation=Reconciliation(
            store=store,
            provider=provider,
            clock=clock,
            rules=lambda: rules,
            stored=lambda _: media.wake(),
            policy=ReconcilePolicy(every_s=0.2, retry_s=0.1),
        ),
        folder=folder,
    )


async def _web(it: Rig) -> None:
    app = FastAPI()
    services = WebhookServices(
        store=it.store,
        clock=WallClock(),
        providers={"simulator": it.provider},
        rules={"simulator": lambda: InboundRules(provider="simulator", country="DE")},
        public_url=it.url,
        stored=lambda _: it.media.wake(),
    )
    app.include_router(handset_router(it.provider, lambda: "DE"), prefix="/api/v1")
    errors.install(app)
    front = FileFront(WebhookFront(app, services), _links(it.url), it.store, it.folder, message_file)
    await serve(front, "127.0.0.1", int(it.url.rpartition(":")[2]))


def _links(url: str) -> FileLinks:
    hour = timedelta(hours=1)
    return FileLinks(SECRET, url, WallClock(), lambda: hour, prefix="/webhooks/sms/simulator/media/")


async def _listening(url: str) -> None:
    port = int(url.rpartition(":")[2])
    async with asyncio.timeout(SOON_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.01)
