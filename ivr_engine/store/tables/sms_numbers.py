"""Numbers of ours that texts are sent from and come to."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from ivr_engine.store.tables.columns import Name, UtcDateTime, metadata

sms_numbers: Final = Table(
    "sms_numbers",
    metadata,
    Column("number", Name, nullable=False),
    Column("provider", Name, nullable=False, comment="another one has to be asked anew"),
    Column("verified_at", UtcDateTime),
    Column("verified_by", Text),
    Column("verified_how", Name),
    Column("code", Text, comment="JSON: the hash of a code under way, until when, tries"),
    Column("codes_at", Text, comment="JSON: when the last codes were sent"),
    Column("trouble", Text, comment="what the provider said against it"),
    PrimaryKeyConstraint("number", "provider"),
)
