"""What a transaction can read and write, a Protocol a kind of record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import Event, Happening
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.switches import Switch
from ivr_engine.domain.tickets import Comment, Ticket, TicketFile, Voicemail
from ivr_engine.domain.wait_watch import WaitWatch


class Calls(Protocol):
    def get(self, call_id: str) -> Call:
        """Locked until the transaction ends; ``Refused(missing)`` when there is none."""
        ...

    def look(self, call_id: str) -> Call | None:
        """As it is, not locked: for who only tells of it. ``None`` when there is none."""
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

    def callbacks(self, number: str) -> list[Call]:
        """Who is to be called back at that number, or is being dialled, the longest first; locked."""
        ...

    def in_line(self, queue: str) -> tuple[int, datetime | None]:
        """How many hold a place in that queue, and since when the first of them does."""
        ...

    def search(self, *, caller: str | None = None, open_only: bool = False, limit: int = 100) -> list[Call]:
        """Newest first."""
        ...


class Agents(Protocol):
    def get(self, name: str) -> Agent | None:
        """Locked until the transaction ends; ``None`` when never seen."""
        ...

    def save(self, agent: Agent) -> None: ...

    def all(self) -> list[Agent]: ...

    def presence(self, names: Collection[str]) -> Presence:
        """Of these agents together."""
        ...


@dataclass(frozen=True, slots=True)
class Presence:
    """How many are signed in; and when the last of the others signed out, if one ever was in."""

    signed_in: int
    last_left: datetime | None


class Queues(Protocol):
    """What the engine remembers of queues beside who waits in them."""

    def switches(self) -> dict[str, Switch]:
        """The emergency switches thrown, by queue; ``ALL`` for every queue."""
        ...

    def close(self, switch: Switch) -> None:
        """In place of one thrown before."""
        ...

    def open(self, queue: str) -> bool:
        """False when it was not closed."""
        ...

    def turns(self) -> dict[str, str]:
        """Who was offered the last call of each queue."""
        ...

    def keep_turn(self, queue: str, agent: str) -> None: ...


class Tickets(Protocol):
    def add(self, ticket: Ticket) -> None: ...

    def get(self, ticket_id: str) -> Ticket: ...

    def comment(self, ticket_id: str, comment: Comment) -> None:
        """Nothing happens when one with that ``source_id`` is there."""
        ...

    def attach(self, ticket_id: str, file: TicketFile) -> None:
        """Nothing happens when one with that ``source_id`` is there."""
        ...

    def detach(self, ticket_id: str, source_id: str) -> None:
        """Take a file away; nothing happens when there is none with that ``source_id``."""
        ...

    def belongs_to(self, ticket_id: str, contact_id: str | None, candidates: tuple[str, ...] = ()) -> None:
        """Whose it is; or, while nobody knows, which contacts it may belong to."""
        ...

    def search(
        self, *, caller: str | None = None, contact: str | None = None, limit: int = 100
    ) -> list[Ticket]:
        """Newest first."""
        ...


class Voicemails(Protocol):
    """Recordings in the telephone system that somebody has to look after."""

    def add(self, voicemail: Voicemail) -> None: ...

    def save(self, voicemail: Voicemail) -> None: ...

    def put_off(self, voicemail_id: str, until: datetime) -> None:
        """One more attempt failed."""
        ...

    def remove(self, voicemail_id: str) -> None:
        """Nothing happens when it is not there."""
        ...

    def due(self, engine: str, now: datetime, limit: int) -> list[Voicemail]:
        """Those of ``engine``, oldest first."""
        ...


class TalkRecordings(Protocol):
    """Recordings of talks, those that were deleted too."""

    def add(self, recording: TalkRecording) -> None: ...

    def save(self, recording: TalkRecording) -> None: ...

    def get(self, recording_id: str) -> TalkRecording:
        """Locked until the transaction ends; ``Refused(missing)`` when there is none."""
        ...

    def of_call(self, call_id: str) -> list[TalkRecording]:
        """Oldest first."""
        ...

    def due(self, engine: str, status: RecordingStatus, now: datetime, limit: int) -> list[TalkRecording]:
        """Those of ``engine``, oldest first."""
        ...

    def with_status(self, status: RecordingStatus) -> list[TalkRecording]:
        """Newest first."""
        ...


class Callers(Protocol):
    """What is kept about a phone number from one call to the next."""

    def language(self, number: str) -> str | None:
        """The one chosen in an earlier call."""
        ...

    def keep_language(self, number: str, language: str, at: datetime) -> None: ...

    def last_agent(self, number: str) -> tuple[str, datetime] | None:
        """Who spoke with this number last, and when."""
        ...

    def keep_agent(self, number: str, agent: str, at: datetime) -> None: ...


class Waits(Protocol):
    """What the wait estimates were read off the events so far."""

    def load(self) -> WaitWatch | None:
        """``None`` when nothing was saved, or by a version of this program that saw it otherwise."""
        ...

    def save(self, watch: WaitWatch) -> None: ...


class Engines(Protocol):
    """Signs of life of the engines that share the store."""

    def lives(self, name: str, at: datetime) -> None:
        """The engine with the application ``name`` was alive then."""
        ...

    def last_signs(self) -> dict[str, datetime]:
        """By application name."""
        ...


class Leases(Protocol):
    """What only one of the engines that share the store may do at a time."""

    def take(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take it, or keep it; false while another holds it."""
        ...

    def give_back(self, name: str, holder: str) -> None:
        """Nothing happens when it is another's."""
        ...


class Events(Protocol):
    def add(self, at: datetime, call_id: str | None, *happenings: Happening) -> None: ...

    def of_call(self, call_id: str) -> list[Event]:
        """Oldest first."""
        ...

    def after(
        self,
        event_id: int,
        limit: int = 1000,
        *,
        kinds: frozenset[type[Happening]] = frozenset(),
        ticketed: bool = False,
    ) -> list[Event]:
        """Those with a higher id, oldest first; ``kinds``: no others, where any are named; ``ticketed``: of
        calls that have a ticket by now."""
        ...

    def newest_id(self) -> int:
        """0 when there is none."""
        ...
