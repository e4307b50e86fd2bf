"""The parts that send, take and settle text messages."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from ivr_engine.bootstrap.adapters import sms_provider
from ivr_engine.messaging.carriers import Carriers
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaStorer
from ivr_engine.messaging.outbox import Outbox
from ivr_engine.messaging.reconcile import Reconciliation
from ivr_engine.ports import Clock, Store
from ivr_engine.settings import Settings
from ivr_engine.site.models import Site
from ivr_engine.sms.simulator import Simulator
from ivr_engine.web.handset import handset_router, no_handset_router
from ivr_engine.web.webhooks import WebhookServices


class Texts:
    def __init__(self, settings: Settings, site: Callable[[], Site], store: Store, clock: Clock) -> None:
        self._settings = settings
        self._site = site
        self._store = store
        self._clock = clock
        self.provider = sms_provider(settings, site, store)
        self.outbox = Outbox(
            store=store,
            carriers=Carriers(self.provider, public_url=settings.public_url),
            clock=clock,
            rules=SendingRules(engine=settings.ari_app),
        )
        self.media = MediaStorer(store=store, provider=self.provider, clock=clock, folder=settings.media)

    def reconciliation(self) -> Reconciliation:
        return Reconciliation(
            store=self._store,
            provider=self.provider,
            clock=self._clock,
            rules=self._rules,
            stored=lambda _message: self.media.wake(),
        )

    def webhooks(self) -> WebhookServices:
        return WebhookServices(
            store=self._store,
            clock=self._clock,
            providers={self.provider.name: self.provider},
            rules={self.provider.name: self._rules},
            public_url=self._settings.public_url,
            stored=lambda _message: self.media.wake(),
        )

    def handset(self) -> APIRouter:
        if isinstance(self.provider, Simulator):
            return handset_router(self.provider, lambda: self._site().country)
        return no_handset_router(self.provider.name)

    def _rules(self) -> InboundRules:
        return InboundRules.of(self.provider.name, self._site())
