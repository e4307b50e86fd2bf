"""Providers to run the contract suite on: each with a way to look behind it and to make it fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from ivr_engine.domain.messages import Message, outbound
from ivr_engine.ports import SmsProvider, WebhookRequest
from ivr_engine.sms.courier import Pace
from ivr_engine.sms.faults import Fault
from ivr_engine.sms.ledger import Entry, Wanted
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.sms.simulator_server import Running, SimulatorSettings, running

SECRET = "a secret of the tests"
PHONE = "+4915112345678"
SENDER = "+4930123456"
NOW = datetime(2026, 1, 31, 9, 15, tzinfo=UTC)
SOON = 10.0
"""Deadline for what happens at once, on a busy machine."""

KINDS = ("simulator", "twilio")


def message(id: str = "m1", *, text: str = "Hello", recipient: str = PHONE) -> Message:
    return outbound(
        id=id,
        sender=SENDER,
        recipient=recipient,
        text=text,
        provider="simulator",
        purpose="wait_time_sms",
        call_id="c1",
        now=NOW,
    )


class World(Protocol):
    """A provider as its company would see it."""

    @property
    def provider(self) -> SmsProvider: ...
    async def accepted(self, to: str = PHONE) -> Sequence[str]:
        """The texts that the provider took for ``to``, oldest first."""
        ...

    async def fails(self, how: str) -> None:
        """The next request to send: ``busy``, ``error``, ``refuse``, ``lose_answer``, ``hang``, ``reset``."""
        ...

    async def lacks(self, number: str) -> None:
        """The next question about ``number`` is answered: it is not ours. Without this it is."""
        ...

    async def phone_writes(self, text: str, media: Sequence[tuple[str, bytes]] = ()) -> str:
        """Returns the provider's id."""
        ...

    async def called(self, count: int) -> Sequence[WebhookRequest]:
        """The first ``count`` webhooks, waited for."""
        ...

    def status_url(self, message: Message) -> str: ...


class Sink:
    """Stands where the engine's webhooks are, and keeps what arrives. ``answers`` are the status codes
    given, the last one for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.answers = [204]
        self.received: list[WebhookRequest] = []
        self._changed = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        url = f"{self.url}{request.path_qs}"
        async with self._changed:
            self.received.append(WebhookRequest(url, dict(request.headers), body))
            self._changed.notify_all()
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status)

    async def wait_for(self, count: int) -> list[WebhookRequest]:
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return self.received[:count]


@asynccontextmanager
async def sink() -> AsyncGenerator[Sink]:
    it = Sink()
    app = web.Application()
    app.router.add_post("/{tail:.*}", it.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield it
    finally:
        await runner.cleanup()


@dataclass
class SimulatorWorld:
    provider: Simulator
    server: Running
    sink: Sink

    async def entries(self, wanted: Wanted | None = None) -> list[Entry]:
        return await self.server.ledger.run(lambda ledger: ledger.find(wanted or Wanted()))

    async def accepted(self, to: str = PHONE) -> list[str]:
        return [e.text for e in await self.entries(Wanted(recipient=to, direction="outbound"))]

    async def fails(self, how: str) -> None:
        self.server.faults.add(
            Fault(on="send", kind=how, times=1, hold_s=SOON, code="21610", retry_after_s=7)
        )

    async def lacks(self, number: str) -> None:
        self.server.faults.add(Fault(on="numbers", kind="missing", times=1))

    async def phone_writes(self, text: str, media: Sequence[tuple[str, bytes]] = ()) -> str:
        return await self.provider.answer(PHONE, SENDER, text, media)

    async def called(self, count: int) -> list[WebhookRequest]:
        return await self.sink.wait_for(count)

    def status_url(self, message: Message) -> str:
        return f"{self.sink.url}/webhooks/sms/simulator/status?message={message.id}"


QUICK = Pace(sent_after_s=0.01, delivered_after_s=0.01, retry_after_s=0.05)


@asynccontextmanager
async def simulator_world(
    folder: Path, *, pace: Pace = QUICK, send_s: float = 3.0
) -> AsyncGenerator[SimulatorWorld]:
    async with sink() as engine:
        settings = SimulatorSettings(secret=SECRET, state=folder, engine_url=engine.url, port=0, pace=pace)
        async with running(settings) as server:
            provider = Simulator(
                SimulatorAccount(url=server.url, secret=SECRET, send_s=send_s, max_media_bytes=100_000)
            )
            try:
                yield SimulatorWorld(provider, server, engine)
            finally:
                await provider.close()


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncGenerator[World]:
    if kind == "twilio":
        from tests.contract.fake_twilio import twilio_world

        async with twilio_world() as world:
            yield world
    else:
        async with simulator_world(folder) as world:
            yield world
