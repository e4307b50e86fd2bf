"""What the core needs from the world, as Protocols. Adapters fulfil them; ``bootstrap`` chooses.

Every verb that waits for something outside has its own deadline and ends in a result or in one of the
errors of ``errors``; none hangs for ever.
"""

from ivr_engine.ports.clock import Clock
from ivr_engine.ports.crm import ContactDirectory, Contacts, Crm, Deliveries
from ivr_engine.ports.estimates import Estimates
from ivr_engine.ports.legs import (
    DialResult,
    Digit,
    Failed,
    Finished,
    GatherResult,
    Leg,
    PlayResult,
    Prompt,
    Timeout,
)
from ivr_engine.ports.line import Line, Seat
from ivr_engine.ports.lookup import Lookup, Question
from ivr_engine.ports.privacy import Erasures, OptOuts, Portion, Privacy
from ivr_engine.ports.recordings import Recordings
from ivr_engine.ports.records import (
    Agents,
    Callers,
    Calls,
    Engines,
    Events,
    Leases,
    Presence,
    Queues,
    TalkRecordings,
    Tickets,
    Voicemails,
    Waits,
)
from ivr_engine.ports.sms import (
    Accepted,
    FindResult,
    Handset,
    InboundSms,
    NotListed,
    NotTaken,
    OwnNumber,
    SendResult,
    SmsProvider,
    StatusReport,
    Unclear,
    WebhookRequest,
)
from ivr_engine.ports.sms_numbers import SmsNumbers
from ivr_engine.ports.speech import Prompts, Speech
from ivr_engine.ports.store import Changes, Store, Tx
from ivr_engine.ports.telephony import Arrival, PhoneAccount, Snapshot, Telephony
from ivr_engine.ports.text_records import (
    Consents,
    Messages,
    SenderPaces,
    SmsCounts,
    SmsReports,
)

__all__ = [
    "Accepted",
    "Agents",
    "Arrival",
    "Callers",
    "Calls",
    "Changes",
    "Clock",
    "Consents",
    "ContactDirectory",
    "Contacts",
    "Crm",
    "Deliveries",
    "DialResult",
    "Digit",
    "Engines",
    "Erasures",
    "Estimates",
    "Events",
    "Failed",
    "FindResult",
    "Finished",
    "GatherResult",
    "Handset",
    "InboundSms",
    "Leases",
    "Leg",
    "Line",
    "Lookup",
    "Messages",
    "NotListed",
    "NotTaken",
    "OptOuts",
    "OwnNumber",
    "PhoneAccount",
    "PlayResult",
    "Portion",
    "Presence",
    "Privacy",
    "Prompt",
    "Prompts",
    "Question",
    "Queues",
    "Recordings",
    "Seat",
    "SendResult",
    "SenderPaces",
    "SmsCounts",
    "SmsNumbers",
    "SmsProvider",
    "SmsReports",
    "Snapshot",
    "Speech",
    "StatusReport",
    "Store",
    "TalkRecordings",
    "Telephony",
    "Tickets",
    "Timeout",
    "Tx",
    "Unclear",
    "Voicemails",
    "Waits",
    "WebhookRequest",
]
