"""Keeps the wait estimates up to date: reads the event table on from where it was, as everybody who wants to
know what happened does. What was read so far is stored now and then, so that a start has little to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ivr_engine.domain.events import Event
from ivr_engine.domain.wait_watch import (
    READ,
    Accuracy,
    Of,
    QueueReport,
    QueueWaits,
    Staffing,
    WaitWatch,
)
from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Store, Tx
from ivr_engine.site.now import InForce, SiteNow

FRESH_S: Final = 0.5
"""What is no older than this is not brought up to date again."""

EVERY_S: Final = 15.0
"""Nobody may be asking: so often it is brought up to date all the same."""

SAVE_EVERY_S: Final = 60.0
_PAGE: Final = 1000


class WaitEstimates:
    """``ports.Estimates``. ``run`` is held by the engine's root task group."""

    def __init__(self, in_force: SiteNow, store: Store, clock: Clock) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._watch: WaitWatch | None = None
        self._staffed: InForce | None = None
        self._staffing = Staffing({}, {})
        self._fresh_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()
        self._trouble = Trouble("estimates.store_unavailable", "estimates.works_again")

    async def refresh(self) -> None:
        async with self._one_at_a_time:
            now = self._clock.now()
            if self._fresh_at is not None and (now - self._fresh_at).total_seconds() < FRESH_S:
                return
            await self._catch_up(now)
            self._fresh_at = now

    def waits(self, queue: str) -> QueueWaits | None:
        return self._watch and self._watch.waits(queue, self._staffing)

    def accuracy(self, queue: str, of: Of) -> Accuracy | None:
        watch = self._watch.queues.get(queue) if self._watch else None
        return watch and watch.accuracy(of)

    def report(self) -> dict[str, QueueReport]:
        """Every queue, as of the last ``refresh``."""
        queues = self._watch.queues if self._watch else {}
        found: dict[str, QueueReport] = {}
        for name, watch in queues.items():
            waits = self.waits(name)
            if waits is not None:
                estimate = waits.newcomer(watch.meter.waiting + watch.ringing)
                found[name] = QueueReport(estimate, {of: watch.accuracy(of) for of in Of})
        return found

    async def run(self) -> None:
        save_at = 0.0
        while True:
            try:
                await self.refresh()
                if asyncio.get_running_loop().time() >= save_at:
                    await self._save()
                    save_at = asyncio.get_running_loop().time() + SAVE_EVERY_S
                self._trouble.over()
            except ExternalError as error:
                self._trouble.met(error, meaning="wait estimates stand still until it is over")
            await asyncio.sleep(EVERY_S)

    async def _catch_up(self, now: datetime) -> None:
        if self._watch is None:
            self._watch = await self._store.run(lambda tx: tx.waits.load()) or WaitWatch()
        watch = self._watch
        self._staff(watch)
        while page := await self._store.run(_after(watch.through)):
            for event in page:
                watch.tell(event, self._staffing)
            if len(page) < _PAGE:
                break
        watch.pass_until(now.timestamp())

    def _staff(self, watch: WaitWatch) -> None:
        """Who serves what, once for each configuration."""
        current = self._in_force.current
        if self._staffed is current:
            return
        self._staffed, site = current, current.site
        handling = {name: queue.handling_time for name, queue in site.queues.items()}
        self._staffing = Staffing(site.queues_of(), handling)
        watch.staff(self._staffing)

    async def _save(self) -> None:
        async with self._one_at_a_time:  # nothing is read while it is written down
            watch = self._watch
            if watch is not None:
                await self._store.run(lambda tx: tx.waits.save(watch))


def _after(event_id: int) -> Callable[[Tx], list[Event]]:
    return lambda tx: tx.events.after(event_id, _PAGE, kinds=READ)
