"""The way from the API to an engine that says it is draining."""

from __future__ import annotations

from pathlib import Path

import web_rig

from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError
from ivr_engine.web.app import create_app
from ivr_engine.web.drain import drain_router
from ivr_engine.web.health import DRAINING, Check


async def test_draining_is_begun_over_the_api_and_shown_by_health(tmp_path: Path) -> None:
    asked: list[int] = []

    def drain() -> int:
        asked.append(1)
        return 7

    async def probe() -> None:
        if asked:
            raise ExternalError("7 calls are left")

    check = Check(DRAINING, probe, "takes no new calls")
    rig = web_rig.make(tmp_path, checks=(check,))
    rig.app = create_app(replace(rig.services, more=(drain_router(drain),)))
    answer = await rig.post("/api/v1/drain")
    assert answer.json() == {"calls": 7}
    assert (await rig.get("/health", 503)).json()["status"] == "draining"
    async with rig.client(token=False) as client:
        assert (await client.post("/api/v1/drain")).status_code == 401
    await rig.store.close()
