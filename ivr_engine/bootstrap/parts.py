"""The parts of one engine, each made once."""

from __future__ import annotations

import dataclasses
import functools
import os
import uuid
from dataclasses import dataclass

import structlog

from ivr_engine.acd.desk import AgentDesk
from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.acd.estimates import WaitEstimates
from ivr_engine.acd.phones import PhoneWatch
from ivr_engine.acd.switchboard import Switchboard
from ivr_engine.bootstrap.adapters import (
    SiteVoice,
    UtcClock,
    phone_password,
    privacy_key,
    telephony,
    trunk_watch,
)
from ivr_engine.bootstrap.crms import Crms
from ivr_engine.bootstrap.dialplan import DialplanLane
from ivr_engine.bootstrap.texts import Texts
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.house import House
from ivr_engine.callflow.reception import Reception
from ivr_engine.domain.opt_outs import pseudonyms
from ivr_engine.lookup.http import HttpLookup
from ivr_engine.messaging.contacts import at_connect
from ivr_engine.messaging.privacy import PrivacyKeeper
from ivr_engine.messaging.recordings import RecordingKeeper
from ivr_engine.messaging.senders import sender_for
from ivr_engine.messaging.voicemail import VoicemailStorer
from ivr_engine.messaging.written import delete, keep
from ivr_engine.observability.lag import LagStore
from ivr_engine.observability.metrics import Metrics
from ivr_engine.observability.metrics_page import MetricsPage
from ivr_engine.settings import NamedSecrets, Settings
from ivr_engine.site.models import Site
from ivr_engine.site.reload import Folders, Made, Reloader, Voice, make_first
from ivr_engine.store import WatchedStore, connect

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is read and made before the first call: blocking work, done in a thread."""

    made: Made
    voice: Voice
    store: WatchedStore


def load(settings: Settings) -> Loaded:
    settings.state.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    voice = SiteVoice()
    made = make_first(_folders(settings), voice, _say_progress)
    pseudonym = pseudonyms(privacy_key(settings))
    return Loaded(made, voice, WatchedStore(connect(settings.store_url, pseudonym=pseudonym)))


class Parts:
    def __init__(self, settings: Settings, loaded: Loaded, store: LagStore, metrics: Metrics) -> None:
        self.settings = settings
        self.store = store
        self.watch_store = loaded.store.watch
        self.metrics = metrics
        self.clock = UtcClock()
        self.reloader = Reloader(
            _folders(settings),
            loaded.voice,
            self.clock,
            loaded.made,
            self._site_changed,
            metrics.site_loaded,
        )
        in_force = self.reloader.in_force
        self.page = MetricsPage(metrics, store, self.clock, lambda: self.site.queues)
        self.telephony = telephony(settings)
        metrics.follow_ari(lambda: dataclasses.asdict(self.telephony.counts))
        self.trunks = trunk_watch(settings, self.clock)
        metrics.follow_trunks(self.trunks.up)
        self.secrets = NamedSecrets(os.environ)
        self.texts = Texts(
            settings, lambda: self.site, store, self.clock, lambda: self.house.bells.ring_all()
        )
        self.crms = Crms(settings, lambda: self.site, store, self.clock, self.secrets)
        self.voicemail = VoicemailStorer(
            store=store,
            recordings=self.telephony.recordings,
            clock=self.clock,
            keep=functools.partial(keep, settings.media),
            engine=self.telephony.name,
        )
        self.recordings = RecordingKeeper(
            store=store,
            recordings=self.telephony.recordings,
            stop=self.telephony.end_recording,
            clock=self.clock,
            keep=functools.partial(keep, settings.media),
            delete=functools.partial(delete, settings.media),
            engine=self.telephony.name,
            settings=lambda: self.site.recordings,
        )
        self.privacy = PrivacyKeeper(
            store=store,
            clock=self.clock,
            delete=functools.partial(delete, settings.media),
            retention=lambda: self.site.retention,
        )
        self.line = Dispatcher(in_force, store, self.clock, _new_id)
        self.desk = AgentDesk(in_force, store, self.clock, functools.partial(phone_password, settings.state))
        self.phone_watch = PhoneWatch(self.telephony, self.desk.vanished)
        self.switchboard = Switchboard(in_force, store, self.clock, self.line)
        self.lookup = HttpLookup(self.secrets)
        self.estimates = WaitEstimates(in_force, store, self.clock)
        metrics.follow_waits(self.estimates.report)
        self.house = House(
            in_force=in_force,
            store=store,
            telephony=self.telephony,
            clock=self.clock,
            line=self.line,
            new_id=_new_id,
            message_queued=self.texts.outbox.wake,
            sender_for=sender_for,
            identify=at_connect,
            lookup=self.lookup,
            estimates=self.estimates,
        )
        self.admission = Admission(store.lag_s)
        metrics.follow_admission(lambda: self.admission.left)
        self.reception = Reception(self.house, self.admission)
        self.dialplan = DialplanLane(
            settings.fastagi, self.house, self.admission, lambda: self.reception.calls
        )

    @property
    def site(self) -> Site:
        return self.reloader.in_force.current.site

    def drain(self) -> int:
        """Take no new calls; how many are left."""
        if not self.admission.draining:
            limit_s = self.settings.drain_limit_s
            log.warning("engine.draining", calls=self.reception.calls, limit_s=limit_s)
            self.admission.drain()
        return self.reception.calls

    async def close(self) -> None:
        await self.texts.close()
        await self.lookup.close()

    async def _site_changed(self, before: Site) -> None:
        self.texts.numbers.wake()
        self.line.site_changed()
        await self.desk.push_accounts(self.telephony, known=before.agents)


def _folders(settings: Settings) -> Folders:
    return Folders(settings.config, settings.prompts, settings.sounds, settings.history)


def _say_progress(done: int, of: int) -> None:
    if done % 10 == 0 and done < of:
        log.info("prompts.progress", done=done, of=of)


def _new_id() -> str:
    return uuid.uuid4().hex
