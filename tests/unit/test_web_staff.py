"""Breaks, wrap-up and the emergency switch over the API, and their commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.events import WrappedUp
from ivr_engine.ports import Tx
from tests.unit.web_rig import START, Rig, fill, make

API = "/api/v1"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path)


async def agent(rig: Rig, action: str, reason: str | None = None, status: int = 200) -> dict[str, Any]:
    body = None if reason is None else {"reason": reason}
    answer: dict[str, Any] = (await rig.post(f"{API}/agents/anna/{action}", status, body)).json()
    return answer


async def test_a_break_with_a_reason_and_back(rig: Rig) -> None:
    assert "sign in first" in (await agent(rig, "break", "lunch", 409))["error"]["message"]
    await agent(rig, "sign-in")
    assert "one of lunch" in (await agent(rig, "break", None, 409))["error"]["message"]
    assert "the site has lunch" in (await agent(rig, "break", "golf", 404))["error"]["message"]
    away = await agent(rig, "break", "lunch")
    assert (away["state"], away["reason"], away["most_sms_sessions"]) == ("on_break", "lunch", 1)
    assert (await agent(rig, "back"))["state"] == "available"
    assert "neither" in (await agent(rig, "back", None, 409))["error"]["message"]
    await rig.post(f"{API}/agents/nobody/break", 404)
    await rig.post(f"{API}/agents/anna/break", 422, {"reason": "x" * 61})


async def test_a_wrap_up_ends_with_its_reason(rig: Rig) -> None:
    await agent(rig, "sign-in")

    def work(tx: Tx) -> None:
        anna = tx.agents.get("anna")
        assert anna is not None
        talking = anna.offered("c1", START, "support").connected(START)
        tx.agents.save(talking.released(rig.clock.now(), 60, reason_required=True))

    await rig.store.run(work)
    shown = (await rig.get(f"{API}/agents/anna")).json()
    assert (shown["state"], shown["reason_required"], shown["queue"], shown["calls_taken"]) == (
        "wrap_up",
        True,
        "support",
        1,
    )
    assert "must give a wrap-up reason" in (await agent(rig, "wrap-up", None, 409))["error"]["message"]
    assert (await agent(rig, "wrap-up", "sold"))["state"] == AgentState.AVAILABLE
    events = await rig.store.run(lambda tx: tx.events.of_call("c1"))
    assert [event.what for event in events] == [WrappedUp("anna", "sold")]


async def test_the_emergency_switch(rig: Rig) -> None:
    await fill(rig)
    closed = (await rig.post(f"{API}/queues/support/close", body={"prompt": "fire"})).json()
    assert (closed["name"], closed["closed"]["queue"], closed["closed"]["prompt"]) == (
        "support",
        "support",
        "fire",
    )
    assert (await rig.get(f"{API}/queues/sales")).json()["closed"] is None
    every = (await rig.post(f"{API}/queues/close")).json()
    assert [(i["queue"], i["prompt"]) for i in every["items"]] == [(None, "emergency"), ("support", "fire")]
    assert (await rig.get(f"{API}/queues/sales")).json()["closed"]["queue"] is None
    left = (await rig.post(f"{API}/queues/open")).json()
    assert [i["queue"] for i in left["items"]] == ["support"]
    assert (await rig.post(f"{API}/queues/support/open")).json()["closed"] is None
    assert (await rig.get(f"{API}/queues/closed")).json() == {"items": []}
    await rig.post(f"{API}/queues/nowhere/close", 404)
    await rig.post(f"{API}/queues/nowhere/open", 404)
