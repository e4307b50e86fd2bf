"""A contact centre whose conversations are told to CRMs in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ivr_engine.crm.built_in import BuiltIn
from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.crm import Kind, Posting
from ivr_engine.domain.events import MediaKept, MessageQueued
from ivr_engine.domain.messages import Media, MediaStatus, Purpose, outbound
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Ticket, comment_from, file_from
from ivr_engine.messaging.crm_feed import CrmFeed, CrmsNow
from ivr_engine.messaging.crm_lane import CrmPolicy
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import ContactDirectory, Crm, InboundSms, Tx
from ivr_engine.sim.crm import SimCrm
from ivr_engine.sim.life import Life, MortalStore
from ivr_engine.sim.people import Caller, answers
from ivr_engine.site.models import Site
from tests.flow.centre import MOBILE, Centre, Engine, contact_centre

SENDER = "+4930123456"
QUICK = CrmPolicy(poll_s=0.2, retry_first_s=0.5, forget_after_s=1.0)


@dataclass
class Feed:
    """One engine's feed, which may be killed."""

    store: MortalStore
    task: asyncio.Task[None]
    life: Life

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@dataclass
class Desk:
    """Anna is signed in; ``crm`` is told everything."""

    centre: Centre
    engine: Engine
    crm: SimCrm
    crms: CrmsNow
    feeds: list[Feed] = field(default_factory=list[Feed])

    def feed(self, holder: str = "ivr-1", last_step: int | None = None, policy: CrmPolicy = QUICK) -> Feed:
        life = Life(last_step)
        store = MortalStore(self.centre.store, life)
        feed = CrmFeed(
            store=store, clock=self.centre.clock, crms=lambda: self.crms, holder=holder, policy=policy
        )
        made = Feed(store, asyncio.create_task(feed.run(), name=f"feed {holder}"), life)
        self.feeds.append(made)
        return made

    async def connected(self, number: str = "700", caller: str = MOBILE) -> Caller:
        calling = await self.centre.call(number, caller=caller)
        await calling.hears_prompt("agent", within_s=60)
        await asyncio.sleep(0.1)
        return calling

    async def ends(self, caller: Caller) -> None:
        caller.hang_up()
        await asyncio.sleep(1.0)

    async def until_told(self, kind: Kind, times: int = 1, within_s: float = 60.0) -> list[Posting]:
        async def told() -> bool:
            return len(self.crm.told(kind)) >= times

        await self.centre.until(told, f"{times} of {kind}", within_s)
        return self.crm.told(kind)

    async def ticket(self, caller: Caller) -> Ticket:
        row = await self.centre.row(caller)
        assert row.ticket_id is not None
        ticket_id = row.ticket_id
        return await self.centre.store.run(lambda tx: tx.tickets.get(ticket_id))

    async def contacts(self) -> list[Contact]:
        return await self.centre.store.run(lambda tx: tx.contacts.search())

    async def knows(self, *names: str, number: str = MOBILE) -> list[Contact]:
        """There are contacts of these names, with that number."""
        now = self.centre.clock.now() - timedelta(days=1)
        made = [
            Contact(id=f"c-{name}", name=name, numbers=(number,), created_at=now, updated_at=now)
            for name in names
        ]

        def write(tx: Tx) -> None:
            for each in made:
                tx.contacts.add(each)

        await self.centre.store.run(write)
        return made

    # ── texts ────────────────────────────────────────────────────────────────────────────────────

    async def sent(
        self, caller: Caller, text: str, purpose: Purpose = Purpose.WAIT_TIME_SMS, id: str = "out-1"
    ) -> None:
        """A text to the caller is in the outbox."""
        row = await self.centre.row(caller)
        now = self.centre.clock.now()
        message = outbound(
            id=id,
            sender=SENDER,
            recipient=MOBILE,
            text=text,
            provider="simulator",
            purpose=purpose,
            call_id=row.id,
            now=now,
        )
        message = replace(message, ticket_id=row.ticket_id)

        def write(tx: Tx) -> None:
            tx.messages.add(message)
            tx.events.add(now, row.id, MessageQueued(message.id))
            if message.ticket_id is not None:
                comment = comment_from(message)
                by = "anna" if purpose is Purpose.IN_CALL_SMS else comment.author
                tx.tickets.comment(message.ticket_id, replace(comment, author=by))

        await self.centre.store.run(write)

    async def writes(self, text: str, id: str = "in-1", pictures: int = 0, site: Site | None = None) -> None:
        """The caller does, and pictures are stored a moment later."""
        now = self.centre.clock.now()
        sms = InboundSms(
            provider_id=id,
            sender=MOBILE,
            recipient=SENDER,
            text=text,
            media=tuple((f"https://provider/{id}/{n}", "image/png") for n in range(pictures)),
        )
        rules = InboundRules(provider="simulator", country="DE", site=site)

        def write(tx: Tx) -> None:
            message = received(tx, sms, rules, now)
            assert message is not None
            kept = tuple(_stored(media) for media in message.media)
            current = replace(tx.messages.get(message.id), media=kept)
            tx.messages.save(current)
            for media in kept:
                file = file_from(media, now)
                if file is not None and current.ticket_id is not None:
                    tx.tickets.attach(current.ticket_id, file)
                tx.events.add(now, current.call_id, MediaKept(message.id, media.id))

        await self.centre.store.run(write)


def _stored(media: Media) -> Media:
    return replace(media, status=MediaStatus.STORED, file=f"{media.id}.png", size=8, content_type="image/png")


@asynccontextmanager
async def desk(
    *more: Crm, directory: ContactDirectory | None = None, feed: bool = True, **changes: Any
) -> AsyncGenerator[Desk]:
    """Feeds end with the test."""
    async with contact_centre(**changes) as centre:
        engine = centre.engine()
        centre.phone("anna", *(answers(1.0) for _ in range(50)))
        await engine.desk.sign_in("anna")
        crm = SimCrm()
        it = Desk(centre, engine, crm, CrmsNow((BuiltIn(centre.store), crm, *more), directory))
        if feed:
            it.feed()
            await asyncio.sleep(1.0)
        try:
            yield it
        finally:
            for each in it.feeds:
                await each.end()
