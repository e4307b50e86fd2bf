"""The tables, in types that SQLite and PostgreSQL both have.

Derived columns serve an index and are never read back: ``calls.is_open``, ``calls.line``,
``calls.place_at``, ``calls.calls_back`` and ``messages.media_pending``; ``calls.flow`` and ``calls.node``
serve people who read the table (``calls.visit`` has both). The domain computes them, so the rule has one
home.
The indexes are partial on them, not on ``chapter`` or ``media``: writing a column that an index so much
as mentions makes SQLite write the index too, and a chapter changes many times a call.

Other tables name a call without a foreign key: a call may be deleted (retention) long before the
tickets, messages and proofs of consent that came out of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out; SQLite itself knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Name: Final = String().with_variant(String(collation="C"), "postgresql")
"""Sorted by code point everywhere, as Python does: names and ids decide ties."""

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _where(condition: Any) -> dict[str, Any]:  # noqa: ANN401 - any SQL expression
    """The arguments that make an index partial, on either database."""
    return {"sqlite_where": condition, "postgresql_where": condition}


calls: Final = Table(
    "calls",
    metadata,
    Column("id", Name, primary_key=True),
    Column("engine", Name, nullable=False),
    Column("channel_id", Name, nullable=False),
    Column("caller", Name),
    Column("number", Name, nullable=False),
    Column("queue", Name, nullable=False),
    Column("language", Name, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("chapter", Name, nullable=False),
    Column("consent_status", Name),
    Column("consent_rounds", Integer, nullable=False),
    Column("consent_wrong_keys", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("recording_answer", Name, comment="what the caller was told, or said, about recordings"),
    Column("over_capacity", Boolean, nullable=False),
    Column("entered_at", UtcDateTime),
    Column("next_announcement_at", UtcDateTime),
    Column("agent", Name),
    Column("offer_id", Name),
    Column("offer_ends_at", UtcDateTime),
    Column("ticket_id", Name),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("end_reason", Name),
    Column("flow", Name),
    Column("node", Name),
    Column("visit", Text, comment="JSON: flow, node, what was counted there, variables"),
    Column("routing", Text, comment="JSON: skills required, since when in its queue, preferred agent"),
    Column("last_words", Name, comment="the prompt said before the hang-up"),
    Column("callback", Text, comment="JSON: the number, tries, until when"),
    Column("talk", Text, comment="JSON: hold, mute, who else is there, what is recorded"),
    Column("stay", Text, comment="JSON: announcements so far, over capacity"),
    Column("is_open", Boolean, nullable=False),
    Column("line", Name, comment="the queue it holds a place in, if any"),
    Column("place_at", UtcDateTime, nullable=False, comment="since when its place counts"),
    Column("calls_back", Name, comment="the number, while it waits to be called back"),
)

IS_OPEN: Final = calls.c.is_open.is_(true())

Index("ix_calls_open", calls.c.started_at, calls.c.id, **_where(IS_OPEN))
Index("ix_calls_open_queue", calls.c.queue, calls.c.started_at, calls.c.id, **_where(IS_OPEN))
Index("ix_calls_channel", calls.c.channel_id)
Index("uq_calls_open_channel", calls.c.channel_id, unique=True, **_where(IS_OPEN))
Index(
    "ix_calls_line",
    calls.c.line,
    calls.c.priority,
    calls.c.place_at,
    calls.c.id,
    **_where(calls.c.line.is_not(None)),
)
Index("ix_calls_back", calls.c.calls_back, **_where(calls.c.calls_back.is_not(None)))
Index(None, calls.c.caller, calls.c.started_at)
Index(None, calls.c.started_at)


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
    UniqueConstraint("provider", "provider_id"),
)

HAS_PENDING_MEDIA: Final = messages.c.media_pending.is_(true())

Index(
    "ix_messages_due",
    messages.c.next_attempt_at,
    messages.c.created_at,
    messages.c.id,
    **_where(messages.c.next_attempt_at.is_not(None)),
)
Index("ix_messages_pending_media", messages.c.created_at, messages.c.id, **_where(HAS_PENDING_MEDIA))
Index(None, messages.c.sender, messages.c.created_at)
Index(None, messages.c.recipient, messages.c.created_at)
Index(None, messages.c.status, messages.c.created_at)
Index(None, messages.c.created_at)
Index("ix_messages_call_id", messages.c.call_id, **_where(messages.c.call_id.is_not(None)))


agents: Final = Table(
    "agents",
    metadata,
    Column("name", Name, primary_key=True),
    Column("state", Name, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("call_id", Name),
    Column("reason", Name),
    Column("queue", Name, comment="of the contact offered, at hand or being wrapped up"),
    Column("last_call_id", Name),
    Column("reason_required", Boolean, nullable=False, comment="of the wrap-up"),
    Column("idle_since", UtcDateTime),
    Column("taken", Integer, nullable=False, comment="calls answered in this shift"),
    Column("next_break", Name, comment="the break that begins when the contact is over"),
    Column("rona_next", Name),
    Column("sessions", Text, comment="JSON: SMS sessions, and whether they are accepted"),
)


switches: Final = Table(
    "switches",
    metadata,
    Column("queue", Name, primary_key=True, comment="empty: all of them"),
    Column("prompt", Name, nullable=False, comment="what callers hear"),
    Column("since", UtcDateTime, nullable=False),
)


turns: Final = Table(
    "queue_turns",
    metadata,
    Column("queue", Name, primary_key=True),
    Column("agent", Name, nullable=False, comment="who was offered its last call: for round robin"),
)


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
)
Index(None, tickets.c.caller, tickets.c.opened_at)
Index(None, tickets.c.opened_at)

_Serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in a column declared INTEGER."""

comments: Final = Table(
    "ticket_comments",
    metadata,
    Column("serial", _Serial, primary_key=True, comment="the order they were added in"),
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
    Column("serial", _Serial, primary_key=True, comment="the order they were added in"),
    Column("id", Name, nullable=False, unique=True),
    Column("ticket_id", Name, ForeignKey("tickets.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("file", Name, nullable=False),
    Column("content_type", Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("source_id", Name),
    UniqueConstraint("ticket_id", "source_id"),
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
)
Index(None, consents.c.number, consents.c.at)
Index(None, consents.c.at)


callers: Final = Table(
    "callers",
    metadata,
    Column("number", Name, primary_key=True),
    Column("language", Name, comment="chosen in an earlier call"),
    Column("chosen_at", UtcDateTime),
    Column("agent", Name, comment="who spoke with this number last"),
    Column("spoke_at", UtcDateTime),
)


voicemails: Final = Table(
    "voicemails",
    metadata,
    Column("id", Name, primary_key=True, comment="the recording's name in the telephone system"),
    Column("engine", Name, nullable=False),
    Column("call_id", Name, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("kept", Boolean, nullable=False, comment="fetched: to be deleted in the telephone system"),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
)


recordings: Final = Table(
    "recordings",
    metadata,
    Column("id", Name, primary_key=True, comment="its name in the telephone system"),
    Column("engine", Name, nullable=False),
    Column("call_id", Name, nullable=False),
    Column("agent", Name, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("status", Name, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes"),
    Column("seconds", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
)
Index(None, recordings.c.call_id)
Index(None, recordings.c.status, recordings.c.started_at, recordings.c.id)
Index(None, recordings.c.engine, recordings.c.status, recordings.c.started_at, recordings.c.id)


engines: Final = Table(
    "engines",
    metadata,
    Column("name", Name, primary_key=True, comment="the ARI application"),
    Column("seen_at", UtcDateTime, nullable=False, comment="its last sign of life"),
)


wait_watch: Final = Table(
    "wait_watch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False, comment="JSON: the wait estimates, through which event"),
)


events: Final = Table(
    "events",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("call_id", Name),
    Column("kind", Name, nullable=False),
    Column("data", Text, nullable=False, comment="JSON"),
    sqlite_autoincrement=True,
)
Index("ix_events_call_id", events.c.call_id, events.c.id, **_where(events.c.call_id.is_not(None)))


checks: Final = Table(
    "store_checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("mark", Name, nullable=False, comment="what the last health check wrote"),
)
