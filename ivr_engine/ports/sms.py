"""A company that carries text messages, and the caller's phone at the simulated one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ivr_engine.domain.messages import Media, Message, MessageStatus
from ivr_engine.domain.opt_out import Command


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the message under ``provider_id``.

    Where it could not deliver it (``undelivered``, ``failed``): ``error_code`` says why, and
    ``retry_after_s`` when another try may do better; ``None``: none will.
    """

    provider_id: str
    status: MessageStatus = MessageStatus.ACCEPTED
    error_code: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The provider certainly did not take the message. ``retry_after_s`` is ``None``: never retry.
    ``this_one_only``: the reason is the recipient's; other messages need not wait."""

    code: str
    reason: str
    retry_after_s: float | None = None
    this_one_only: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """The provider may or may not have taken it. ``processing_over``: it answered (5xx) or the
    connection broke, so its list now tells; false after a time-out, when it may still be at work."""

    reason: str
    processing_over: bool


SendResult = Accepted | NotTaken | Unclear


@dataclass(frozen=True, slots=True)
class NotListed:
    """The provider's list answered and does not hold the message."""


FindResult = Accepted | NotListed | Unclear


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook as received. ``url`` is the *configured* public URL plus path and query."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class InboundSms:
    """A text from a phone. ``media``: (url, content type) pairs. ``told``: what it says about messages, where
    the provider has understood and answered it already."""

    provider_id: str
    sender: str
    recipient: str
    text: str
    media: tuple[tuple[str, str], ...] = ()
    told: Command | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What became of a message of ours. ``message_id`` is ours, from the callback's URL, if there;
    ``error_code`` and ``retry_after_s`` as in ``Accepted``."""

    provider_id: str
    status: MessageStatus
    message_id: str | None = None
    error_code: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """What the provider carries from a number of ours."""

    texts: bool
    media: bool


class SmsProvider(Protocol):
    """A company (or a simulator) that carries text messages."""

    @property
    def name(self) -> str: ...

    async def send(self, message: Message, status_url: str) -> SendResult:
        """One request. Never raises for what the provider or the network does."""
        ...

    async def find(self, message: Message) -> FindResult:
        """Look our outbound ``message`` up in the provider's own list."""
        ...

    async def received_since(self, since: datetime) -> Sequence[InboundSms]:
        """Inbound messages the provider holds; raises ``ExternalError`` when it cannot say."""
        ...

    async def fetch(self, media: Media) -> tuple[str, bytes]:
        """(content type claimed, content); at most the configured size. Raises ``ExternalError``."""
        ...

    async def own_number(self, number: str) -> OwnNumber | None:
        """What ``number`` can do, if it is among ours there; ``None``: it is not, or it is a name, which no
        list holds. Raises ``ExternalError`` when the provider cannot say."""
        ...

    def read_webhook(self, request: WebhookRequest) -> InboundSms | StatusReport:
        """Check the signature, then parse. Raises ``Refused`` for anything not genuine."""
        ...

    async def close(self) -> None: ...


class Handset(Protocol):
    """The caller's phone in the simulator: read what arrived, answer with text and pictures."""

    async def read(self, number: str) -> Sequence[Mapping[str, object]]: ...

    async def answer(self, number: str, to: str | None, text: str, media: Sequence[tuple[str, bytes]]) -> str:
        """Send from ``number``; ``to`` defaults to whoever wrote last. Returns the provider's id."""
        ...
