"""The only place that chooses the parts and wires them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
import uvloop
from fastapi import APIRouter

from ivr_engine import keys
from ivr_engine.acd.desk import AgentDesk
from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.acd.estimates import WaitEstimates
from ivr_engine.acd.phones import PhoneWatch
from ivr_engine.acd.switchboard import Switchboard
from ivr_engine.asterisk.ami import AmiSettings, TrunkWatch
from ivr_engine.asterisk.ari_client import Replaced
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.telephony import AriTelephony
from ivr_engine.callflow import forgotten
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.commands import CallCommands
from ivr_engine.callflow.house import House
from ivr_engine.callflow.reception import Reception
from ivr_engine.errors import ConfigError, ExternalError
from ivr_engine.guard import Services
from ivr_engine.lookup.http import HttpLookup
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaStorer
from ivr_engine.messaging.outbox import Outbox
from ivr_engine.messaging.reconcile import Reconciliation
from ivr_engine.messaging.recordings import RecordingKeeper
from ivr_engine.messaging.voicemail import VoicemailStorer
from ivr_engine.messaging.written import delete, keep
from ivr_engine.observability.lag import LagStore
from ivr_engine.observability.masking import hide
from ivr_engine.observability.metrics import Metrics, MetricsPage, TimedStore, watch_loop
from ivr_engine.observability.service_manager import STOPPING, ServiceManager
from ivr_engine.ports import SmsProvider, Speech, Store
from ivr_engine.settings import Settings
from ivr_engine.site import drawing
from ivr_engine.site.models import Site, SpeechSettings
from ivr_engine.site.reload import Folders, Made, Reloader, Voice, make_first
from ivr_engine.sms import twilio, twilio_account
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.speech.espeak import Espeak
from ivr_engine.speech.piper import Piper
from ivr_engine.store import WatchedStore, connect
from ivr_engine.web.app import create_app
from ivr_engine.web.drain import drain_router
from ivr_engine.web.handset import handset_router, no_handset_router
from ivr_engine.web.health import (
    DRAINING,
    Check,
    HealthBoard,
    disk_check,
    prompts_check,
    socket_check,
    store_check,
)
from ivr_engine.web.in_call import in_call_router
from ivr_engine.web.server import listen, serve
from ivr_engine.web.services import WebServices
from ivr_engine.web.site import site_router
from ivr_engine.web.trunks import trunks_check, trunks_router
from ivr_engine.web.webhooks import WebhookFront, WebhookServices

log = structlog.get_logger()

SWITCH_INTERVAL_S: Final = 0.0005
"""How soon the store's thread gives way to the event loop: a tenth of Python's default, because callers
feel the loop's delay and the store's they do not."""

LAST_CLAIMS_S: Final = 1.0
"""Until calls that were claimed when draining began are here."""

CANCEL_AGAIN_S: Final = 4.0
"""Above the seconds that answers under way get (``web.server``)."""

REPLACED_EXIT: Final = 76
"""Exit code when another process took this engine's application name: do not start it again as it is."""


GARBAGE_AFTER: Final = 20_000
"""Objects made and not freed before the garbage collector looks; Python's own 700 are a few calls."""


class UtcClock:
    """``ports.Clock`` of the real world."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is read and made before the first call: blocking work, done in a thread."""

    made: Made
    voice: Voice
    store: WatchedStore


def run(settings: Settings) -> int:
    """Run the engine until SIGTERM or SIGINT. Returns the exit code; raises ``IvrError`` for what an
    admin has to mend before it can start."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return uvloop.run(_main(settings))


async def _main(settings: Settings) -> int:
    metrics = Metrics()
    loaded = await asyncio.to_thread(_load, settings)
    _spare_garbage_collector()
    try:
        await loaded.store.check()
        return await _Engine(settings, loaded, LagStore(TimedStore(loaded.store, metrics)), metrics).run()
    finally:
        await loaded.store.close()


def _spare_garbage_collector() -> None:
    """What is loaded stays: never look through it again. Calls leave little behind in cycles, so looking
    rarely is enough, and no look is long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)


def _load(settings: Settings) -> Loaded:
    settings.state.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    voice = SiteVoice()
    made = make_first(_folders(settings), voice, _say_progress)
    return Loaded(made, voice, WatchedStore(connect(settings.store_url)))


class SiteVoice:
    """``site.reload.Voice``: made anew only when its settings have changed."""

    def __init__(self) -> None:
        self._made: tuple[SpeechSettings, Speech] | None = None

    def __call__(self, site: Site) -> Speech:
        if self._made is None or self._made[0] != site.speech:
            self._made = site.speech, speech_of(site)
        return self._made[1]


def speech_of(site: Site) -> Speech:
    """What speaks the texts of ``site``."""
    chosen = site.speech
    command = (chosen.program or chosen.engine,)
    if chosen.engine == "piper":
        return Piper({language: Path(voice) for language, voice in chosen.voices.items()}, command)
    return Espeak(command)


def _folders(settings: Settings) -> Folders:
    return Folders(settings.config, settings.prompts, settings.sounds, settings.history)


def _say_progress(done: int, of: int) -> None:
    if done % 10 == 0 and done < of:
        log.info("prompts.progress", done=done, of=of)


class _Engine:
    """The parts of one engine, each made once, and the task group that holds its services."""

    def __init__(self, settings: Settings, loaded: Loaded, store: LagStore, metrics: Metrics) -> None:
        self._settings = settings
        self._loaded = loaded
        self._store = store
        self._metrics = metrics
        self._clock = UtcClock()
        self._services = Services()
        self._reloader = Reloader(
            _folders(settings),
            loaded.voice,
            self._clock,
            loaded.made,
            self._site_changed,
            metrics.site_loaded,
        )
        self._page = MetricsPage(metrics, store, self._clock, lambda: self._site.queues)
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._provider = sms_provider(settings, lambda: self._site, store)
        self._telephony = _telephony(settings)
        self._trunks = _trunk_watch(settings, self._clock)
        metrics.follow_trunks(self._trunks.up)
        metrics.follow_ari(lambda: dataclasses.asdict(self._telephony.counts))
        self._outbox = Outbox(
            store=store, provider=self._provider, clock=self._clock, public_url=settings.public_url
        )
        self._media = MediaStorer(
            store=store, provider=self._provider, clock=self._clock, folder=settings.media
        )
        self._voicemail = VoicemailStorer(
            store=store,
            recordings=self._telephony.recordings,
            clock=self._clock,
            keep=functools.partial(keep, settings.media),
            engine=self._telephony.name,
        )
        self._recordings = RecordingKeeper(
            store=store,
            recordings=self._telephony.recordings,
            stop=self._telephony.end_recording,
            clock=self._clock,
            keep=functools.partial(keep, settings.media),
            delete=functools.partial(delete, settings.media),
            engine=self._telephony.name,
            settings=lambda: self._site.recordings,
        )
        in_force = self._reloader.in_force
        self._line = Dispatcher(in_force, store, self._clock, _new_id)
        self._desk = AgentDesk(
            in_force, store, self._clock, functools.partial(_phone_password, settings.state)
        )
        self._phone_watch = PhoneWatch(self._telephony, self._desk.vanished)
        self._switchboard = Switchboard(in_force, store, self._clock, self._line)
        self._lookup = HttpLookup(os.environ)
        self._estimates = WaitEstimates(in_force, store, self._clock)
        metrics.follow_waits(self._estimates.report)
        self._house = House(
            in_force=in_force,
            store=store,
            telephony=self._telephony,
            clock=self._clock,
            line=self._line,
            new_id=_new_id,
            message_queued=self._outbox.wake,
            lookup=self._lookup,
            estimates=self._estimates,
        )
        self._admission = Admission(store.lag_s)
        metrics.follow_admission(lambda: self._admission.left)
        self._reception = Reception(self._house, self._admission)
        self._board = HealthBoard(self._checks())
        self._manager = ServiceManager.from_environ(os.environ)

    async def run(self) -> int:
        """Until told to stop: then every service is cancelled and nothing in Asterisk is touched."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.wake)
        loop.add_signal_handler(signal.SIGUSR1, self._drain)
        listen(self._settings.http_host, self._settings.http_port).close()  # a taken port is said now
        await self._desk.push_accounts(self._telephony)
        await self._page.begin()
        await forgotten.leave_sign(self._house)
        try:
            async with asyncio.TaskGroup() as root:
                held = [
                    root.create_task(self._services.keep(name, service), name=name)
                    for name, service in self._all_services().items()
                ]
                log.info("engine.started", application=self._telephony.name)
                await self._stop.wait()
                self._manager.tell(STOPPING)
                await _cancelled(held)
        finally:
            await self._provider.close()
            await self._lookup.close()
        log.info("engine.stopped")
        return self._exit_code

    def _all_services(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "store": self._loaded.store.watch,
            "site": self._reloader.run,
            "telephony": self._telephone,
            "reception": self._reception.run,
            "forgotten calls": functools.partial(forgotten.look_after, self._house),
            "line": self._line.run,
            "phones": self._phone_watch.run,
            "wait estimates": self._estimates.run,
            "outbox": self._outbox.run,
            "media": self._media.run,
            "voicemail": self._voicemail.run,
            "recordings": self._recordings.run,
            "sms reconciliation": self._reconciliation().run,
            "drain": self._end_when_drained,
            "web": self._web,
            "service manager": functools.partial(self._manager.report, self._ready, self._alive),
            "loop watch": functools.partial(watch_loop, self._metrics),
            **({"trunks": self._trunks.run} if self._settings.trunks else {}),
        }

    async def _telephone(self) -> None:
        try:
            await self._telephony.run()
        except Replaced as error:
            log.critical("engine.replaced", error=str(error), remedy="give every engine its own IVR_ARI_APP")
            self._exit_code = REPLACED_EXIT
            self._stop.set()
            await asyncio.Event().wait()

    def _drain(self) -> int:
        if not self._admission.draining:
            log.warning("engine.draining", calls=self._reception.calls, limit_s=self._settings.drain_limit_s)
            self._admission.drain()
        return self._reception.calls

    async def _end_when_drained(self) -> None:
        """Who is still here after the limit stays in Asterisk for the next engine, as after SIGTERM."""
        await self._admission.until_draining()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_limit_s):
                await asyncio.sleep(LAST_CLAIMS_S)
                await self._reception.empty()
        log.info("engine.drained", calls=self._reception.calls)
        self._stop.set()
        await asyncio.Event().wait()

    def _rules(self) -> InboundRules:
        return InboundRules(provider=self._provider.name, country=self._site.country)

    def _reconciliation(self) -> Reconciliation:
        return Reconciliation(
            store=self._store,
            provider=self._provider,
            clock=self._clock,
            rules=self._rules,
            stored=lambda _message: self._media.wake(),
        )

    async def _web(self) -> None:
        settings = self._settings
        app = WebhookFront(create_app(self._web_services()), self._webhook_services())
        await serve(app, settings.http_host, settings.http_port, listening=_say_where)

    def _web_services(self) -> WebServices:
        return WebServices(
            store=self._store,
            clock=self._clock,
            token=_api_token(self._settings),
            site=lambda: self._site,
            health=self._board,
            metrics=self._page.render,
            desk=self._desk,
            switches=self._switchboard,
            estimates=self._estimates,
            running_calls=self._reception,
            unknown_messages=self._outbox,
            media_folder=self._settings.media,
            sip_server=self._settings.sip_server,
            more=(
                self._handset(),
                drain_router(self._drain),
                in_call_router(CallCommands(self._house)),
                site_router(lambda: self._reloader.state, self._reloader.reload, self._picture),
                trunks_router(self._trunks.trunks),
            ),
        )

    def _handset(self) -> APIRouter:
        if isinstance(self._provider, Simulator):
            return handset_router(self._provider, lambda: self._site.country)
        return no_handset_router(self._provider.name)

    def _webhook_services(self) -> WebhookServices:
        return WebhookServices(
            store=self._store,
            clock=self._clock,
            providers={self._provider.name: self._provider},
            rules={self._provider.name: self._rules},
            public_url=self._settings.public_url,
            stored=lambda _message: self._media.wake(),
        )

    def _checks(self) -> tuple[Check, ...]:
        return (
            socket_check(self._telephony),
            store_check(self._store),
            prompts_check(self._reloader.playable),
            disk_check(self._settings.state),
            Check("services", self._all_run, "a part of the engine is failing and being restarted"),
            Check(DRAINING, self._not_draining, "takes no new calls, and ends after the last one"),
            Check("load", self._takes_calls, "overloaded: new callers are left to others", needed=False),
            Check("sms", self._provider_answers, "the SMS provider does not answer", needed=False),
            Check("configuration", self._site_is_right, self._why_not_in_force, needed=False),
            *((trunks_check(self._trunks.trunks),) if self._settings.trunks else ()),
        )

    @property
    def _site(self) -> Site:
        return self._reloader.in_force.current.site

    def _picture(self, flow: str) -> str:
        now = self._reloader.in_force.current
        return drawing.of_site(
            now.site, flow, lambda prompt: now.prompts.wording(now.site.default_language, prompt)
        )

    async def _site_changed(self, before: Site) -> None:
        self._line.agent_changed()
        await self._desk.push_accounts(self._telephony, known=before.agents)

    async def _site_is_right(self) -> None:
        if problems := self._reloader.state.problems:
            raise problems[0]

    def _why_not_in_force(self) -> str:
        """For anybody: which file, nothing of what stands in it."""
        places = sorted({_place(p) for p in self._reloader.state.problems if isinstance(p, ConfigError)})
        wrong = f"wrong: {', '.join(places[:5])}" if places else "it cannot be loaded"
        return f"the configuration as it is now is not in force; {wrong}"

    async def _ready(self) -> bool:
        """Calls can be taken."""
        return all(f.ok for f in await self._board.look() if f.needed)

    async def _alive(self) -> bool:
        """No only for what a new process would mend: a part of the engine fails though all else is well.
        Without Asterisk or database the callers there are better off with an engine that waits."""
        return {f.name for f in await self._board.look() if f.needed and not f.ok} != {"services"}

    async def _all_run(self) -> None:
        if self._services.failing:
            raise ExternalError(", ".join(f"{n}: {why}" for n, why in self._services.failing.items()))

    async def _not_draining(self) -> None:
        if self._admission.draining:
            raise ExternalError(f"{self._reception.calls} calls are left")

    async def _takes_calls(self) -> None:
        if why := self._admission.overloaded:
            raise ExternalError(f"the last call on offer was not taken: {why}")

    async def _provider_answers(self) -> None:
        if self._outbox.provider_down:
            raise ExternalError(f"SMS provider {self._provider.name} is down")


def _place(problem: ConfigError) -> str:
    name = Path(problem.file).name
    return f"{name} line {problem.line}" if problem.line else name


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel until they end: a task group that is failing at that moment swallows a cancellation (CPython
    up to 3.12)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


def _trunk_watch(settings: Settings, clock: UtcClock) -> TrunkWatch:
    password = settings.ami_password or (
        keys.secret(settings.state, "ami_password") if settings.trunks else ""
    )
    if password:
        hide(password)
    ami = AmiSettings(
        port=settings.ami_port, user=settings.ami_user, password=password, trunks=settings.trunks
    )
    return TrunkWatch(ami, clock)


def _telephony(settings: Settings) -> AriTelephony:
    password = settings.ari_password or keys.secret(settings.state, "ari_password")
    hide(password)
    return AriTelephony(
        AriSettings(
            url=settings.ari_url,
            user=settings.ari_user,
            password=password,
            application=settings.ari_app,
            transport=settings.ari_transport,
        )
    )


def sms_provider(settings: Settings, site: Callable[[], Site], store: Store) -> SmsProvider:
    """Raises ``ConfigError`` naming the variable that is missing or wrong."""
    if site().sms.provider == twilio.NAME:
        return _twilio(settings, site, store)
    secret = settings.simulator_secret or keys.secret(settings.state, "simulator_secret")
    hide(secret)
    return Simulator(SimulatorAccount(url=settings.simulator_url, secret=secret))


def _twilio(settings: Settings, site: Callable[[], Site], store: Store) -> twilio.Twilio:
    account = twilio_account.account_from_environ(settings.twilio)
    hide(account.auth_token)
    hide(account.password)
    for problem in twilio_account.problems(settings.twilio, settings.public_url):
        log.warning("sms.provider_not_set_up", problem=str(problem))

    async def owner_of(provider_id: str) -> str | None:
        found = await store.run(lambda tx: tx.messages.by_provider_id(twilio.NAME, provider_id))
        return found.id if found else None

    return twilio.Twilio(account, numbers=lambda: (site().sms.sender,), owner_of=owner_of)


def _api_token(settings: Settings) -> str:
    token = settings.api_token or keys.secret(settings.state, keys.API_TOKEN)
    hide(token)
    return token


async def _phone_password(state: Path, agent: str) -> str:
    password = await asyncio.to_thread(keys.secret, state, f"phone_{agent}")
    hide(password)
    return password


def _new_id() -> str:
    return uuid.uuid4().hex


def _say_where(host: str, port: int) -> None:
    log.info("web.listening", url=f"http://{host}:{port}")
