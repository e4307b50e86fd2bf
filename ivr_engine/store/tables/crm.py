"""Contacts, and what is to be told to other systems about conversations."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from ivr_engine.store.tables.columns import Name, Serial, UtcDateTime, metadata, where

contacts: Final = Table(
    "contacts",
    metadata,
    Column("id", Name, primary_key=True),
    Column("name", Text, nullable=False),
    Column("language", Name, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index(None, contacts.c.updated_at, contacts.c.id)

contact_numbers: Final = Table(
    "contact_numbers",
    metadata,
    Column("contact_id", Name, ForeignKey("contacts.id", ondelete="CASCADE"), nullable=False),
    Column("place", Integer, nullable=False, comment="the order they were added in"),
    Column("number", Name, nullable=False),
    PrimaryKeyConstraint("contact_id", "place"),
)
Index(None, contact_numbers.c.number, contact_numbers.c.contact_id)

contact_externals: Final = Table(
    "contact_externals",
    metadata,
    Column("contact_id", Name, ForeignKey("contacts.id", ondelete="CASCADE"), nullable=False),
    Column("system", Name, nullable=False),
    Column("external_id", Name, nullable=False),
    PrimaryKeyConstraint("contact_id", "system"),
)
Index(None, contact_externals.c.system, contact_externals.c.external_id)


crm_cursors: Final = Table(
    "crm_cursors",
    metadata,
    Column("adapter", Name, primary_key=True),
    Column("through", BigInteger, nullable=False, comment="the last event of which it has been seen to"),
)

crm_deliveries: Final = Table(
    "crm_deliveries",
    metadata,
    Column("serial", Serial, primary_key=True, comment="the order they happened in"),
    Column("adapter", Name, nullable=False),
    Column("id", Name, nullable=False, comment="the same at every try"),
    Column("call_id", Name, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("kind", Name, nullable=False),
    Column("subject", Name, nullable=False, comment="the message, picture or contact it is about"),
    Column("at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, comment="none: given up"),
    Column("error", Text),
)
_c = crm_deliveries.c
WAITS: Final = _c.next_attempt_at.is_not(None)
Index("ix_crm_deliveries_due", _c.adapter, _c.next_attempt_at, _c.serial, **where(WAITS))
Index("ix_crm_deliveries_of_call", _c.adapter, _c.call_id, _c.serial, **where(WAITS))
Index("ix_crm_deliveries_oldest", _c.adapter, _c.at, **where(WAITS))
Index("ix_crm_deliveries_dead", _c.adapter, _c.serial, **where(_c.next_attempt_at.is_(None)))
