"""What callers say: messages they leave, and talks that are recorded."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    Table,
)

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata

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
