"""The messaging half of an engine as a process of its own, which can be told where to die.

``die_at`` names a point and the how-manieth time: ``claim.before:1`` is right before the first commit
that claims messages, ``post.after:2`` right after the second answer of the provider. Death is SIGKILL, by
its own hand: nothing is cleaned up, no buffer is flushed. One that is told no point ends with 0 once all is
settled.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from fastapi import FastAPI

from ivr_engine.domain.messages import Media, Message, MessageStatus, outbound
from ivr_engine.errors import Refused
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaPolicy, MediaStorer
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.reconcile import ReconcilePolicy, Reconciliation
from ivr_engine.ports import Changes, SendResult, Store, Tx
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.store import connect
from ivr_engine.web.server import serve
from ivr_engine.web.webhooks import WebhookFront, WebhookServices
from tests.flow.messaging_rig import HASTY, PHONE, SECRET, SENDER, WallClock

T = TypeVar("T")

MESSAGES = ("m0", "m1", "m2")
DONE = {status.value for status in (MessageStatus.DELIVERED, MessageStatus.UNKNOWN, MessageStatus.FAILED)}

POINTS = {
    "_turn": "claim",
    "_record": "outcome",
    "WebhookFront._status": "status",
    "WebhookFront._inbound": "inbound",
    "_finish": "media",
    "_take": "list",
}
"""Which commit a transaction belongs to, by where its function was defined."""


class Fate:
    """Counts how often each point was passed; at the one named, the process is no more."""

    def __init__(self, told: str) -> None:
        self._point, _, count = told.partition(":")
        self._count = int(count or 0)
        self.told = bool(told)
        """It is to die: also where all was settled some other way before it came to that point."""
        self._passed: Counter[str] = Counter()

    def at(self, point: str) -> None:
        self._passed[point] += 1
        if point == self._point and self._passed[point] == self._count:
            die()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class DoomedStore:
    """Dies on the store's thread right before a commit, or on the loop right after."""

    def __init__(self, store: Store, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        name = next((v for k, v in POINTS.items() if k in transaction.__qualname__), None)

        def doomed(tx: Tx) -> T:
            result = transaction(tx)
            if name and _did_something(result):
                self._fate.at(f"{name}.before")
            return result

        result = await self._store.run(doomed)
        if name and _did_something(result):
            self._fate.at(f"{name}.after")
        return result

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        return await self._store.look(transaction)

    def listen(self, heard: Callable[[Changes], None]) -> None:
        self._store.listen(heard)

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()


def _did_something(result: object) -> bool:
    """A claim that found nothing, or a list without news, is no point in the story."""
    if result == []:
        return False
    return bool(getattr(result, "sends", True))


class DoomedProvider(Simulator):
    def __init__(self, account: SimulatorAccount, fate: Fate) -> None:
        super().__init__(account)
        self._fate = fate

    async def send(self, message: Message, status_url: str) -> SendResult:
        self._fate.at("post.before")
        result = await super().send(message, status_url)
        self._fate.at("post.after")
        return result

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        self._fate.at("fetch.before")
        result = await super().fetch(media)
        self._fate.at("fetch.after")
        return result


async def main(state: Path, database_url: str, port: int, simulator_url: str, fate: Fate) -> None:
    url, clock = f"http://127.0.0.1:{port}", WallClock()
    store = DoomedStore(connect(database_url), fate)
    provider = DoomedProvider(SimulatorAccount(url=simulator_url, secret=SECRET), fate)
    await store.run(queue_once)
    rules = InboundRules(provider="simulator", country="DE")
    media = MediaStorer(
        store=store, provider=provider, clock=clock, folder=state / "media", policy=MediaPolicy(poll_s=0.05)
    )
    outbox = Outbox(
        store=store,
        carriers=Carriers(provider, public_url=url),
        clock=clock,
        rules=SendingRules(policy=HASTY),
        limits=OutboxLimits(sends_at_once=2, poll_s=0.05),
    )
    looking = Reconciliation(
        store=store,
        provider=provider,
        clock=clock,
        rules=lambda: rules,
        stored=lambda _: media.wake(),
        policy=ReconcilePolicy(every_s=0.2),
    )
    hooks = WebhookServices(
        store=store,
        clock=clock,
        providers={"simulator": provider},
        rules={"simulator": lambda: rules},
        public_url=url,
        stored=lambda _: media.wake(),
    )
    app = WebhookFront(FastAPI(), hooks)
    async with asyncio.TaskGroup() as group:
        services = [group.create_task(c) for c in (outbox.run(), media.run(), looking.run())]
        services.append(group.create_task(serve(app, "127.0.0.1", port)))
        while fate.told or not await store.run(settled):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)
        for service in services:
            service.cancel()
    await provider.close()
    await store.close()


def queue_once(tx: Tx) -> None:
    """The first engine writes the rows; those after it find them."""
    try:
        tx.messages.get(MESSAGES[0])
    except Refused:
        for id in MESSAGES:
            tx.messages.add(
                outbound(
                    id=id,
                    sender=SENDER,
                    recipient=PHONE,
                    text=f"text {id}",
                    provider="simulator",
                    purpose="wait_time_sms",
                    call_id="c1",
                    now=WallClock().now(),
                )
            )


def settled(tx: Tx) -> bool:
    """All that was to be sent is settled, the answer is here and its picture stored."""
    if not all(tx.messages.get(id).status in DONE for id in MESSAGES):
        return False
    return bool(tx.messages.search(status=MessageStatus.RECEIVED)) and not tx.messages.with_pending_media(9)


def run(state: str, database_url: str, port: int, simulator_url: str, die_at: str) -> None:
    """The whole process; for ``multiprocessing``."""
    asyncio.run(main(Path(state), database_url, port, simulator_url, Fate(die_at)))
