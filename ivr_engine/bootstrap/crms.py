"""The CRMs that the site names, and the one built in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from ivr_engine import keys
from ivr_engine.crm.built_in import BuiltIn
from ivr_engine.crm.directory import WebhookDirectory
from ivr_engine.crm.http import Address, SignedPost
from ivr_engine.crm.webhook import WebhookCrm
from ivr_engine.messaging.crm_feed import CrmFeed, CrmsNow
from ivr_engine.observability.masking import hide
from ivr_engine.ports import Clock, Crm, Store
from ivr_engine.settings import Settings
from ivr_engine.site.crm import CrmSettings, Reached
from ivr_engine.site.models import Site
from ivr_engine.web.file_links import FileLinks

LINKS_SECRET: Final = "file_links"  # noqa: S105  (the name of a file, not a secret)


class Crms:
    """Made anew where their settings have changed; the others go on as they are."""

    def __init__(
        self,
        settings: Settings,
        site: Callable[[], Site],
        store: Store,
        clock: Clock,
        environ: Mapping[str, str],
    ) -> None:
        self._site = site
        self._clock = clock
        self._environ = environ
        self._built_in = BuiltIn(store)
        self._webhooks: dict[tuple[str, Reached], Crm] = {}
        self._made: tuple[CrmSettings, CrmsNow] | None = None
        secret = keys.secret(settings.state, LINKS_SECRET)
        hide(secret)
        self.links = FileLinks(
            secret, settings.public_url, clock, lambda: timedelta(hours=site().crm.links_last)
        )
        self.feed = CrmFeed(store=store, clock=clock, crms=self.now, holder=settings.ari_app)

    def now(self) -> CrmsNow:
        """Those of the site in force: the same value until it changes."""
        wanted = self._site().crm
        if self._made is None or self._made[0] != wanted:
            self._made = wanted, self._make(wanted)
        return self._made[1]

    def _make(self, wanted: CrmSettings) -> CrmsNow:
        webhooks = {(name, each): each for name, each in wanted.webhooks.items()}
        self._webhooks = {
            key: self._webhooks.get(key)
            or WebhookCrm(key[0], webhook.events, self._post(webhook, webhook.deadline), self.links.link)
            for key, webhook in webhooks.items()
        }
        asked = wanted.contacts
        directory = asked and WebhookDirectory(asked.system, self._post(asked, asked.deadline))
        return CrmsNow((self._built_in, *self._webhooks.values()), directory, wanted.tries)

    def _post(self, to: Reached, deadline_s: float) -> SignedPost:
        for secret in self._environ.get(to.secret_from, "").split():
            hide(secret)
        address = Address(url=to.url, network=to.network, secret_from=to.secret_from, deadline_s=deadline_s)
        return SignedPost(address, self._environ, self._clock.now)
