"""Caps that are reached, as the API tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import web_rig
from web_rig import SITE, START, Rig

from ivr_engine.ports import Tx


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    yield made
    await made.store.close()


async def test_nothing_is_the_matter(rig: Rig) -> None:
    assert (await rig.get("/api/v1/alarms")).json() == {"items": []}


async def test_what_is_reached_today_and_until_when(rig: Rig) -> None:
    def count(tx: Tx) -> None:
        for n in range(100):
            tx.sms_counts.take(SITE.abuse.caps.counters(f"+4915112340{n // 20:03}"), START)
        yesterday = START - timedelta(days=1)
        for _ in range(20):
            tx.sms_counts.take(SITE.abuse.caps.counters("+4917612345678"), yesterday)

    await rig.store.run(count)
    items = (await rig.get("/api/v1/alarms")).json()["items"]
    assert len(items) == 1 + 5, "the prefix, and each number in it"
    assert items[0] == {
        "kind": "sms_cap_reached",
        "what": "100 SMS were asked for by numbers that begin with +491511234",
        "cap": "prefix",
        "whose": "+491511234",
        "limit": 100,
        "since": "2026-01-31T09:15:00Z",
        "until": "2026-02-01T00:00:00Z",
        "remedy": "look at these calls; block their numbers ('abuse.blocked'), "
        "or raise 'abuse.per_prefix' if they were real callers",
    }
    assert {item["cap"] for item in items[1:]} == {"number"}
