"""What is told to a CRM, and when: decided from the events of a call, in their order.

A call concerns a CRM from the moment its ticket is opened. What was written, and where a flow tried to
transfer the caller, before that comes with the ticket; what happens later, as it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ivr_engine.domain.contacts import Contact
from ivr_engine.domain.events import (
    AgentConnected,
    CallFinished,
    CallHandedOn,
    CallHandedOver,
    CallTransferred,
    ConsultEnded,
    ConsultStarted,
    ContactIdentified,
    ContactUnclear,
    Event,
    Happening,
    MediaKept,
    MessageQueued,
    MessageReceived,
    OfferMissed,
    TicketOpened,
    TransferFailed,
    TransferRefused,
    TransferStarted,
    VoicemailKept,
)
from ivr_engine.domain.tickets import TicketFile

BUILT_IN: Final = "built-in"
"""The name of the CRM that is always there."""


class Topic(StrEnum):
    """What an adapter may ask for: ``Kind`` by its first word."""

    CONTACT = "contact"
    CONVERSATION = "conversation"
    TRANSFER = "transfer"
    MESSAGE = "message"
    FILE = "file"
    TRANSCRIPT = "transcript"


class Kind(StrEnum):
    CONVERSATION_OPENED = "conversation.opened"
    """It has a ticket."""
    CONVERSATION_CONNECTED = "conversation.connected"
    """An agent and the customer are connected, the first or another one."""
    CONVERSATION_ENDED = "conversation.ended"
    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_UNCLEAR = "contact.unclear"
    """Several contacts have the number."""
    CONTACT_CHOSEN = "contact.chosen"
    TRANSFER_STARTED = "transfer.started"
    TRANSFER_FAILED = "transfer.failed"
    TRANSFER_ENDED = "transfer.ended"
    """The customer is with whom they were transferred to."""
    MESSAGE = "message"
    FILE = "file"
    """A picture, a video, or a spoken message."""
    TRANSCRIPT = "transcript"

    @property
    def topic(self) -> Topic:
        return Topic(self.partition(".")[0])


READ: Final[frozenset[type[Happening]]] = frozenset(
    {
        TicketOpened,
        AgentConnected,
        CallFinished,
        ContactIdentified,
        ContactUnclear,
        CallHandedOn,
        TransferStarted,
        TransferFailed,
        TransferRefused,
        CallTransferred,
        ConsultStarted,
        ConsultEnded,
        CallHandedOver,
        OfferMissed,
        MessageQueued,
        MessageReceived,
        MediaKept,
        VoicemailKept,
    }
)
"""The events that something may follow from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something to be told to one adapter. What exactly is read from the store when it is sent: a text is
    kept in one place only.

    ``id`` is the same at every try. ``subject``: the message, picture or contact it is about.
    ``next_attempt_at`` is ``None`` once it was given up: a dead letter.
    """

    id: str
    adapter: str
    call_id: str
    event_id: int
    kind: Kind
    subject: str
    at: datetime
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str | None = None

    @property
    def dead(self) -> bool:
        return self.next_attempt_at is None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of one adapter. ``oldest_at``: when what has waited longest happened."""

    waiting: int
    dead: int
    oldest_at: datetime | None = None


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """``number``: the customer's; ``ours``: what they called. ``direction``: ``inbound``, or ``outbound``
    where they were called back."""

    id: str
    ticket_id: str
    channel: str
    direction: str
    number: str | None
    ours: str
    queue: str
    language: str
    agent: str | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a conversation. ``author``: ``customer``, ``agent`` or ``system``; ``by``: which agent."""

    at: datetime
    author: str
    text: str
    message_id: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What an adapter is given. ``contact``: whom the conversation belongs to, as far as it is known;
    ``candidates``: who it may be. ``facts``: of an event, by name. ``said``: the message, or all of them."""

    id: str
    kind: Kind
    at: datetime
    conversation: Conversation
    contact: Contact | None = None
    candidates: tuple[Contact, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    said: tuple[Said, ...] = ()
    file: TicketFile | None = None


# ── what follows from an event ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Follows:
    """One thing to tell about ``event``."""

    event: Event
    kind: Kind
    subject: str = ""


def follows(event: Event, story: Sequence[Event]) -> list[Follows]:
    """What is told when ``event`` is read; ``story``: the events of its call, this one and later ones among
    them. With the ticket comes what was before it, at last the end, if it is opened when the call is over."""
    before = [each for each in story if each.id < event.id]
    if isinstance(event.what, TicketOpened):
        found = [Follows(event, Kind.CONVERSATION_OPENED)]
        for number, each in enumerate(before):
            found += [Follows(each, *told) for told in _told(each.what, before[:number])]
        return sorted(found, key=lambda follow: isinstance(follow.event.what, CallFinished))
    if not any(isinstance(each.what, TicketOpened) for each in before):
        return []
    return [Follows(event, *told) for told in _told(event.what, before)]


_Told = tuple[Kind, str]
"""And what it is about."""


def _told(what: object, before: Sequence[Event]) -> Iterator[_Told]:
    yield from _written(what)
    match what:
        case CallFinished():
            yield Kind.CONVERSATION_ENDED, ""
            yield Kind.TRANSCRIPT, ""
        case ContactIdentified(contact_id=contact, how=how):
            yield _IDENTIFIED[how], contact
        case ContactUnclear():
            yield Kind.CONTACT_UNCLEAR, ""
        case AgentConnected():
            if handed_on(before) is not None:
                yield Kind.TRANSFER_ENDED, ""
            yield Kind.CONVERSATION_CONNECTED, ""
        case CallHandedOn(kind="number"):
            pass  # TransferStarted follows in the same transaction
        case CallHandedOn() | TransferStarted() | ConsultStarted():
            yield Kind.TRANSFER_STARTED, ""
        case TransferFailed() | TransferRefused() | ConsultEnded():
            yield Kind.TRANSFER_FAILED, ""
        case OfferMissed():
            transfer = handed_on(before)
            if transfer is not None and transfer.kind == "agent":
                yield Kind.TRANSFER_FAILED, ""
        case CallTransferred() | CallHandedOver():
            yield Kind.TRANSFER_ENDED, ""
        case _:
            pass


def _written(what: object) -> Iterator[_Told]:
    match what:
        case MessageReceived(message_id=message) | MessageQueued(message_id=message):
            yield Kind.MESSAGE, message
        case MediaKept(media_id=media):
            yield Kind.FILE, media
        case VoicemailKept(voicemail_id=voicemail):
            yield Kind.FILE, voicemail
        case _:
            pass


_IDENTIFIED: Final = {
    "created": Kind.CONTACT_CREATED,
    "updated": Kind.CONTACT_UPDATED,
    "chosen": Kind.CONTACT_CHOSEN,
}


def handed_on(before: Sequence[Event]) -> CallHandedOn | None:
    """The transfer to a queue or an agent that is under way after these events, if any."""
    under_way: CallHandedOn | None = None
    for each in before:
        match each.what:
            case CallHandedOn(kind="queue" | "agent") as transfer:
                under_way = transfer
            case CallHandedOn() | AgentConnected() | CallHandedOver():
                under_way = None
            case OfferMissed() if under_way is not None and under_way.kind == "agent":
                under_way = None  # the caller is in the line like anybody
            case _:
                pass
    return under_way


def facts_of(event: Event, story: Sequence[Event]) -> dict[str, str]:
    """What the event says, for who reads it elsewhere: names, never ids of ours."""
    transfer = handed_on([each for each in story if each.id < event.id])
    to = {"to_kind": transfer.kind, "to": transfer.to} if transfer is not None else {}
    match event.what:
        case CallHandedOn(agent=agent, kind=kind, to=name):
            return {"by": agent, "to_kind": kind, "to": name, "way": "blind"}
        case TransferStarted(number=number) | CallTransferred(number=number):
            return {"to_kind": "number", "to": number, "way": "blind"}
        case TransferFailed(number=number, reason=reason) | TransferRefused(number=number, reason=reason):
            return {"to_kind": "number", "to": number, "way": "blind", "reason": reason}
        case ConsultStarted(agent=agent, whom=whom):
            return {"by": agent, "to_kind": _kind_of(whom), "to": whom, "way": "attended"}
        case ConsultEnded(whom=whom, reason=reason):
            return {"to_kind": _kind_of(whom), "to": whom, "way": "attended", "reason": reason}
        case CallHandedOver(agent=agent, whom=whom):
            return {"by": agent, "to_kind": _kind_of(whom), "to": whom, "way": "attended"}
        case OfferMissed(reason=reason):
            return {**to, "way": "blind", "reason": reason}
        case AgentConnected(agent=agent):
            return {"agent": agent, **({**to, "way": "blind"} if to else {})}
        case CallFinished(reason=reason):
            return {"reason": reason}
        case _:
            return {}


def _kind_of(whom: str) -> str:
    return "number" if whom.startswith("+") else "agent"


def in_words(kind: Kind, facts: Mapping[str, str]) -> str:
    """One line of a ticket or a transcript; empty where there is nothing to say of it."""
    to = f"to {facts.get('to_kind', '')} {facts.get('to', '')}".rstrip()
    because = f": {facts['reason']}" if facts.get("reason") else ""
    match kind:
        case Kind.CONVERSATION_CONNECTED:
            return f"Connected with {facts.get('agent', '')}"
        case Kind.CONVERSATION_ENDED:
            return f"Conversation ended{because}"
        case Kind.TRANSFER_STARTED:
            return f"Transfer {to} started"
        case Kind.TRANSFER_FAILED:
            return f"Transfer {to} failed{because}"
        case Kind.TRANSFER_ENDED:
            return f"Transfer {to} ended"
        case _:
            return ""
