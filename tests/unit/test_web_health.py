"""/health says yes only when calls can be taken, quickly, whatever its checks do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import web_rig
from structlog.testing import capture_logs

from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.sim.life import Life
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.telephony import SimTelephony
from ivr_engine.web import health
from ivr_engine.web.health import Check, HealthBoard, disk_check, prompts_check, socket_check
from tests.flow.centre import virtual


class Probe:
    """A check under control: counts, fails, hangs."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> None:
        self.asked += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error

    def check(self, name: str = "thing", *, needed: bool = True) -> Check:
        return Check(name, self, f"{name} is not well", needed=needed)


@pytest.mark.parametrize(
    ("error", "needed", "status"),
    [
        (None, True, 200),
        (Unreachable("at +4915112345678, password=x"), True, 503),
        (OSError("no"), True, 503),
        (ExternalError("no"), False, 200),
    ],
)
async def test_a_needed_check_decides(
    tmp_path: Path, error: Exception | None, needed: bool, status: int
) -> None:
    probe = Probe()
    probe.error = error
    rig = web_rig.make(tmp_path, checks=(probe.check(needed=needed), Probe().check("other")))
    async with rig.client(token=False) as client:
        answer = await client.get("/health")
    assert answer.status_code == status
    assert answer.json()["status"] == ("ok" if status == 200 else "failing")
    thing, other = answer.json()["checks"]
    assert thing["ok"] == (error is None)
    assert thing["detail"] == ("ok" if error is None else "thing is not well")
    assert other["ok"] is True
    assert "4915112345678" not in answer.text
    await rig.store.close()


async def test_answers_are_kept_for_a_moment() -> None:
    now, probe = [0.0], Probe()
    board = HealthBoard((probe.check(),), monotonic=lambda: now[0])
    await asyncio.gather(*(board.look() for _ in range(50)))
    assert probe.asked == 1
    now[0] += health.KEPT_S
    await board.look()
    assert probe.asked == 2


async def test_a_check_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_ANSWERS_S", 0.01)
    hanging, other = Probe(), Probe()
    hanging.may_answer.clear()
    board = HealthBoard((hanging.check(), other.check("other")))
    findings = await board.look()
    assert [(f.name, f.ok) for f in findings] == [("thing", False), ("other", True)]


async def test_it_gets_well_again() -> None:
    now, probe = [0.0], Probe()
    probe.error = Unreachable("gone")
    board = HealthBoard((probe.check(),), monotonic=lambda: now[0])
    assert not (await board.look())[0].ok
    probe.error = None
    now[0] += health.KEPT_S
    assert (await board.look())[0].ok


async def test_the_log_tells_of_what_was_well_or_does_not_get_well() -> None:
    """Not of what only has not come up yet."""
    now, probe = [0.0], Probe()
    probe.error = Unreachable("not open")
    board = HealthBoard((probe.check(),), monotonic=lambda: now[0])

    async def told(seconds: float, error: Exception | None) -> list[str]:
        now[0] += seconds
        probe.error = error
        with capture_logs() as lines:
            await board.look()
        return [line["event"].removeprefix("health.check_") for line in lines]

    assert await told(1, Unreachable("not yet")) == []
    assert await told(1, None) == []
    assert await told(1, Unreachable("gone")) == ["failed"]
    assert await told(1, Unreachable("still")) == []
    assert await told(1, None) == ["passes_again"]
    other = HealthBoard((probe.check(),), monotonic=lambda: now[0])
    probe.error = Unreachable("never")
    with capture_logs() as lines:
        await other.look()
        now[0] += health.STARTING_S
        await other.look()
    assert [line["log_level"] for line in lines] == ["error"]


async def test_disk_and_prompts(tmp_path: Path) -> None:
    board = HealthBoard(
        (
            disk_check(tmp_path, free_mb=0),
            disk_check(tmp_path, free_mb=10**12),
            disk_check(tmp_path / "missing"),
            prompts_check(lambda: True),
            prompts_check(lambda: False),
        )
    )
    assert [f.ok for f in await board.look()] == [True, False, False, True, False]


@virtual
async def test_no_calls_can_be_taken_while_the_application_socket_is_away() -> None:
    now = [0.0]
    telephony = SimTelephony(SimSwitch(), "ivr-1", Life())
    board = HealthBoard((socket_check(telephony),), monotonic=lambda: now[0])
    found: list[bool] = []
    for look in range(3):
        if look == 1:
            telephony.lose_connection(5.0)
        await asyncio.sleep(4.0)
        now[0] += health.KEPT_S
        found += [finding.ok for finding in await board.look()]
    assert found == [True, False, True]


async def test_a_store_that_cannot_be_written_is_503(tmp_path: Path) -> None:
    rig = web_rig.make(tmp_path)
    await rig.store.close()
    async with rig.client() as client:
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["checks"][0]["name"]) == (503, "store")
        refused = await client.get("/api/v1/calls")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        metrics = await client.get("/metrics")
        assert (metrics.status_code, "ivr_store_up 0.0" in metrics.text) == (200, True)
