"""The parts that send, take and settle text messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from fastapi import APIRouter

from ivr_engine import keys
from ivr_engine.bootstrap.adapters import sms_provider
from ivr_engine.bootstrap.crms import LINKS_SECRET
from ivr_engine.domain.messages import Message
from ivr_engine.domain.opt_out import wants_no_call
from ivr_engine.messaging import opt_outs
from ivr_engine.messaging.abuse import abuse_veto
from ivr_engine.messaging.carriers import Carriers, Second
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.media import MediaStorer
from ivr_engine.messaging.media_links import with_links
from ivr_engine.messaging.number_codes import NumberCodes
from ivr_engine.messaging.outbox import Outbox
from ivr_engine.messaging.own_numbers import OwnNumbers
from ivr_engine.messaging.reconcile import Reconciliation
from ivr_engine.observability.masking import hide
from ivr_engine.ports import Clock, SmsProvider, Store
from ivr_engine.settings import Settings
from ivr_engine.site.models import Site
from ivr_engine.sms.simulator import Simulator
from ivr_engine.web.file_links import FileLinks
from ivr_engine.web.handset import handset_router, no_handset_router
from ivr_engine.web.webhooks import WebhookServices


class Texts:
    """``called_off`` is told when a text may have ended somebody's callback."""

    def __init__(
        self,
        settings: Settings,
        site: Callable[[], Site],
        store: Store,
        clock: Clock,
        called_off: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._site = site
        self._store = store
        self._clock = clock
        self._called_off = called_off
        self.provider = sms_provider(settings, site, store)
        second = site().sending.second_provider
        self.second = second and sms_provider(settings, site, store, second.provider)
        self.links = {provider.name: self._links_of(provider) for provider in self.providers}
        self.outbox = Outbox(
            store=store,
            carriers=Carriers(
                self.provider,
                Second(self.second, second.sender) if second and self.second else None,
                public_url=settings.public_url,
                dressed=with_links({name: links.link for name, links in self.links.items()}),
            ),
            clock=clock,
            rules=SendingRules(
                engine=settings.ari_app,
                rate_of=lambda sender: site().rate_of(sender),
                hours=lambda: site().sending.quiet_hours(),
                vetoes=(opt_outs.veto, abuse_veto(site, clock)),
            ),
        )
        self.numbers = OwnNumbers(store=store, providers=self.providers, clock=clock, site=site)
        self.media = MediaStorer(
            store=store, provider=self.provider, second=self.second, clock=clock, folder=settings.media
        )

    @property
    def providers(self) -> tuple[SmsProvider, ...]:
        return (self.provider, self.second) if self.second else (self.provider,)

    async def close(self) -> None:
        for provider in self.providers:
            await provider.close()

    async def reconcile(self) -> None:
        """Find what no webhook brought, at every provider; until cancelled."""
        async with asyncio.TaskGroup() as group:
            for provider in self.providers:
                group.create_task(self._reconciliation(provider).run())

    def webhooks(self) -> WebhookServices:
        return WebhookServices(
            store=self._store,
            clock=self._clock,
            providers={provider.name: provider for provider in self.providers},
            rules={provider.name: partial(self._rules, provider) for provider in self.providers},
            public_url=self._settings.public_url,
            stored=self._stored,
        )

    def number_codes(self) -> NumberCodes:
        return NumberCodes(
            store=self._store,
            provider=self.provider,
            clock=self._clock,
            site=self._site,
            public_url=self._settings.public_url,
        )

    def handset(self) -> APIRouter:
        for provider in self.providers:
            if isinstance(provider, Simulator):
                return handset_router(provider, lambda: self._site().country)
        return no_handset_router(self.provider.name)

    def _reconciliation(self, provider: SmsProvider) -> Reconciliation:
        return Reconciliation(
            store=self._store,
            provider=provider,
            clock=self._clock,
            rules=partial(self._rules, provider),
            stored=self._stored,
        )

    def _stored(self, text: Message) -> None:
        """It may have pictures, and it may have been answered."""
        self.media.wake()
        self.outbox.wake()
        if wants_no_call(text.text):
            self._called_off()

    def _links_of(self, provider: SmsProvider) -> FileLinks:
        """Below the provider's webhooks, so that whoever lets those through lets the links through."""
        secret = keys.secret(self._settings.state, LINKS_SECRET)
        hide(secret)
        return FileLinks(
            secret,
            self._settings.public_url,
            self._clock,
            lambda: timedelta(hours=self._site().sending.media_links_last),
            prefix=f"/webhooks/sms/{provider.name}/media/",
        )

    def _rules(self, provider: SmsProvider) -> InboundRules:
        return InboundRules.of(provider.name, self._site())
