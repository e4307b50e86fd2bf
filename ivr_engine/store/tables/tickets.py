"""Tickets with their comments and files."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from ivr_engine.store.tables.columns import Name, Serial, UtcDateTime, metadata, where

tickets: Final = Table(
    "tickets",
    metadata,
    Column("id", Name, primary_key=True),
    Column("call_id", Name, nullable=False),
    Column("caller", Name),
    Column("queue", Name, nullable=False),
    Column("agent", Name),
    Column("language", Name, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("contact_id", Name),
    Column("candidates", Text, comment="JSON: the contacts of whom one is to be chosen"),
)
Index("ix_tickets_contact", tickets.c.contact_id, **where(tickets.c.contact_id.is_not(None)))
Index(None, tickets.c.caller, tickets.c.opened_at)
Index(None, tickets.c.opened_at)

comments: Final = Table(
    "ticket_comments",
    metadata,
    Column("serial", Serial, primary_key=True, comment="the order they were added in"),
    Column("id", Name, nullable=False, unique=True),
    Column("ticket_id", Name, ForeignKey("tickets.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("author", Name, nullable=False),
    Column("text", Text, nullable=False),
    Column("source_id", Name),
    UniqueConstraint("ticket_id", "source_id"),
)

files: Final = Table(
    "ticket_files",
    metadata,
    Column("serial", Serial, primary_key=True, comment="the order they were added in"),
    Column("id", Name, nullable=False, unique=True),
    Column("ticket_id", Name, ForeignKey("tickets.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("file", Name, nullable=False),
    Column("content_type", Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("source_id", Name),
    UniqueConstraint("ticket_id", "source_id"),
)
Index(None, files.c.at)
