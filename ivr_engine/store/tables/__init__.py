"""The tables, in types that SQLite and PostgreSQL both have.

Derived columns serve an index and are never read back: ``calls.is_open``, ``calls.line``,
``calls.place_at``, ``calls.calls_back``, ``messages.media_pending`` and ``messages.ready``; ``calls.flow``
and ``calls.node`` serve people who read the table (``calls.visit`` has both). The domain computes them, so
the rule has one home.
The indexes are partial on them, not on ``chapter`` or ``media``: writing a column that an index so much
as mentions makes SQLite write the index too, and a chapter changes many times a call.

Other tables name a call without a foreign key: a call may be deleted (retention) long before the
tickets, messages and proofs of consent that came out of it.
"""

from ivr_engine.store.tables.agents import agents, switches, turns
from ivr_engine.store.tables.calls import IS_OPEN, callers, calls
from ivr_engine.store.tables.columns import metadata
from ivr_engine.store.tables.crm import (
    contact_externals,
    contact_numbers,
    contacts,
    crm_cursors,
    crm_deliveries,
)
from ivr_engine.store.tables.engine import OFFERS, checks, engines, events, leases, wait_watch
from ivr_engine.store.tables.messages import (
    HAS_PENDING_MEDIA,
    IS_DUE_LATER,
    IS_READY,
    consents,
    messages,
    sender_paces,
    sms_counts,
)
from ivr_engine.store.tables.privacy import erasures, ledger_gate, opt_outs
from ivr_engine.store.tables.recordings import recordings, voicemails
from ivr_engine.store.tables.sms_numbers import sms_numbers
from ivr_engine.store.tables.tickets import comments, files, tickets

__all__ = [
    "HAS_PENDING_MEDIA",
    "IS_DUE_LATER",
    "IS_OPEN",
    "IS_READY",
    "OFFERS",
    "agents",
    "callers",
    "calls",
    "checks",
    "comments",
    "consents",
    "contact_externals",
    "contact_numbers",
    "contacts",
    "crm_cursors",
    "crm_deliveries",
    "engines",
    "erasures",
    "events",
    "files",
    "leases",
    "ledger_gate",
    "messages",
    "metadata",
    "opt_outs",
    "recordings",
    "sender_paces",
    "sms_counts",
    "sms_numbers",
    "switches",
    "tickets",
    "turns",
    "voicemails",
    "wait_watch",
]
