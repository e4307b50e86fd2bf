"""Who wants no texts, and who asked to be forgotten."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, Text

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata, where

opt_outs: Final = Table(
    "opt_outs",
    metadata,
    Column("id", Name, primary_key=True),
    Column("number", Name, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("how", Name, nullable=False),
    Column("wording", Text, nullable=False),
    Column("actor", Name, nullable=False),
    Column("language", Name, comment="of the confirmation"),
    Column("resumed_at", UtcDateTime, comment="none: it stands"),
    Column("resumed_how", Name),
    Column("resumed_wording", Text),
    Column("resumed_actor", Name),
)
STANDS: Final = opt_outs.c.resumed_at.is_(None)
Index("uq_opt_outs_standing", opt_outs.c.number, unique=True, **where(STANDS))
Index(None, opt_outs.c.number, opt_outs.c.since)
Index(None, opt_outs.c.since, opt_outs.c.id)


erasures: Final = Table(
    "erasures",
    metadata,
    Column("id", Name, primary_key=True),
    Column("number", Name, nullable=False, comment="its pseudonym once it is done"),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Name, nullable=False),
    Column("state", Name, nullable=False),
    Column("deleted", Text, nullable=False, comment="JSON: how many of what"),
    Column("waits_for", Name),
    Column("done_at", UtcDateTime),
)
Index("ix_erasures_open", erasures.c.at, erasures.c.id, **where(erasures.c.done_at.is_(None)))


ledger_gate: Final = Table(
    "ledger_gate",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("consents_before", UtcDateTime, nullable=False, comment="older ones may be deleted now"),
)
"""Empty but within a transaction that deletes proofs which are too old: a trigger looks into it."""
