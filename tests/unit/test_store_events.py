"""Happenings as JSON rows, also those of another version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast, get_args

import pytest
from sqlalchemy import insert

from ivr_engine.domain.events import CallStarted, Happening, Unrecognised
from ivr_engine.ports import Tx
from ivr_engine.store import connect
from ivr_engine.store.events import kind_of
from ivr_engine.store.tables import events
from ivr_engine.store.transaction import Transaction

NOW = datetime(2025, 3, 1, tzinfo=UTC)


def test_kinds_are_names_in_snake_case_and_all_different() -> None:
    kinds = {kind_of(cls) for cls in get_args(Happening)}
    assert len(kinds) == len(get_args(Happening))
    assert {"call_started", "consent_not_offered", "message_status_changed"} <= kinds


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        ("hologram_shown", '{"colour":"red"}', Unrecognised('{"colour":"red"}')),
        ("call_started", '{"caller":null,"number":"7","new":1}', CallStarted(None, "7")),
        ("call_started", '{"caller":7}', Unrecognised('{"caller":7}')),
        ("call_started", "{", Unrecognised("{")),
    ],
    ids=["unknown kind", "unknown field", "other fields", "not JSON"],
)
async def test_what_a_newer_version_wrote_does_not_stop_the_reading(
    kind: str, data: str, what: object
) -> None:
    store = connect("sqlite://")

    def write(tx: Tx) -> None:
        row = {"at": NOW, "call_id": "c", "kind": kind, "data": data}
        cast("Transaction", tx).statements.write(insert(events), row)
        tx.events.add(NOW, "c", CallStarted(None, "8"))

    await store.run(write)
    found = await store.run(lambda tx: tx.events.of_call("c"))
    assert [(event.kind, event.what) for event in found] == [
        (kind, what),
        ("call_started", CallStarted(None, "8")),
    ]
    await store.close()
