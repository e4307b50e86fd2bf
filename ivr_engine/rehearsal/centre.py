"""A whole contact centre in virtual time: one engine, its store, the telephone system and the SMS company."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ivr_engine.messaging import opt_outs
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaPolicy, MediaStorer
from ivr_engine.messaging.outbox import Outbox, OutboxLimits
from ivr_engine.messaging.own_numbers import OwnNumbers
from ivr_engine.messaging.voicemail import VoicemailPolicy, VoicemailStorer
from ivr_engine.messaging.written import keep
from ivr_engine.ports import Prompts, Store
from ivr_engine.rehearsal.engine import SimEngine, World
from ivr_engine.rehearsal.post import URL, PostOffice
from ivr_engine.sim.clock import START, SimClock
from ivr_engine.sim.lookup import SimLookup
from ivr_engine.sim.recordings import SimRecordings
from ivr_engine.sim.sms import SimSms
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.telephony import SimTelephony
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect

NAME: Final = "rehearsal"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks of those services that look again and again: short where a person waits for
    what comes of it, long where a whole day is simulated. ``instant``: the telephone system is no way off."""

    outbox_s: float = 1.0
    media_s: float = 5.0
    voicemail_s: float = 1.0
    instant: bool = False


class Centre:
    """``folder``: where files of callers go."""

    def __init__(
        self, site: Site, prompts: Prompts, store: Store, folder: Path, start: datetime, pace: Pace
    ) -> None:
        self.site = site
        self.store = store
        self.clock = SimClock(start)
        self.switch = SimSwitch()
        self.lookup = SimLookup()
        self._ids = itertools.count(1)
        telephony = SimTelephony(self.switch, NAME, instant=pace.instant)
        company = SimSms(self.clock, name=site.sms.provider)
        self._outbox = Outbox(
            store=store,
            carriers=Carriers(company, public_url=URL),
            clock=self.clock,
            rules=SendingRules(vetoes=(opt_outs.veto,)),
            limits=OutboxLimits(poll_s=pace.outbox_s, tick_s=0.0),
        )
        self._numbers = OwnNumbers(store=store, providers=(company,), clock=self.clock, site=lambda: site)
        self._media = MediaStorer(
            store=store,
            provider=company,
            clock=self.clock,
            folder=folder,
            policy=MediaPolicy(poll_s=pace.media_s),
        )
        self._voicemail = VoicemailStorer(
            store=store,
            recordings=SimRecordings(telephony),
            clock=self.clock,
            keep=partial(keep, folder),
            engine=telephony.name,
            policy=VoicemailPolicy(poll_s=pace.voicemail_s),
        )
        self.post = PostOffice(
            company=company,
            store=store,
            clock=self.clock,
            rules=lambda: InboundRules.of(company.name, site),
            stored=self._media.wake,
        )
        self.engine = SimEngine(
            World(
                in_force=SiteNow(InForce(site, prompts)),
                store=store,
                telephony=telephony,
                clock=self.clock,
                lookup=self.lookup,
                new_id=self._new_id,
                message_queued=self._outbox.wake,
            )
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            services = (self.engine, self._outbox, self._numbers, self._media, self._voicemail, self.post)
            for service in services:
                group.create_task(service.run())

    def _new_id(self) -> str:
        return f"{next(self._ids):08d}"


@asynccontextmanager
async def open_centre(
    site: Site,
    prompts: Prompts,
    folder: Path,
    *,
    start: datetime = START,
    pace: Pace | None = None,
) -> AsyncGenerator[Centre]:
    """A centre at work; only inside ``sim.clock.run(…, inline=True)``. What its engine dies of is raised."""
    store = connect("sqlite://", inline=True)
    centre = Centre(site, prompts, store, folder, start, pace or Pace())
    with _only_errors_logged():
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(centre.run())
                try:
                    yield centre
                finally:
                    running.cancel()
        finally:
            await store.close()


@contextmanager
def _only_errors_logged() -> Generator[None]:
    """Thousands of calls would fill pages, and cost time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
