"""``ports.SmsProvider`` in memory: a ledger, faults on request, and the webhooks a company would send."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ivr_engine.domain.messages import Media, Message, MessageStatus
from ivr_engine.errors import Gone, Refused
from ivr_engine.ports import (
    Accepted,
    Clock,
    FindResult,
    InboundSms,
    NotListed,
    NotTaken,
    OwnNumber,
    SendResult,
    StatusReport,
    Unclear,
    WebhookRequest,
)

SIGNATURE: Final = "X-Sim-Signature"


class Fault(StrEnum):
    """What goes wrong with one request."""

    REFUSED = "refused"
    """Certainly not taken, and never will be."""
    BUSY = "busy"
    """Certainly not taken; to be tried again."""
    BROKEN = "broken"
    """Answered with an error, not taken."""
    ANSWER_LOST = "answer_lost"
    """Taken, but the connection broke before the answer."""
    SILENT = "silent"
    """No answer in time; taken all the same."""


@dataclass(slots=True)
class Entry:
    """One line of the ledger: a message the provider has taken, with every status it will report."""

    message: Message
    provider_id: str
    status_url: str
    reports: list[MessageStatus] = field(
        default_factory=lambda: [MessageStatus.SENT, MessageStatus.DELIVERED]
    )


class SimSms:
    """``faults`` are used up one a request. Webhooks are made by ``reports`` and ``text_from``; whoever runs
    the simulation brings them to the engine, in any order and as often as wanted."""

    def __init__(self, clock: Clock, *, name: str = "simulator", secret: str = "sim") -> None:  # noqa: S107
        self.ledger: list[Entry] = []
        self.faults: deque[Fault] = deque()
        self.files: dict[str, tuple[str, bytes]] = {}
        """Content type and content by URL."""
        self.strangers: set[str] = set()
        """Numbers that are not ours; every other one is."""
        self.taken: Callable[[Entry], None] | None = None
        """Told of each message taken."""
        self._clock = clock
        self._name = name
        self._secret = secret
        self._numbers = itertools.count(1)
        self._received: list[tuple[datetime, InboundSms]] = []

    @property
    def name(self) -> str:
        return self._name

    async def send(self, message: Message, status_url: str) -> SendResult:
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.REFUSED:
            return NotTaken("21211", "not a number")
        if fault is Fault.BUSY:
            return NotTaken("20429", "too many requests", retry_after_s=1.0)
        if fault is Fault.BROKEN:
            return Unclear("500", processing_over=True)
        entry = Entry(message, f"out-{next(self._numbers)}", status_url)
        self.ledger.append(entry)
        if self.taken is not None:
            self.taken(entry)
        if fault is Fault.ANSWER_LOST:
            return Unclear("connection broke", processing_over=True)
        if fault is Fault.SILENT:
            return Unclear("no answer", processing_over=False)
        return Accepted(entry.provider_id)

    async def find(self, message: Message) -> FindResult:
        found = [entry for entry in self.ledger if entry.message.id == message.id]
        return Accepted(found[0].provider_id) if found else NotListed()

    async def received_since(self, since: datetime) -> Sequence[InboundSms]:
        return [sms for at, sms in self._received if at >= since]

    async def own_number(self, number: str) -> OwnNumber | None:
        return None if number in self.strangers else OwnNumber(texts=True, media=True)

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        if media.url not in self.files:
            raise Gone(f"no file at {media.url}")
        return self.files[media.url]

    def read_webhook(self, request: WebhookRequest) -> InboundSms | StatusReport:
        if request.headers.get(SIGNATURE) != self._secret:
            raise Refused("the signature is wrong")
        data = json.loads(request.body)
        if data["kind"] == "status":
            return StatusReport(data["id"], MessageStatus(data["status"]), data["message_id"])
        media = tuple((str(url), str(kind)) for url, kind in data["media"])
        return InboundSms(data["id"], data["sender"], data["recipient"], data["text"], media)

    async def close(self) -> None:
        """Nothing is open."""

    # ── what the company sends ───────────────────────────────────────────────────────────────────

    def reports(self, entry: Entry) -> Iterator[WebhookRequest]:
        """The status callbacks of a message taken, in order."""
        for status in entry.reports:
            report = {"kind": "status", "id": entry.provider_id, "status": status}
            yield self._webhook(entry.status_url, report | {"message_id": entry.message.id})

    def text_from(
        self, number: str, to: str, text: str, url: str, media: Sequence[tuple[str, bytes]] = ()
    ) -> WebhookRequest:
        """A phone writes; ``media``: (content type, content). Kept for ``received_since`` as well."""
        provider_id = f"in-{next(self._numbers)}"
        links = [(f"sim://media/{provider_id}/{n}", kind) for n, (kind, _) in enumerate(media)]
        for (link, _), file in zip(links, media, strict=True):
            self.files[link] = file
        sms = InboundSms(provider_id, number, to, text, tuple(links))
        self._received.append((self._clock.now(), sms))
        data = {"kind": "inbound", "id": provider_id, "sender": number, "recipient": to, "text": text}
        return self._webhook(url, data | {"media": links})

    def _webhook(self, url: str, data: Mapping[str, object]) -> WebhookRequest:
        return WebhookRequest(url, {SIGNATURE: self._secret}, json.dumps(data).encode())
