"""An ``AriTelephony`` that runs against the fake, for the unit tests of the ARI adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ivr_engine.asterisk.ari_client import Replaced
from ivr_engine.asterisk.leg import AriLeg
from ivr_engine.asterisk.settings import AriSettings, AriTimes
from ivr_engine.asterisk.telephony import AriTelephony
from ivr_engine.domain.records import replace
from ivr_engine.ports import Arrival, Prompt, Snapshot
from tests.unit.fake_ari import APP, FakeAri, channel, event, fake_ari

HELLO = Prompt("hello", "sound:hello", 0.05)
QUICK = AriTimes(
    deadline_s=2.0,
    slow_deadline_s=2.0,
    heartbeat_s=0.2,
    retry_first_s=0.01,
    retry_most_s=0.04,
    stable_s=60,
    playback_margin_s=0.1,
)


@dataclass
class Rig:
    fake: FakeAri
    telephony: AriTelephony
    arrivals: asyncio.Queue[Arrival] = field(default_factory=asyncio.Queue[Arrival])
    snapshots: list[Snapshot] = field(default_factory=list[Snapshot])
    stopped: list[Replaced] = field(default_factory=list[Replaced])
    reconciling: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared by a test that wants the reconciliation to take its time."""

    async def run(self) -> None:
        try:
            await self.telephony.run()
        except Replaced as error:
            self.stopped.append(error)

    async def take_arrivals(self) -> None:
        async for arrival in self.telephony.arrivals():
            self.arrivals.put_nowait(arrival)

    async def reconcile(self) -> None:
        async for snapshot in self.telephony.connections():
            self.snapshots.append(snapshot)
            await self.reconciling.wait()

    async def arrives(self) -> Arrival:
        async with asyncio.timeout(5):
            return await self.arrivals.get()

    async def call(self, channel_id: str = "c1") -> AriLeg:
        """A call that was offered, claimed and has arrived."""
        self.fake.channels[channel_id] = channel(channel_id, "Ring")
        await self.fake.emit(event("CallBroadcast", channel_id, "Ring"))
        leg = (await self.arrives()).leg
        assert isinstance(leg, AriLeg)
        return leg

    async def playing(self, times: int = 1) -> str:
        """The id of the prompt that was started last."""
        await self.asked("POST", "play/*", times)
        return self.fake.requests("POST", "play/*")[-1].path.split("/")[-1]

    async def asked(self, method: str, ending: str, times: int = 1) -> None:
        await until(lambda: len(self.fake.requests(method, ending)) >= times)


@asynccontextmanager
async def rig(
    fake: FakeAri | None = None,
    *,
    wait: bool = True,
    reconciling: bool = True,
    taking: bool = True,
    **more: Any,
) -> AsyncGenerator[Rig]:
    """A telephony that runs; with ``wait``: connected and reconciled. ``more``: of ``AriSettings``."""
    async with AsyncExitStack() as stack:
        if fake is None:
            fake = await stack.enter_async_context(fake_ari())
        base = AriSettings(url=fake.url, user="u", password="p", application=APP, times=QUICK)
        one = Rig(fake, AriTelephony(replace(base, **more)))
        if reconciling:
            one.reconciling.set()
        parts = [one.run(), one.reconcile(), *([one.take_arrivals()] if taking else [])]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            if wait:
                await until(lambda: bool(one.snapshots))
            yield one
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    """Return once ``condition`` holds; a ``TimeoutError`` fails the test."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # between two looks at another task
