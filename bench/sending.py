"""Ten thousand texts: put into the outbox, sent at their senders' rates, and through an outage.

    python -m bench.sending [--messages 10000] [--database URL of an empty one]

The outbox with its store and its webhooks as in the engine, and the simulator as the provider, in a process
of its own. What was sent, and when, is read from the simulator's ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import aiohttp
import uvloop
from fastapi import FastAPI

from bench.calls import machine
from bench.report import write_sending
from ivr_engine.domain.messages import FINAL, Message, MessageStatus, Urgency, outbound
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.outbox import Outbox
from ivr_engine.messaging.queueing import enqueue
from ivr_engine.ports import Store, Tx
from ivr_engine.sms.ledger import Entry, Ledger, Wanted
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.sms.simulator_server import LEDGER_FILE, SimulatorSettings, serve
from ivr_engine.store import connect
from ivr_engine.web.server import serve as serve_web
from ivr_engine.web.webhooks import WebhookFront, WebhookServices
from tests.integration.engine import free_tcp_port

SECRET: Final = "a secret of the bench"
RATES: Final = {
    "12345": 100.0,
    "+4930123401": 30.0,
    "+4930123402": 10.0,
    "+4930123403": 3.0,
    "+12125550101": 1.0,
}
"""Parts a second of each sender: a short code, long codes."""
OUTAGE_SENDER: Final = "54321"
OUTAGE_RATE: Final = 100.0
OUTAGE: Final = 1_000
OUTAGE_S: Final = 60.0
OPEN: Final = tuple(one for one in MessageStatus if one not in (*FINAL, MessageStatus.UNKNOWN))
AT_ONCE: Final = 100
"""Transactions under way, as those of callers who press 1."""
BATCH: Final = 500
"""Messages of a campaign in one transaction."""
AIM_ENQUEUED: Final = 1_000.0
AIM_RATE: Final = 0.05


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def shares(messages: int) -> dict[str, int]:
    """How many are sent from each sender, so that all are done at the same time; the first has the rest."""
    first, *others = RATES
    parts = {sender: max(2, round(messages * RATES[sender] / sum(RATES.values()))) for sender in others}
    return {first: messages - sum(parts.values()), **parts}


def text(id: str, number: int, sender: str, campaign: str | None = None) -> Message:
    return outbound(
        id=id,
        sender=sender,
        recipient=f"+49151{10_000_000 + number}",
        text="Thank you for waiting. Answer with a picture of what it is about.",
        provider="simulator",
        purpose="bench",
        call_id=None,
        now=datetime.now(UTC),
        urgency=Urgency.CAMPAIGN if campaign else Urgency.CALLER,
        stream=campaign,
    )


# ── putting them there ───────────────────────────────────────────────────────────────────────────


async def enqueue_alone(store: Store, counts: dict[str, int]) -> float:
    """A second; each message in a transaction of its own, from many tasks, as callers press 1."""
    senders = [sender for sender, count in counts.items() for _ in range(count)]
    waiting = iter(enumerate(senders))

    async def one_after_another() -> None:
        for number, sender in waiting:
            message = text(f"m-{number}", number, sender)
            await store.run(lambda tx, message=message: enqueue(tx, message))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())
    return len(senders) / (time.perf_counter() - began)


async def enqueue_campaign(store: Store, sender: str, count: int) -> float:
    """A second."""
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        some = [text(f"c-{number}", number, sender, "spring") for number in numbers]
        await store.run(lambda tx, some=some: enqueue(tx, *some))
    return count / (time.perf_counter() - began)


# ── engine and provider ──────────────────────────────────────────────────────────────────────────


@dataclass
class Stage:
    store: Store
    outbox: Outbox
    folder: Path
    simulator_url: str

    async def until_final(self, limit_s: float) -> None:
        """Nothing is open any more."""
        async with asyncio.timeout(limit_s):
            for status in OPEN:
                while await self.store.run(partial(_some, status=status)):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.5)

    def sent(self, *senders: str) -> list[Entry]:
        """What the provider has taken from them."""
        ledger = Ledger(self.folder / LEDGER_FILE)
        try:
            found = ledger.find(Wanted(direction="outbound", limit=1_000_000))
        finally:
            ledger.close()
        return [one for one in found if one.sender in senders]

    async def outage(self, seconds: float) -> None:
        """The provider answers 500."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as http:
            fault = {"on": "send", "kind": "error", "seconds": seconds}
            async with http.post(f"{self.simulator_url}/control/faults", json=fault) as answer:
                answer.raise_for_status()


def _some(tx: Tx, status: MessageStatus) -> bool:
    return bool(tx.messages.search(status=status, limit=1))


@asynccontextmanager
async def stage(folder: Path, store: Store) -> AsyncGenerator[Stage]:
    """An outbox at work, its webhooks, and the simulator, until the body ends."""
    port = free_tcp_port()
    public_url = f"http://127.0.0.1:{port}"
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_simulator, args=(folder, public_url, theirs)
    )
    process.start()
    try:
        url = str(await asyncio.to_thread(ours.recv))
        provider = Simulator(SimulatorAccount(url=url, secret=SECRET))
        outbox = Outbox(
            store=store,
            carriers=Carriers(provider, public_url=public_url),
            clock=WallClock(),
            rules=SendingRules(rate_of={**RATES, OUTAGE_SENDER: OUTAGE_RATE}.get),
        )
        services = WebhookServices(
            store=store,
            clock=WallClock(),
            providers={provider.name: provider},
            rules={provider.name: lambda: InboundRules(provider="simulator", country="DE")},
            public_url=public_url,
            stored=lambda _message: None,
        )
        async with asyncio.TaskGroup() as group:
            web = serve_web(WebhookFront(FastAPI(), services), "127.0.0.1", port)
            services_at_work = [group.create_task(web), group.create_task(outbox.run())]
            yield Stage(store, outbox, folder, url)
            for task in services_at_work:
                task.cancel()
        await provider.close()
    finally:
        process.terminate()
        process.join()


def _simulator(folder: Path, engine_url: str, pipe: Connection) -> None:
    settings = SimulatorSettings(secret=SECRET, state=folder, engine_url=engine_url, port=0)
    asyncio.run(serve(settings, pipe.send))


# ── the result ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Result:
    """Rates a second; ``rates`` by sender."""

    alone: float
    together: float
    queued: int
    taken: int
    rates: dict[str, float]
    lost: int
    doubled: int

    @property
    def good(self) -> bool:
        kept = all(abs(rate / RATES[sender] - 1) <= AIM_RATE for sender, rate in self.rates.items())
        whole = (self.taken, self.lost, self.doubled) == (self.queued, 0, 0)
        return kept and whole and self.alone > AIM_ENQUEUED

    def rows(self) -> list[tuple[str, str]]:
        return [
            ("put into the outbox, each by itself", f"{self.alone:,.0f} a second"),
            (f"put into the outbox, {BATCH} at a time", f"{self.together:,.0f} a second"),
            ("sent / in the provider's ledger", f"{self.queued:,} / {self.taken:,}"),
            *(
                (f"sender of {RATES[s]:g} a second, measured", f"{r:.2f} a second")
                for s, r in self.rates.items()
            ),
            (
                f"{OUTAGE:,} messages, outage of {OUTAGE_S:g} s: lost / doubled",
                f"{self.lost} / {self.doubled}",
            ),
        ]


def measured(taken: Sequence[Entry], sender: str) -> float:
    """Messages a second, from the first to the last."""
    times = sorted(one.created_at for one in taken if one.sender == sender)
    return (len(times) - 1) / (times[-1] - times[0])


async def run(folder: Path, url: str, messages: int) -> Result:
    store = connect(url)
    counts = shares(messages)
    alone = await enqueue_alone(store, counts)
    async with stage(folder, store) as it:
        await it.until_final(messages / sum(RATES.values()) * 2 + 60)
        taken = it.sent(*RATES)
        await it.outage(OUTAGE_S)
        together = await enqueue_campaign(store, OUTAGE_SENDER, OUTAGE)
        it.outbox.wake()
        await it.until_final(OUTAGE_S + 240)
        through = Counter(one.reference for one in it.sent(OUTAGE_SENDER))
    await store.close()
    return Result(
        alone=alone,
        together=together,
        queued=sum(counts.values()),
        taken=len(taken),
        rates={sender: measured(taken, sender) for sender in RATES},
        lost=OUTAGE - len(through),
        doubled=sum(count > 1 for count in through.values()),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--database", help="URL of an empty database [SQLite in a folder of its own]")
    wanted = parser.parse_args()
    here = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        url = wanted.database or f"sqlite:///{name}/engine.db"
        result = uvloop.run(run(Path(name), url, wanted.messages))
    for row in result.rows():
        print(*row, sep=": ")
    write_sending(result.rows(), machine=here, database=url.partition(":")[0])
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
