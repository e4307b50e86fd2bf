"""Whether our numbers are ours: the provider is asked for each, and what is in doubt is said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from ivr_engine.domain import number_verification as verification
from ivr_engine.domain.events import SmsNumberLost, SmsNumberVerified
from ivr_engine.domain.number_verification import NumberState
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
    """A number that the site uses and that is not verified. ``queues`` do without it; none: it is the number
    of all, which is used all the same."""

    number: str
    queues: tuple[str, ...]
    why: str
    remedy: str


def in_doubt(tx: Tx, site: Site) -> list[InDoubt]:
    """What staff have to see to, in the order of the site."""
    known = {state.number: state for state in tx.sms_numbers.all(site.sms.provider)}
    found: list[InDoubt] = []
    for number in dict.fromkeys((*site.sms_numbers, site.sms.sender)):
        state = known.get(number) or NumberState(number=number, provider=site.sms.provider)
        queues = queues_with(site, number)
        asked_in_vain = number == site.sms.sender and state.trouble is not None
        if state.verified is None and (queues or asked_in_vain):
            found.append(
                InDoubt(number, queues, state.trouble or "nobody has verified it yet", remedy(number))
            )
    return found


def queues_with(site: Site, number: str) -> tuple[str, ...]:
    """The queues that name it."""
    return tuple(name for name, queue in site.queues.items() if number in queue.sms_numbers)


def remedy(number: str) -> str:
    """How ``number`` is verified."""
    match kind_of(number):
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
        provider: Provider,
        clock: Clock,
        site: Callable[[], Site],
        policy: LookPolicy | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
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
        """Ask the provider for each number of the site. ``ExternalError`` when it did not say of all."""
        site, trouble = self._site(), None
        for number in dict.fromkeys((site.sms.sender, *site.sms_numbers)):
            if kind_of(number) is Kind.ALPHANUMERIC:
                continue
            try:
                own = await self._asked(number)
            except ExternalError as error:
                trouble = error
                if error.retryable:
                    break
                continue
            await self._store.run(lambda tx, number=number, own=own: self._told(tx, number, own))
        await self._say(site)
        if trouble is not None:
            raise trouble

    async def _asked(self, number: str) -> OwnNumber | None:
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await self._provider.own_number(number)
        except TimeoutError:
            raise Unreachable("the adapter did not come back") from None

    def _told(self, tx: Tx, number: str, own: OwnNumber | None) -> None:
        now = self._clock.now()
        before = tx.sms_numbers.get(number, self._provider.name)
        has_it, sends = own is not None, own is not None and own.texts
        after = verification.told(before, has_it=has_it, sends=sends, now=now)
        keep_state(tx, before, after, now)

    async def _say(self, site: Site) -> None:
        """Once, until it changes."""
        doubts = await self._store.run(lambda tx: in_doubt(tx, site))
        for doubt in doubts:
            if doubt not in self._said:
                _log.warning(
                    "sms.number_not_verified",
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
