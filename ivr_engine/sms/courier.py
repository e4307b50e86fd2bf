"""What the simulator tells the engine, in the background: status callbacks and texts from phones.

As real providers do: signed, a few seconds' patience, one retry, then silence. Requests under way at one
time are bounded; what waits longer (a fault told it to) waits in a task that the courier holds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec
import structlog

from ivr_engine.errors import in_words
from ivr_engine.sms.faults import Fault
from ivr_engine.sms.ledger import FINAL_STATUSES, Entry, Ledger
from ivr_engine.sms.on_thread import OnThread
from ivr_engine.sms.signing import SIGNATURE_HEADER, signature

_log = structlog.get_logger()

WEBHOOK_CONNECT_S: Final = 5.0
"""To connect to the engine; what Twilio allows."""

WEBHOOK_ANSWER_S: Final = 15.0
"""For the engine's whole answer; what Twilio allows."""

MAX_UNDER_WAY: Final = 32
"""Webhook requests at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds: acceptance to ``sent``, ``sent`` to ``delivered``, and before the one retry of a webhook.
    The first two vary by a quarter."""

    sent_after_s: float = 0.05
    delivered_after_s: float = 0.1
    retry_after_s: float = 1.0


class Courier:
    """``engine_url``: the engine's public address; ``own_url``: where the engine fetches media."""

    def __init__(
        self, *, secret: str, engine_url: str, own_url: str, pace: Pace, ledger: OnThread[Ledger]
    ) -> None:
        self._secret = secret
        self._inbound_url = f"{engine_url.rstrip('/')}/webhooks/sms/simulator/inbound"
        self._own_url = own_url
        self._pace = pace
        self._ledger = ledger
        self._errands: asyncio.Queue[Coroutine[None, None, None]] = asyncio.Queue()
        self._under_way = asyncio.Semaphore(MAX_UNDER_WAY)
        self._random = random.Random(0)  # noqa: S311 - spreads delays, guards nothing

    async def run(self) -> None:
        """Carry out errands until cancelled; first those that a killed simulator left undone."""
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_ANSWER_S, connect=WEBHOOK_CONNECT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            try:
                async with asyncio.TaskGroup() as errands:
                    for entry in await self._ledger.run(lambda ledger: ledger.unfinished()):
                        errands.create_task(self._deliver(entry, None))
                    while True:
                        errands.create_task(await self._errands.get())
            finally:
                while not self._errands.empty():
                    self._errands.get_nowait().close()

    def deliver(self, entry: Entry, fault: Fault | None) -> None:
        """Bring an accepted message to its phone, reporting each step."""
        self._errands.put_nowait(self._deliver(entry, fault))

    def bring_answer(self, entry: Entry, fault: Fault | None) -> None:
        """Tell the engine of a text from a phone."""
        self._errands.put_nowait(self._bring_answer(entry, fault))

    async def deliver_now(self, entry: Entry) -> None:
        """All steps without a pause: callbacks that overtake the answer to the request."""
        await self._report(entry, "sent", None)
        await self._report(entry, "delivered", None)

    async def _deliver(self, entry: Entry, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        last, code = ("undelivered", fault.code) if fault and kind == "undelivered" else ("delivered", None)
        if kind == "late" and fault:
            await asyncio.sleep(fault.hold_s)
        if kind == "missing":
            await self._set_status(entry, last, code)
            return
        steps = [("sent", None), (last, code)]
        copies = fault.copies if fault and kind == "duplicate" else 1
        for (status, error), pause in zip(
            reversed(steps) if kind == "reversed" else steps,
            (self._pace.sent_after_s, self._pace.delivered_after_s),
            strict=True,
        ):
            await asyncio.sleep(pause * self._random.uniform(0.75, 1.25))
            await self._report(entry, status, error, copies=copies)

    async def _report(self, entry: Entry, status: str, code: str | None, *, copies: int = 1) -> None:
        await self._set_status(entry, status, code)
        if entry.status_url is None:
            return
        told = {
            "id": entry.id,
            "status": status,
            "error_code": code,
            "to": entry.recipient,
            "from": entry.sender,
        }
        await self._tell(entry.status_url, told, copies)

    async def _set_status(self, entry: Entry, status: str, code: str | None) -> None:
        def write(ledger: Ledger) -> None:
            if ledger.get(entry.id).status not in FINAL_STATUSES:
                ledger.set_status(entry.id, status, code)

        await self._ledger.run(write)

    async def _bring_answer(self, entry: Entry, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if kind == "missing":
            return
        if kind == "late" and fault:
            await asyncio.sleep(fault.hold_s)
        copies = fault.copies if fault and kind == "duplicate" else 1
        await self._tell(self._inbound_url, as_told(entry, self._own_url), copies)

    async def _tell(self, url: str, told: Mapping[str, object], copies: int) -> None:
        body = msgspec.json.encode(told)
        if copies == 1:
            await self._post(url, body)
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(copies):
                group.create_task(self._post(url, body))

    async def _post(self, url: str, body: bytes) -> None:
        for again in (True, False):
            problem = await self._post_once(url, body)
            if problem is None:
                return
            _log.info("simulator.webhook_failed", why=problem, will_retry=again)
            if again:
                await asyncio.sleep(self._pace.retry_after_s)

    async def _post_once(self, url: str, body: bytes) -> str | None:
        headers = {
            SIGNATURE_HEADER: signature(self._secret, url, body),
            "Content-Type": "application/json",
        }
        try:
            async with (
                self._under_way,
                self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return None if answer.status < 500 else f"answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return in_words(error)


def as_told(entry: Entry, own_url: str) -> dict[str, object]:
    """A text from a phone as webhooks and lists show it."""
    return {
        "id": entry.id,
        "from": entry.sender,
        "to": entry.recipient,
        "text": entry.text,
        "media": [
            {"url": f"{own_url}/v1/media/{media_id}", "content_type": kind} for media_id, kind in entry.media
        ],
    }
