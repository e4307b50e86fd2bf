"""Text messages, and the ledger of who agreed to get them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    true,
)

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata, where

messages: Final = Table(
    "messages",
    metadata,
    Column("id", Name, primary_key=True),
    Column("direction", Name, nullable=False),
    Column("sender", Name, nullable=False),
    Column("recipient", Name, nullable=False),
    Column("text", Text, nullable=False),
    Column("status", Name, nullable=False),
    Column("provider", Name, nullable=False),
    Column("purpose", Name, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("media", Text, comment="JSON list; part of the message, never read without it"),
    Column("media_pending", Boolean, nullable=False),
    Column("provider_id", Name),
    Column("call_id", Name),
    Column("ticket_id", Name),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    Column("error_code", Name),
    Column("retry_of", Name, comment="the message that this one is sent in place of"),
    Column("urgency", Integer, nullable=False),
    Column("stream", Name, comment="the conversation or campaign that it is of"),
    Column("turn", Float, nullable=False, comment="its place among what waits at its sender"),
    Column("valid_until", UtcDateTime),
    Column("engine", Name, comment="whose request to the provider it is or was"),
    Column("ready", Boolean, nullable=False, comment="to be sent as soon as its sender may"),
    UniqueConstraint("provider", "provider_id"),
)

IS_READY: Final = messages.c.ready.is_(true())
IS_DUE_LATER: Final = and_(messages.c.next_attempt_at.is_not(None), messages.c.ready.is_(false()))
HAS_PENDING_MEDIA: Final = messages.c.media_pending.is_(true())

Index(
    "ix_messages_due",
    messages.c.next_attempt_at,
    messages.c.created_at,
    messages.c.id,
    **where(IS_DUE_LATER),
)
Index(
    "ix_messages_ready",
    messages.c.sender,
    messages.c.turn,
    messages.c.urgency,
    messages.c.created_at,
    messages.c.id,
    **where(IS_READY),
)
Index("ix_messages_stream", messages.c.stream, messages.c.turn, **where(messages.c.stream.is_not(None)))
Index("ix_messages_pending_media", messages.c.created_at, messages.c.id, **where(HAS_PENDING_MEDIA))
Index("ix_messages_media", messages.c.created_at, **where(messages.c.media.is_not(None)))
Index(None, messages.c.sender, messages.c.created_at)
Index(None, messages.c.recipient, messages.c.created_at)
Index(None, messages.c.status, messages.c.created_at)
Index(None, messages.c.created_at)
Index("ix_messages_call_id", messages.c.call_id, **where(messages.c.call_id.is_not(None)))


sender_paces: Final = Table(
    "sender_paces",
    metadata,
    Column("sender", Name, primary_key=True),
    Column("free_at", UtcDateTime, nullable=False, comment="when its next part may leave"),
    Column("turn", Float, nullable=False, comment="of what was sent last, callers' messages aside"),
)


consents: Final = Table(
    "consents",
    metadata,
    Column("id", Name, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("call_id", Name, nullable=False),
    Column("number", Name, nullable=False),
    Column("queue", Name, nullable=False),
    Column("language", Name, nullable=False),
    Column("wording", Text, nullable=False),
    Column("wording_version", Name, nullable=False),
    Column("audio_hash", Name, nullable=False),
    Column("key", Name),
    Column("outcome", Name, nullable=False),
    Column("purpose", Name, nullable=False, comment="what was asked"),
    Column("how", Name, nullable=False, comment="by which way it was said"),
    Column("actor", Name, comment="who said it, where not the caller in the call"),
)
Index(None, consents.c.number, consents.c.at)
Index(None, consents.c.at, consents.c.id)
Index(None, consents.c.call_id)


sms_counts: Final = Table(
    "sms_counts",
    metadata,
    Column("day", Name, primary_key=True, comment="in UTC"),
    Column("counter", Name, primary_key=True, comment="a number, a prefix, or all together"),
    Column("used", Integer, nullable=False, comment="SMS that callers had sent"),
    Column("at", UtcDateTime, nullable=False, comment="the last of them"),
)
