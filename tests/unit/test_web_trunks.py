"""Lines to the world, as the API, /health and /metrics tell of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import web_rig
from prometheus_client import generate_latest

from ivr_engine.domain.records import replace
from ivr_engine.domain.trunks import Trunk, TrunkState
from ivr_engine.errors import ExternalError
from ivr_engine.observability.metrics import Metrics
from ivr_engine.web.app import create_app
from ivr_engine.web.trunks import trunks_check

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
UP = Trunk(name="pbx", state=TrunkState.UP, why="", since=NOON)
DOWN = Trunk(name="sipgate", state=TrunkState.DOWN, why="the registration is 'Rejected'", since=NOON)


async def test_the_api_shows_every_trunk(tmp_path: Path) -> None:
    rig = web_rig.make(tmp_path)
    services = replace(rig.app.state.services, trunks=lambda: (UP, DOWN))
    rig = replace(rig, app=create_app(services))
    assert (await rig.get("/api/v1/trunks")).json()["items"] == [
        {"name": "pbx", "state": "up", "why": "", "since": "2026-01-31T12:00:00Z"},
        {"name": "sipgate", "state": "down", "why": DOWN.why, "since": "2026-01-31T12:00:00Z"},
    ]
    async with rig.client(token=False) as client:
        assert (await client.get("/api/v1/trunks")).status_code == 401


async def test_a_trunk_that_is_down_is_an_alarm_as_long_as_it_lasts(tmp_path: Path) -> None:
    rig = web_rig.make(tmp_path)
    unseen = replace(DOWN, name="unseen", state=TrunkState.UNKNOWN)
    trunks = [UP, DOWN, unseen]
    services = replace(rig.app.state.services, trunks=lambda: trunks)
    rig = replace(rig, app=create_app(services))
    [alarm] = (await rig.get("/api/v1/alarms")).json()["items"]
    assert (alarm["kind"], alarm["whose"]) == ("trunk_down", "sipgate")
    assert alarm["since"] == "2026-01-31T12:00:00Z"
    assert alarm["what"] == "the line sipgate is down: the registration is 'Rejected'"
    assert "pjsip show registrations" in alarm["remedy"]
    trunks[1] = replace(DOWN, state=TrunkState.UP)
    assert (await rig.get("/api/v1/alarms")).json() == {"items": []}


async def test_a_trunk_that_is_down_does_not_make_the_engine_failing(tmp_path: Path) -> None:
    await trunks_check(lambda: (UP,)).probe()
    check = trunks_check(lambda: (UP, DOWN))
    with pytest.raises(ExternalError, match="sipgate"):
        await check.probe()
    async with web_rig.make(tmp_path, checks=(check,)).client(token=False) as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["checks"][0]["ok"] is False
    assert "sipgate" not in answer.text


def test_metrics_tell_each_trunk_that_is_known() -> None:
    metrics = Metrics()
    metrics.follow_trunks(lambda: {"pbx": True, "sipgate": False})
    page = generate_latest(metrics.registry).decode()
    assert 'ivr_trunk_up{trunk="pbx"} 1.0' in page
    assert 'ivr_trunk_up{trunk="sipgate"} 0.0' in page
