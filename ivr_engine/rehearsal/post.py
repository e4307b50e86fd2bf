"""The SMS company of a rehearsal: reports what became of each text, and brings what phones write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ivr_engine.messaging.inbound import InboundRules, received, status_reported
from ivr_engine.ports import Clock, InboundSms, StatusReport, Store, WebhookRequest
from ivr_engine.sim.sms import Entry, SimSms

URL: Final = "http://engine.sim"
"""What the engine believes it is reached by."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: from taking a text to each further report, and from a phone to the engine."""

    step_s: float = 0.5
    inbound_s: float = 0.3


class PostOffice:
    """Hold ``run``. ``stored``: a text from a phone is in the store. ``delivered`` is told of each text that
    came to a phone."""

    def __init__(
        self,
        *,
        company: SimSms,
        store: Store,
        clock: Clock,
        rules: Callable[[], InboundRules],
        stored: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        self._company = company
        self._store = store
        self._clock = clock
        self._rules = rules
        self._stored = stored
        self._pace = pace or Pace()
        self.delivered: Callable[[Entry], None] | None = None
        self._taken: asyncio.Queue[Entry] = asyncio.Queue()
        company.taken = self._taken.put_nowait

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._report(await self._taken.get()))

    async def write(self, number: str, to: str, text: str, media: Sequence[tuple[str, bytes]] = ()) -> None:
        """A phone writes; returns when the engine has it."""
        request = self._company.text_from(number, to, text, f"{URL}/inbound", media)
        await asyncio.sleep(self._pace.inbound_s)
        await self._bring(request)

    def read(self, number: str) -> list[Entry]:
        """What arrived at that phone, oldest first."""
        return [entry for entry in self._company.ledger if entry.message.recipient == number]

    async def _report(self, entry: Entry) -> None:
        for request in self._company.reports(entry):
            await asyncio.sleep(self._pace.step_s)
            await self._bring(request)
        if self.delivered is not None:
            self.delivered(entry)

    async def _bring(self, request: WebhookRequest) -> None:
        told = self._company.read_webhook(request)
        now = self._clock.now()
        if isinstance(told, StatusReport):
            await self._store.run(partial(status_reported, report=told, provider=self._company.name, now=now))
        else:
            await self._take_in(told)

    async def _take_in(self, sms: InboundSms) -> None:
        await self._store.run(partial(received, sms=sms, rules=self._rules(), now=self._clock.now()))
        self._stored()
