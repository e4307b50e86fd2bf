"""The configuration in the API: whether it is in force, and its flows as pictures."""

from __future__ import annotations

from pathlib import Path

import web_rig

from ivr_engine.domain.records import replace
from ivr_engine.errors import ConfigError, Refused
from ivr_engine.site.reload import State
from ivr_engine.web.app import create_app
from ivr_engine.web.site import site_router

WRONG = State(7, (ConfigError("config/site.yaml", 3, "is no country", "write DE"),))


def rig_with(tmp_path: Path, state: State) -> web_rig.Rig:
    async def reload(_within_s: float) -> State:
        return state

    def draw(flow: str) -> str:
        if flow != "main":
            raise Refused(f"no flow {flow!r}", missing=True)
        return "<svg/>"

    rig = web_rig.make(tmp_path)
    router = site_router(lambda: state, reload, draw)
    services = replace(rig.app.state.services, more=(router,))
    return replace(rig, app=create_app(services))


async def test_what_is_not_in_force_is_told_with_file_line_and_remedy(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, WRONG)
    problem = {"file": "config/site.yaml", "line": 3, "what": "is no country", "remedy": "write DE"}
    expected = {"ok": False, "loading": False, "version": 7, "problems": [problem]}
    assert (await rig.get("/api/v1/site")).json() == expected


async def test_a_flow_is_shown_as_a_picture_that_does_nothing(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, State(1))
    answer = await rig.get("/api/v1/site/flows/main.svg")
    assert answer.text == "<svg/>"
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    await rig.get("/api/v1/site/flows/mian.svg", 404)
    async with rig.client(token=False) as client:
        assert (await client.get("/api/v1/site/flows/main.svg")).status_code == 401
