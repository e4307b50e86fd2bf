"""Calls, and what is known of callers from one call to the next."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    Table,
    Text,
    true,
)

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata, where

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
    Column("calls_back", Name, comment="the number, while it is to be called back"),
)

IS_OPEN: Final = calls.c.is_open.is_(true())

Index("ix_calls_open", calls.c.started_at, calls.c.id, **where(IS_OPEN))
Index("ix_calls_open_queue", calls.c.queue, calls.c.started_at, calls.c.id, **where(IS_OPEN))
Index("ix_calls_channel", calls.c.channel_id)
Index("uq_calls_open_channel", calls.c.channel_id, unique=True, **where(IS_OPEN))
Index(
    "ix_calls_line",
    calls.c.line,
    calls.c.priority,
    calls.c.place_at,
    calls.c.id,
    **where(calls.c.line.is_not(None)),
)
Index("ix_calls_back", calls.c.calls_back, **where(calls.c.calls_back.is_not(None)))
Index(None, calls.c.caller, calls.c.started_at)
Index(None, calls.c.started_at)


callers: Final = Table(
    "callers",
    metadata,
    Column("number", Name, primary_key=True),
    Column("language", Name, comment="chosen in an earlier call"),
    Column("chosen_at", UtcDateTime),
    Column("agent", Name, comment="who spoke with this number last"),
    Column("spoke_at", UtcDateTime),
)
