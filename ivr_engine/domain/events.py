"""What happened, in the past tense: the one table that timelines, live pages and webhooks read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CallStarted:
    caller: str | None
    number: str


@dataclass(frozen=True, slots=True)
class NodeReached:
    """The flow led the caller to a node."""

    flow: str
    node: str


@dataclass(frozen=True, slots=True)
class KeyChosen:
    """A key of a menu that leads somewhere."""

    node: str
    key: str


@dataclass(frozen=True, slots=True)
class NothingPressed:
    """Silence where a key was asked for."""

    node: str


@dataclass(frozen=True, slots=True)
class MenuGivenUp:
    """``limit`` as in ``domain.menu.Limit``."""

    node: str
    limit: str


@dataclass(frozen=True, slots=True)
class LanguageChosen:
    language: str


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Another system was asked: ``answered`` or ``failed``. What it said is not repeated here."""

    node: str
    outcome: str


@dataclass(frozen=True, slots=True)
class TransferRefused:
    """``reason`` as in ``domain.dialling.NotDialled``."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransferStarted:
    number: str


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """``reason`` as in ``ports.DialResult``."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallTransferred:
    number: str


@dataclass(frozen=True, slots=True)
class QueueClosed:
    """The caller was led to a queue outside its hours."""

    queue: str


@dataclass(frozen=True, slots=True)
class QueueEntered:
    queue: str
    position: int


@dataclass(frozen=True, slots=True)
class PositionAnnounced:
    position: int


@dataclass(frozen=True, slots=True)
class WaitAnnounced:
    """The caller heard a range; ``said`` names the prompt. Beside the estimate stands what app_queue would
    have said (``domain.wait_estimate``)."""

    said: str
    p50_s: float
    p80_s: float
    expected_s: float
    app_queue_s: float


@dataclass(frozen=True, slots=True)
class OverCapacity:
    """The caller's queue is; ``limit`` as in ``domain.capacity.Limit``."""

    queue: str
    limit: str


@dataclass(frozen=True, slots=True)
class OverCapacityChosen:
    """What the caller goes on with; ``key`` is ``None`` where none was pressed."""

    option: str
    key: str | None


@dataclass(frozen=True, slots=True)
class LineLeft:
    """Led on out of the queue's line, with no agent."""

    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentAsked:
    round: int


@dataclass(frozen=True, slots=True)
class ConsentNotOffered:
    reason: str


@dataclass(frozen=True, slots=True)
class WrongKeyPressed:
    key: str


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """``outcome`` as in ``WaitTimeSmsStatus``."""

    outcome: str
    key: str | None


@dataclass(frozen=True, slots=True)
class MessageQueued:
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageStatusChanged:
    message_id: str
    status: str
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    message_id: str
    media: int


@dataclass(frozen=True, slots=True)
class AgentOffered:
    agent: str


@dataclass(frozen=True, slots=True)
class OfferMissed:
    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentConnected:
    agent: str
    ticket_id: str


@dataclass(frozen=True, slots=True)
class CallHeld:
    """The caller hears music; the agent is there."""

    agent: str


@dataclass(frozen=True, slots=True)
class CallResumed:
    agent: str


@dataclass(frozen=True, slots=True)
class AgentMuted:
    agent: str


@dataclass(frozen=True, slots=True)
class AgentUnmuted:
    agent: str


@dataclass(frozen=True, slots=True)
class CallHandedOn:
    """Without a word: ``to`` names a ``kind``, which is ``queue``, ``agent`` or ``number``."""

    agent: str
    kind: str
    to: str


@dataclass(frozen=True, slots=True)
class ConsultStarted:
    """The agent calls ``whom`` (an agent, or a number) while the caller hears music."""

    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class ConsultAnswered:
    whom: str


@dataclass(frozen=True, slots=True)
class ConsultEnded:
    """The caller is the agent's again. ``reason``: ``taken_back``, ``hung_up``, or as in
    ``ports.DialResult``."""

    whom: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConferenceStarted:
    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class CallHandedOver:
    """``whom`` the agent had called has the caller now."""

    agent: str
    whom: str


@dataclass(frozen=True, slots=True)
class ListeningStarted:
    """``mode`` as in ``domain.talk.Listening``."""

    listener: str
    mode: str


@dataclass(frozen=True, slots=True)
class ListeningEnded:
    """``reason``: ``stopped``, ``hung_up``, or as in ``ports.DialResult``."""

    listener: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordingAnswered:
    """What the caller was told, or said, about being recorded: as in ``domain.talk.RecordingAnswer``."""

    answer: str
    key: str | None


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """By the staff, in the talk."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """The telephone system did not record; the talk went on."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class RecordingKept:
    """It is a file of the ticket now."""

    recording_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordingDropped:
    """There was nothing in it, or it never was."""

    recording_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordingDeleted:
    """``reason``: ``age`` or ``space``."""

    recording_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallbackAgreed:
    """The caller keeps the place and is called back there."""

    number: str


@dataclass(frozen=True, slots=True)
class CallbackNotAgreed:
    """No number was confirmed: the caller waits on."""


@dataclass(frozen=True, slots=True)
class CallbackDialled:
    attempt: int


@dataclass(frozen=True, slots=True)
class CallbackReached:
    """A person said that they are there."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """``reason``: as in ``ports.DialResult``, ``no_person`` (nobody pressed 1), ``hung_up``,
    ``unclear`` (a crash came in between), or ``fault``, one of the engine's."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class TicketOpened:
    ticket_id: str


@dataclass(frozen=True, slots=True)
class VoicemailStarted:
    """The caller's message is recorded from here on."""

    voicemail_id: str


@dataclass(frozen=True, slots=True)
class VoicemailKept:
    """It is a file of the ticket now; ``seconds`` its length."""

    voicemail_id: str
    ticket_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class VoicemailDropped:
    """Nothing was said."""

    voicemail_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CallAdopted:
    """An engine took the call over after a crash, a restart or an outage."""

    chapter: str


@dataclass(frozen=True, slots=True)
class CallFellBack:
    """A fault in the engine: the caller was sent to the fallback dialplan."""

    error: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    reason: str


@dataclass(frozen=True, slots=True)
class AgentChanged:
    agent: str
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WrappedUp:
    """The wrap-up of a contact is over; ``reason`` as configured, ``time_up``, or none given."""

    agent: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class QueueSwitched:
    """By the emergency switch; ``queue`` empty: all of them. ``prompt`` is said, ``None``: open again."""

    queue: str
    prompt: str | None


Happening = (
    CallStarted
    | NodeReached
    | KeyChosen
    | NothingPressed
    | MenuGivenUp
    | LanguageChosen
    | LookedUp
    | TransferRefused
    | TransferStarted
    | TransferFailed
    | CallTransferred
    | QueueClosed
    | QueueEntered
    | PositionAnnounced
    | WaitAnnounced
    | OverCapacity
    | OverCapacityChosen
    | LineLeft
    | ConsentAsked
    | ConsentNotOffered
    | WrongKeyPressed
    | ConsentGiven
    | MessageQueued
    | MessageStatusChanged
    | MessageReceived
    | AgentOffered
    | OfferMissed
    | AgentConnected
    | CallHeld
    | CallResumed
    | AgentMuted
    | AgentUnmuted
    | CallHandedOn
    | ConsultStarted
    | ConsultAnswered
    | ConsultEnded
    | ConferenceStarted
    | CallHandedOver
    | ListeningStarted
    | ListeningEnded
    | CallbackAgreed
    | CallbackNotAgreed
    | CallbackDialled
    | CallbackReached
    | CallbackFailed
    | RecordingAnswered
    | RecordingStarted
    | RecordingStopped
    | RecordingFailed
    | RecordingKept
    | RecordingDropped
    | RecordingDeleted
    | TicketOpened
    | VoicemailStarted
    | VoicemailKept
    | VoicemailDropped
    | CallAdopted
    | CallFellBack
    | CallFinished
    | AgentChanged
    | WrappedUp
    | QueueSwitched
)


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Written by a newer version of this program: kept and passed on, not understood.

    ``data`` is the JSON as stored.
    """

    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A happening as stored. ``id`` grows; ``kind`` is the happening's class name in snake case."""

    id: int
    at: datetime
    call_id: str | None
    kind: str
    what: Happening | Unrecognised
