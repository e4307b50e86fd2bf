"""Agents, and what is noted of the queues they serve."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    Table,
    Text,
)

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata

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
