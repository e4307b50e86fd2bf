"""The companies that carry the messages: the first, and a second for when the first takes nothing.

A message changes over only while it is ``queued``, and that it is only while certainly nobody has it: never
asked, refused for now (``NotTaken``), or not in the list of the one that was asked. One whose request is not
settled stays with whoever was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

import structlog

from ivr_engine.domain.messages import Message
from ivr_engine.messaging.claiming import Route
from ivr_engine.messaging.provider_gate import PROBE_FIRST_S, ProviderGate
from ivr_engine.ports import FindResult, NotTaken, SendResult, SmsProvider, Unclear

_log = structlog.get_logger()

_PROVIDER_AT_MOST_S: Final = 45.0
"""Above every deadline an adapter has of its own: a last guard against one that hangs."""


@dataclass(frozen=True, slots=True)
class Second:
    """``sender``: the number it sends from; ``None``: from the same one as the first."""

    provider: SmsProvider
    sender: str | None = None


@dataclass(slots=True)
class _Carrier:
    provider: SmsProvider
    gate: ProviderGate
    sender: str | None = None
    under_way: int = 0

    def route(self, now: datetime, free: int) -> Route:
        return Route(self.provider.name, self.gate.allowance(now, free, self.under_way), self.sender)


class Carriers:
    """``public_url`` is where they reach this engine. ``dressed``: the message as a provider is given it."""

    def __init__(
        self,
        first: SmsProvider,
        second: Second | None = None,
        *,
        public_url: str,
        dressed: Callable[[Message], Message] | None = None,
        probe_first_s: float = PROBE_FIRST_S,
    ) -> None:
        self._first = _Carrier(first, ProviderGate(first.name, probe_first_s))
        self._second = second and _Carrier(
            second.provider, ProviderGate(second.provider.name, probe_first_s), second.sender
        )
        both = (self._first, self._second) if self._second else (self._first,)
        self._by_name = {carrier.provider.name: carrier for carrier in both}
        self._public_url = public_url.rstrip("/")
        self._dressed = dressed

    @property
    def down(self) -> bool:
        """The first one takes nothing."""
        return self._first.gate.down

    @property
    def under_way(self) -> int:
        return sum(carrier.under_way for carrier in self._by_name.values())

    def begin_anew(self) -> None:
        """Nothing is under way any more."""
        for carrier in self._by_name.values():
            carrier.under_way = 0

    def routes(self, now: datetime, free: int) -> list[Route]:
        """Who may be given how many messages now, of ``free`` places."""
        routes = [self._first.route(now, free)]
        if self._second is not None and self._first.gate.stands_still(now):
            routes.append(self._second.route(now, free - routes[0].places))
        return routes

    def begins(self, message: Message) -> None:
        """It was claimed for its provider and takes a place there until it ``ended``."""
        self._by_name[message.provider].under_way += 1

    def ended(self, message: Message) -> None:
        self._by_name[message.provider].under_way -= 1

    def saw(self, message: Message, result: SendResult, now: datetime) -> None:
        self._by_name[message.provider].gate.saw(result, now)

    def goes_elsewhere(self, message: Message, result: SendResult, now: datetime) -> bool:
        """The second one may be asked at once: nobody waits out the first one's trouble, least of all the
        message that tries each time whether the first is back."""
        tried_first = message.provider == self._first.provider.name
        if self._second is None or not tried_first or not self._first.gate.stands_still(now):
            return False
        return isinstance(result, NotTaken) and result.retry_after_s is not None and not result.this_one_only

    async def send(self, message: Message) -> SendResult:
        provider = self._by_name[message.provider].provider
        dressed = self._dressed(message) if self._dressed and message.media else message
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await provider.send(dressed, self._status_url(message))
        except TimeoutError:
            return Unclear("the adapter did not come back", processing_over=False)
        except Exception:
            # A fault of the adapter's own: the request may have left. Not repeated blindly.
            _log.exception("sms.adapter_bug", message=message.id)
            return Unclear("a fault in the adapter", processing_over=False)

    async def find(self, message: Message) -> FindResult:
        """Only the list of the one that was asked says anything about it."""
        carrier = self._by_name.get(message.provider)
        if carrier is None:
            return Unclear(f"it went by {message.provider}", processing_over=False)
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                return await carrier.provider.find(message)
        except TimeoutError:
            return Unclear("the adapter did not come back", processing_over=False)
        except Exception:
            _log.exception("sms.adapter_bug", message=message.id)
            return Unclear("a fault in the adapter", processing_over=False)

    def _status_url(self, message: Message) -> str:
        return f"{self._public_url}/webhooks/sms/{message.provider}/status?message={quote(message.id)}"
