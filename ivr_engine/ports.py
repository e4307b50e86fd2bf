"""What the core needs from the world, as Protocols. Adapters fulfil them; ``bootstrap`` chooses.

Every verb that waits for something outside has its own deadline and ends in a result or in one of the
errors of ``errors``; none hangs for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord
from ivr_engine.domain.events import Event, Happening
from ivr_engine.domain.messages import Media, Message, MessageStatus
from ivr_engine.domain.tickets import Comment, Ticket, TicketFile

T = TypeVar("T")


class Clock(Protocol):
    """Time as a fact (UTC). Waiting is ``asyncio.sleep`` and ``asyncio.timeout``, monotonic."""

    def now(self) -> datetime: ...


# ── telephony ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: ``media`` as the telephone system names it, ``seconds`` its length."""

    name: str
    media: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything was played."""


@dataclass(frozen=True, slots=True)
class Digit:
    """The first key the caller pressed: ``0``-``9``, ``*``, ``#``."""

    key: str


@dataclass(frozen=True, slots=True)
class Timeout:
    """Nothing was pressed in time."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The prompt could not be played (missing file, no answer from the telephone system)."""

    why: str


PlayResult = Finished | Failed
GatherResult = Digit | Timeout | Failed


class DialResult(StrEnum):
    """How ringing an agent's phone ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"


class Leg(Protocol):
    """One party's connection. Every verb raises ``CallEnded`` once the leg is gone.

    Cancelling a verb means the engine is stopping: nothing is touched in the telephone system.
    """

    @property
    def id(self) -> str:
        """The channel id."""
        ...

    async def answer(self) -> None:
        """Answer if not answered yet."""
        ...

    async def play(self, prompts: Sequence[Prompt]) -> PlayResult:
        """Play to the end. Keys pressed meanwhile are ignored."""
        ...

    async def gather(self, prompts: Sequence[Prompt], *, window_s: float) -> GatherResult:
        """Play ``prompts`` and return the first key pressed since they began; a key stops them.

        Without a key: ``Timeout`` when ``window_s`` seconds have passed since the end of the prompts.
        Keys pressed before this call are forgotten.
        """
        ...

    async def stop_playing(self) -> None:
        """Stop whatever prompt is being played now, also one that an engine before this one began; fine
        when there is none."""
        ...

    async def until(self, awaitable: Awaitable[T]) -> T:
        """Await something else; if the leg ends first, cancel that and raise ``CallEnded``."""
        ...

    async def rung(self, within_s: float) -> DialResult:
        """For a leg made by ``Telephony.dial``: how the ringing ended. Never raises ``CallEnded``:
        an end before the answer *is* the result. After ``within_s`` seconds: ``NO_ANSWER``."""
        ...

    async def hang_up(self) -> None:
        """End the leg. Succeeds when it is gone already; never raises ``CallEnded``."""
        ...

    async def give_to_fallback(self) -> None:
        """Send the caller on in the dialplan, to the fallback: they hear a sentence and music."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A call that was offered and that this engine won, or found in its hands after a restart."""

    leg: Leg
    caller: str
    """As signalled, not validated."""
    number: str
    """The number dialled."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the telephone system holds right now.

    ``mine``: channel ids in this engine's application; ``all``: every channel id there is;
    ``bridges``: members by bridge id.
    """

    mine: frozenset[str]
    all: frozenset[str]
    bridges: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """A SIP account for an agent's phone."""

    name: str
    password: str


class Telephony(Protocol):
    """The telephone system as one engine sees it."""

    @property
    def name(self) -> str:
        """The application name of this engine; the ``engine`` column of its calls."""
        ...

    @property
    def connected(self) -> bool:
        """The application socket is active: events arrive and calls can be taken."""
        ...

    def arrivals(self) -> AsyncIterator[Arrival]:
        """New calls, each already claimed by this engine."""
        ...

    def connections(self) -> AsyncIterator[Snapshot]:
        """One item each time the connection (again) stands, before any later event is delivered for
        a leg not adopted yet. The consumer reconciles, then asks for the next."""
        ...

    async def snapshot(self) -> Snapshot:
        """What the telephone system holds right now; ``ExternalError`` when it cannot say."""
        ...

    async def adopt(self, channel_id: str) -> Leg:
        """The leg of a channel that was in our hands before; raises ``Gone`` if it is not there."""
        ...

    async def stray(self, channel_id: str) -> Arrival | None:
        """An inbound channel in our application that no stored call knows: as if it arrived now.
        ``None`` when it is gone or was not inbound."""
        ...

    async def park(self, leg: Leg, music: str) -> None:
        """Put the leg where music of class ``music`` plays by itself, also without an engine."""
        ...

    async def dial(self, phone: str, *, leg_id: str, caller: str | None, timeout_s: float) -> Leg:
        """Start ringing the phone account ``phone``; ``leg_id`` is the id the new leg gets.

        The telephone system itself stops ringing after ``timeout_s``. Raises ``Rejected`` when the
        phone is not reachable.
        """
        ...

    async def connect(self, bridge_id: str, legs: Sequence[Leg]) -> None:
        """Let ``legs`` hear each other in a bridge of that id (made if missing)."""
        ...

    async def end_bridge(self, bridge_id: str) -> None:
        """Take the bridge away; fine when it is gone."""
        ...

    async def end_leg(self, leg_id: str) -> None:
        """Hang up a leg known by id only; fine when it is gone."""
        ...

    async def put_account(self, account: PhoneAccount) -> None:
        """Make the phone account known, so that the phone can register."""
        ...


# ── SMS ──────────────────────────────────────────────────────────────────────────────────────────


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
    """A text from a phone. ``media``: (url, content type) pairs."""

    provider_id: str
    sender: str
    recipient: str
    text: str
    media: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What became of a message of ours. ``message_id`` is ours, from the callback's URL, if there;
    ``error_code`` and ``retry_after_s`` as in ``Accepted``."""

    provider_id: str
    status: MessageStatus
    message_id: str | None = None
    error_code: str | None = None
    retry_after_s: float | None = None


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


# ── speech ───────────────────────────────────────────────────────────────────────────────────────


class Speech(Protocol):
    """Text to sound, at load only, never during a call. Blocking: run it in a thread."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text would sound different (engine, version, settings)."""
        ...

    def speak(self, text: str, language: str, to: Path) -> None:
        """Write ``text`` spoken in ``language`` (``en``, ``de``) as a WAV file; ``ExternalError``."""
        ...


class Prompts(Protocol):
    """What the site says, rendered."""

    def get(self, language: str, name: str) -> Prompt:
        """Raises ``KeyError``: ``check`` and loading have made sure that it is there."""
        ...

    def wording(self, language: str, name: str) -> str:
        """The exact text spoken (for the admin's own audio: its file name)."""
        ...

    def audio_hash(self, language: str, name: str) -> str:
        """A hash of the sound played."""
        ...


# ── the waiting line, as one call sees it ────────────────────────────────────────────────────────


class Seat(Protocol):
    """A caller's chair in the waiting room: through it they are called when an agent is reserved."""

    @property
    def called(self) -> bool:
        """An agent has been reserved: the call's row says who."""
        ...

    def heard(self) -> None:
        """The reservation is known now; the next one is a new one."""
        ...

    def interrupting(self) -> AbstractAsyncContextManager[None]:
        """Its body is left, quietly, the moment an agent is reserved."""
        ...


class Line(Protocol):
    """Matching callers and agents happens elsewhere; a call's coroutine takes a seat and waits."""

    def seat(self, call_id: str) -> AbstractContextManager[Seat]:
        """Only seated callers are offered to agents. Takes the chair held for the call, if one is."""
        ...

    def hold(self, call_id: str) -> None:
        """Keep a chair for a call that is being taken over: its place counts from now on."""
        ...

    def give_up(self, call_id: str) -> None:
        """Nobody comes for the chair held."""
        ...

    def caller_waits(self) -> None:
        """A caller has (again) become one who may be offered."""
        ...

    def agent_changed(self) -> None:
        """An agent may have become free."""
        ...


# ── store ────────────────────────────────────────────────────────────────────────────────────────


class Calls(Protocol):
    def get(self, call_id: str) -> Call:
        """Locked until the transaction ends; ``Refused(missing)`` when there is none."""
        ...

    def open_on(self, channel_id: str) -> Call | None:
        """The open call on that channel."""
        ...

    def knew(self, channel_id: str) -> bool:
        """There is a call on that channel, or was one that ended."""
        ...

    def add(self, call: Call) -> None: ...

    def save(self, call: Call) -> None: ...

    def open(self, *, queue: str | None = None) -> list[Call]:
        """Calls not ended, oldest first."""
        ...

    def ahead(self, call: Call) -> int:
        """How many hold a place before this one in its queue (see ``domain.waiting.line``)."""
        ...

    def search(self, *, caller: str | None = None, open_only: bool = False, limit: int = 100) -> list[Call]:
        """Newest first."""
        ...


class Messages(Protocol):
    def get(self, message_id: str) -> Message: ...

    def by_provider_id(self, provider: str, provider_id: str) -> Message | None: ...

    def add(self, message: Message) -> bool:
        """False when (provider, provider id) is there already: the same webhook again."""
        ...

    def save(self, message: Message) -> None:
        """Its media rows too."""
        ...

    def due(self, now: datetime, statuses: frozenset[MessageStatus], limit: int) -> list[Message]:
        """Outbound messages in one of ``statuses`` whose ``next_attempt_at`` has come, oldest first;
        locked, those another engine has locked left out."""
        ...

    def with_pending_media(self, limit: int) -> list[Message]: ...

    def of_call(self, call_id: str) -> list[Message]:
        """Oldest first."""
        ...

    def last_outbound_to(self, number: str, sender: str) -> Message | None:
        """The newest message sent to ``number`` from ``sender`` that belongs to a call."""
        ...

    def search(
        self, *, number: str | None = None, status: MessageStatus | None = None, limit: int = 100
    ) -> list[Message]:
        """Messages to or from ``number``, newest first."""
        ...


class Agents(Protocol):
    def get(self, name: str) -> Agent | None:
        """Locked until the transaction ends; ``None`` when never seen."""
        ...

    def save(self, agent: Agent) -> None: ...

    def all(self) -> list[Agent]: ...


class Tickets(Protocol):
    def add(self, ticket: Ticket) -> None: ...

    def get(self, ticket_id: str) -> Ticket: ...

    def comment(self, ticket_id: str, comment: Comment) -> None:
        """Nothing happens when one with that ``source_id`` is there."""
        ...

    def attach(self, ticket_id: str, file: TicketFile) -> None:
        """Nothing happens when one with that ``source_id`` is there."""
        ...

    def search(self, *, caller: str | None = None, limit: int = 100) -> list[Ticket]: ...


class Consents(Protocol):
    """The ledger: append-only."""

    def add(self, record: ConsentRecord) -> None: ...

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[ConsentRecord]:
        """Newest first."""
        ...


class Callers(Protocol):
    """What is kept about a phone number from one call to the next."""

    def language(self, number: str) -> str | None:
        """The one chosen in an earlier call."""
        ...

    def keep_language(self, number: str, language: str, at: datetime) -> None: ...


class Engines(Protocol):
    """Signs of life of the engines that share the store."""

    def lives(self, name: str, at: datetime) -> None:
        """The engine with the application ``name`` was alive then."""
        ...

    def last_signs(self) -> dict[str, datetime]:
        """By application name."""
        ...


class Events(Protocol):
    def add(self, at: datetime, call_id: str | None, *happenings: Happening) -> None: ...

    def of_call(self, call_id: str) -> list[Event]:
        """Oldest first."""
        ...

    def after(self, event_id: int, limit: int = 1000) -> list[Event]:
        """Those with a higher id, oldest first."""
        ...

    def newest_id(self) -> int:
        """0 when there is none."""
        ...


class Tx(Protocol):
    """One transaction. What a function does with it happens whole or not at all."""

    @property
    def calls(self) -> Calls: ...
    @property
    def callers(self) -> Callers: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def agents(self) -> Agents: ...
    @property
    def tickets(self) -> Tickets: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def events(self) -> Events: ...
    @property
    def engines(self) -> Engines: ...


class Store(Protocol):
    """The truth. ``run`` may call ``transaction`` more than once, so it only computes and writes."""

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        """Run on the store's own thread and return once it is durable.

        Once started it runs to its end, also when the caller is cancelled. What ``transaction``
        raises is raised here and nothing is written. ``ExternalError`` when the store is not there.
        """
        ...

    async def check(self) -> None:
        """Raise ``ExternalError`` unless a row can be written and read."""
        ...

    async def close(self) -> None: ...
