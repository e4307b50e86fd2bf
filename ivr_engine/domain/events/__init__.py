"""What happened, in the past tense: the one table that timelines, live pages and webhooks read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ivr_engine.domain.events import (
    agents,
    callbacks,
    calls,
    contacts,
    flow,
    in_call_sms,
    line,
    messages,
    opt_outs,
    recorded,
    sms_numbers,
    talk,
    wait_time_sms,
)
from ivr_engine.domain.events.agents import (
    AgentChanged,
    AgentConnected,
    AgentOffered,
    OfferMissed,
    WrappedUp,
)
from ivr_engine.domain.events.callbacks import (
    CallbackAgreed,
    CallbackDialled,
    CallbackFailed,
    CallbackNotAgreed,
    CallbackReached,
)
from ivr_engine.domain.events.calls import (
    CallAdopted,
    CallFellBack,
    CallFinished,
    CallStarted,
    TicketOpened,
)
from ivr_engine.domain.events.contacts import ContactIdentified, ContactUnclear
from ivr_engine.domain.events.flow import (
    CallTransferred,
    KeyChosen,
    LanguageChosen,
    LookedUp,
    MenuGivenUp,
    NodeReached,
    NothingPressed,
    QueueClosed,
    TransferFailed,
    TransferRefused,
    TransferStarted,
)
from ivr_engine.domain.events.in_call_sms import InCallSmsSent
from ivr_engine.domain.events.line import (
    LineLeft,
    OverCapacity,
    OverCapacityChosen,
    PositionAnnounced,
    QueueEntered,
    QueueSwitched,
    WaitAnnounced,
)
from ivr_engine.domain.events.messages import (
    ConsentAsked,
    ConsentGiven,
    ConsentNotOffered,
    MediaKept,
    MessageQueued,
    MessageReceived,
    MessageStatusChanged,
    WrongKeyPressed,
)
from ivr_engine.domain.events.opt_outs import (
    ConsentWithdrawn,
    ErasureAsked,
    HelpAsked,
    NumberErased,
    OptedOut,
    OptOutEnded,
    ProofsExported,
    RetentionApplied,
)
from ivr_engine.domain.events.recorded import (
    RecordingAnswered,
    RecordingDeleted,
    RecordingDropped,
    RecordingFailed,
    RecordingKept,
    RecordingStarted,
    RecordingStopped,
    VoicemailDropped,
    VoicemailKept,
    VoicemailStarted,
)
from ivr_engine.domain.events.sms_numbers import SmsNumberCodeSent, SmsNumberLost, SmsNumberVerified
from ivr_engine.domain.events.talk import (
    AgentMuted,
    AgentUnmuted,
    CallHandedOn,
    CallHandedOver,
    CallHeld,
    CallResumed,
    ConferenceStarted,
    ConsultAnswered,
    ConsultEnded,
    ConsultStarted,
    ListeningEnded,
    ListeningStarted,
)
from ivr_engine.domain.events.wait_time_sms import (
    SmsCapReached,
    SmsWithheld,
    TextsRead,
    WaitTimeSmsReceived,
)

Happening = (
    calls.Happening
    | flow.Happening
    | line.Happening
    | messages.Happening
    | agents.Happening
    | talk.Happening
    | callbacks.Happening
    | recorded.Happening
    | wait_time_sms.Happening
    | contacts.Happening
    | opt_outs.Happening
    | in_call_sms.Happening
    | sms_numbers.Happening
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


__all__ = [
    "AgentChanged",
    "AgentConnected",
    "AgentMuted",
    "AgentOffered",
    "AgentUnmuted",
    "CallAdopted",
    "CallFellBack",
    "CallFinished",
    "CallHandedOn",
    "CallHandedOver",
    "CallHeld",
    "CallResumed",
    "CallStarted",
    "CallTransferred",
    "CallbackAgreed",
    "CallbackDialled",
    "CallbackFailed",
    "CallbackNotAgreed",
    "CallbackReached",
    "ConferenceStarted",
    "ConsentAsked",
    "ConsentGiven",
    "ConsentNotOffered",
    "ConsentWithdrawn",
    "ConsultAnswered",
    "ConsultEnded",
    "ConsultStarted",
    "ContactIdentified",
    "ContactUnclear",
    "ErasureAsked",
    "Event",
    "Happening",
    "HelpAsked",
    "InCallSmsSent",
    "KeyChosen",
    "LanguageChosen",
    "LineLeft",
    "ListeningEnded",
    "ListeningStarted",
    "LookedUp",
    "MediaKept",
    "MenuGivenUp",
    "MessageQueued",
    "MessageReceived",
    "MessageStatusChanged",
    "NodeReached",
    "NothingPressed",
    "NumberErased",
    "OfferMissed",
    "OptOutEnded",
    "OptedOut",
    "OverCapacity",
    "OverCapacityChosen",
    "PositionAnnounced",
    "ProofsExported",
    "QueueClosed",
    "QueueEntered",
    "QueueSwitched",
    "RecordingAnswered",
    "RecordingDeleted",
    "RecordingDropped",
    "RecordingFailed",
    "RecordingKept",
    "RecordingStarted",
    "RecordingStopped",
    "RetentionApplied",
    "SmsCapReached",
    "SmsNumberCodeSent",
    "SmsNumberLost",
    "SmsNumberVerified",
    "SmsWithheld",
    "TextsRead",
    "TicketOpened",
    "TransferFailed",
    "TransferRefused",
    "TransferStarted",
    "Unrecognised",
    "VoicemailDropped",
    "VoicemailKept",
    "VoicemailStarted",
    "WaitAnnounced",
    "WaitTimeSmsReceived",
    "WrappedUp",
    "WrongKeyPressed",
]
