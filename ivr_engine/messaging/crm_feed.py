"""Tells every CRM what happens in conversations: a lane for each, as the site in force names them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError
from ivr_engine.messaging.contact_lookup import CURSOR, ContactLookup
from ivr_engine.messaging.crm_lane import CrmPolicy, Lane
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, ContactDirectory, Crm, Store

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CrmsNow:
    """Those of the site in force. Compared to see whether it has changed."""

    crms: Sequence[Crm]
    directory: ContactDirectory | None = None
    tries: int = 40


class CrmFeed:
    """Hold ``run`` in the root task group. ``crms`` gives those of the site in force, the same value as long
    as nothing about them changes; ``holder`` is this engine's name."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        crms: Callable[[], CrmsNow],
        holder: str,
        policy: CrmPolicy | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._crms = crms
        self._holder = holder
        self._policy = policy or CrmPolicy()
        self._trouble = Trouble("crm.store_down", "crm.store_back")

    async def run(self) -> None:
        """Until cancelled. What comes and goes with the site begins and ends within a second."""
        while True:
            now = self._crms()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.run()) for each in self._parts(now)]
                forget_at, ended = self._clock.now() + timedelta(seconds=self._policy.forget_after_s), False
                while self._crms() is now:
                    if not ended and self._clock.now() >= forget_at:
                        ended = await self._end_others(now)
                    await asyncio.sleep(self._policy.poll_s)
                for task in tasks:
                    task.cancel()
            await self._closed(now, self._crms())

    def _parts(self, now: CrmsNow) -> list[Lane | ContactLookup]:
        policy = replace(self._policy, tries=now.tries)
        parts: list[Lane | ContactLookup] = [
            Lane(crm, self._store, self._clock, self._holder, policy) for crm in now.crms
        ]
        if now.directory is not None:
            parts.append(ContactLookup(now.directory, self._store, self._clock, self._holder, self._policy))
        return parts

    async def _end_others(self, now: CrmsNow) -> bool:
        """Whoever is not named any more is told nothing of what happens from here on."""
        named = {crm.name for crm in now.crms} | ({CURSOR} if now.directory is not None else set[str]())

        try:
            others = [
                name
                for name in await self._store.run(lambda tx: tx.deliveries.adapters())
                if name not in named
            ]
            for name in others:
                await self._store.run(lambda tx, name=name: tx.deliveries.end(name))
                _log.info("crm.ended", crm=name, meaning="the site does not name it any more")
        except ExternalError as error:
            self._trouble.met(error)
            return False
        self._trouble.over()
        return True

    async def _closed(self, before: CrmsNow, now: CrmsNow) -> None:
        kept = {id(each) for each in (*now.crms, now.directory)}
        for each in (*before.crms, before.directory):
            if each is not None and id(each) not in kept:
                with contextlib.suppress(ExternalError):
                    await each.close()
