"""What engines write down for themselves and for each other: events, signs of life, estimates."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Index,
    Integer,
    Table,
    Text,
    literal_column,
)

from ivr_engine.store.tables.columns import Name, Serial, UtcDateTime, metadata, where

engines: Final = Table(
    "engines",
    metadata,
    Column("name", Name, primary_key=True, comment="the ARI application"),
    Column("seen_at", UtcDateTime, nullable=False, comment="its last sign of life"),
)


leases: Final = Table(
    "leases",
    metadata,
    Column("name", Name, primary_key=True, comment="what only one engine may do at a time"),
    Column("holder", Name, nullable=False),
    Column("until", UtcDateTime, nullable=False),
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
    Column("id", Serial, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("call_id", Name),
    Column("kind", Name, nullable=False),
    Column("data", Text, nullable=False, comment="JSON"),
    sqlite_autoincrement=True,
)
Index("ix_events_call_id", events.c.call_id, events.c.id, **where(events.c.call_id.is_not(None)))

OFFERS: Final = events.c.kind.in_(
    [literal_column(f"'{kind}'") for kind in ("consent_asked", "consent_not_offered", "sms_withheld")]
)
"""What reports on the wait-time SMS count. An index is used where a query says just that."""

Index("ix_events_offers", events.c.at, **where(OFFERS))


checks: Final = Table(
    "store_checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("mark", Name, nullable=False, comment="what the last health check wrote"),
)
