"""Whether our numbers are ours: the provider is asked for each, and what is in doubt is said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog

from ivr_engine.domain import number_verification as verification
from ivr_engine.domain.events import SmsNumberLost, SmsNumberVerified
from ivr_engine.domain.number_verification import NO_MEDIA, NumberState
from ivr_engine.domain.numbers import masked
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, OwnNumber, Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.sms_numbers import UNLISTED

_log = structlog.get_logger()

_PROVIDER_AT_MOST_S: Final = 45.0
"""Above every deadline an adapter has of its own."""


class Provider(Protocol):
    """The part of ``SmsProvider`` that is of use here."""

    @property
    def name(self) -> str: ...
    async def own_number(self, number: str) -> OwnNumber | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPolicy:
    """Seconds between two looks into the provider's list; ``retry_s`` when it did not answer, twice as long
    each time."""

    every_s: float = 3600.0
    retry_s: float = 15.0


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A number that the site uses and that is not verified, or cannot do what the site says. ``queues`` do
    without it; none: it is the number of all, or the second provider's, which is used all the same."""

    number: str
    queues: tuple[str, ...]
    why: str
    remedy: str


def used(site: Site) -> list[tuple[str, str]]:
    """Each provider with each number that texts leave from there."""
    ours = list(dict.fromkeys((site.sms.sender, *site.sms_numbers)))
    second = site.sending.second_provider
    numbers = [(site.sms.provider, number) for number in ours]
    if second is not None:
        numbers += [(second.provider, number) for number in ([second.sender] if second.sender else ours)]
    return numbers


def states(tx: Tx, site: Site) -> list[NumberState]:
    """What is known of all that are ``used``, in that order."""
    known = {
        (state.provider, state.number): state
        for provider in dict.fromkeys(provider for provider, _ in used(site))
        for state in tx.sms_numbers.all(provider)
    }
    return [known.get(one) or NumberState(provider=one[0], number=one[1]) for one in used(site)]


def in_doubt(tx: Tx, site: Site) -> list[InDoubt]:
    """What staff have to see to, in the order of the site."""
    return [doubt for state in states(tx, site) if (doubt := _doubt(site, state)) is not None]


def _doubt(site: Site, state: NumberState) -> InDoubt | None:
    number, first = state.number, state.provider == site.sms.provider
    if state.verified is not None:
        remedy_of_that = "take 'media' out of them, or have the provider allow it"
        return InDoubt(number, (), NO_MEDIA, remedy_of_that) if state.trouble == NO_MEDIA else None
    queues = queues_with(site, number) if first else ()
    used_all_the_same = not first or number == site.sms.sender
    if not queues and not (used_all_the_same and state.trouble):
        return None
    why = state.trouble or "nobody has verified it yet"
    return InDoubt(number, queues, why if first else f"at {state.provider}: {why}", remedy(state, site))


def queues_with(site: Site, number: str) -> tuple[str, ...]:
    """The queues that name it."""
    return tuple(name for name, queue in site.queues.items() if number in queue.sms_numbers)


def remedy(state: NumberState, site: Site) -> str:
    """How that number is verified."""
    if state.provider != site.sms.provider:
        return f"add it to the account at {state.provider}, then: ivr-engine sms-numbers look"
    match kind_of(state.number):
        case Kind.ALPHANUMERIC:
            return "say that it is yours: ivr-engine sms-numbers declare"
        case Kind.SHORT_CODE:
            return "add it to the provider's account, then: ivr-engine sms-numbers look"
        case _:
            return "add it to the provider's account, or verify it by a code: ivr-engine sms-numbers verify"


class OwnNumbers:
    """Hold ``run`` in the root task group."""

    def __init__(
        self,
        *,
        store: Store,
        providers: Sequence[Provider],
        clock: Clock,
        site: Callable[[], Site],
        policy: LookPolicy | None = None,
    ) -> None:
        self._store = store
        self._providers = {provider.name: provider for provider in providers}
        self._clock = clock
        self._site = site
        self._policy = policy or LookPolicy()
        self._woken = asyncio.Event()
        self._trouble = Trouble("sms.numbers_not_asked", "sms.numbers_asked_again")
        self._said: list[InDoubt] = []

    def wake(self) -> None:
        """The site has changed: there may be new numbers."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled: at the start, after a change of the site, and now and then."""
        retry_s = self._policy.retry_s
        while True:
            self._woken.clear()
            try:
                await self.look()
            except ExternalError as error:
                self._trouble.met(error, meaning="numbers not verified yet are not used")
                pause, retry_s = retry_s, min(2 * retry_s, self._policy.every_s)
            else:
                self._trouble.over()
                pause, retry_s = self._policy.every_s, self._policy.retry_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def look(self) -> None:
        """Ask each provider for each number that it sends from. ``ExternalError`` when one did not say of
        all."""
        site, trouble, silent = self._site(), None, set[str]()
        for name, number in used(site):
            provider = self._providers.get(name)
            if provider is None or name in silent or kind_of(number) is Kind.ALPHANUMERIC:
                continue
            try:
                own = await self._asked(provider, number)
            except ExternalError as error:
                trouble = error
                if error.retryable:
                    silent.add(name)
                continue
            await self._store.run(partial(self._told, site, name, number, own))
        await self._say(site)
        if trouble is not None:
            raise trouble

    async def _asked(self, provider: Provider, number: str) -> OwnNumber | None:
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await provider.own_number(number)
        except TimeoutError:
            raise Unreachable("the adapter did not come back") from None

    def _told(self, site: Site, provider: str, number: str, own: OwnNumber | None, tx: Tx) -> None:
        now = self._clock.now()
        before = tx.sms_numbers.get(number, provider)
        media = "media" in site.sms_numbers.get(number, UNLISTED).capabilities
        after = verification.told(
            before,
            has_it=own is not None,
            sends=own is not None and own.texts,
            lacks_media=media and own is not None and not own.media,
            now=now,
        )
        keep_state(tx, before, after, now)

    async def _say(self, site: Site) -> None:
        """Once, until it changes."""
        doubts = await self._store.run(lambda tx: in_doubt(tx, site))
        for doubt in doubts:
            if doubt not in self._said:
                _log.warning(
                    "sms.number_in_doubt",
                    number=masked(doubt.number),
                    label=site.sms_numbers.get(doubt.number, UNLISTED).label,
                    queues=", ".join(doubt.queues) or "all",
                    why=doubt.why,
                    remedy=doubt.remedy,
                )
        self._said = doubts


def keep_state(tx: Tx, before: NumberState, after: NumberState, now: datetime) -> NumberState:
    """Write ``after`` if it differs, and an event if it is verified now, or no longer."""
    if after == before:
        return before
    tx.sms_numbers.save(after)
    if after.verified is not None and after.verified != before.verified:
        tx.events.add(now, None, SmsNumberVerified(after.number, after.verified.how, after.verified.by))
    if after.verified is None and before.verified is not None:
        tx.events.add(now, None, SmsNumberLost(after.number, after.trouble or ""))
    return after
