"""What systemd hears, on a real socket; and the units, as systemd reads them."""

from __future__ import annotations

import asyncio
import configparser
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.watchdog import watch
from ivr_engine.observability import service_manager
from ivr_engine.observability.service_manager import ALIVE, READY, STOPPING, ServiceManager

UNITS = Path(__file__).parents[2] / "systemd"
HEARD_S = 5.0


class Systemd:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    async def hears(self) -> str:
        async with asyncio.timeout(HEARD_S):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 1000)).decode()

    def silent(self) -> bool:
        try:
            return not self._socket.recv(1000)
        except BlockingIOError:
            return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify"))
    yield made
    made.close()


def saying(*answers: bool) -> Callable[[], Awaitable[bool]]:
    """One answer after the other, then the last for ever."""
    left = list(answers)

    async def say() -> bool:
        return left.pop(0) if len(left) > 1 else left[0]

    return say


async def test_ready_when_calls_can_be_taken_then_signs_of_life(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_manager, "LOOK_S", 0.001)
    manager = ServiceManager.from_environ({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "3000"})
    assert manager.watchdog_s == pytest.approx(0.003)
    reporting = asyncio.create_task(manager.report(saying(False, False, True), saying(True)))
    assert [await systemd.hears() for _ in range(3)] == [READY, ALIVE, ALIVE]
    reporting.cancel()
    await asyncio.wait([reporting])
    while not systemd.silent():
        pass
    manager.tell(STOPPING)
    assert await systemd.hears() == STOPPING


async def test_no_sign_of_life_while_a_new_process_would_be_better(systemd: Systemd) -> None:
    asked: list[bool] = []

    async def alive() -> bool:
        asked.append(len(asked) >= 3)
        return asked[-1]

    reporting = asyncio.create_task(ServiceManager(systemd.address, 0.003).report(saying(True), alive))
    assert await systemd.hears() == READY
    assert await systemd.hears() == ALIVE
    assert asked[:4] == [False, False, False, True]
    reporting.cancel()
    await asyncio.wait([reporting])


async def test_the_watchdog_lives_whether_asterisk_answers_or_not(systemd: Systemd) -> None:
    nobody = AriSettings(url="http://127.0.0.1:1/ari", user="ivr", password="none", application="watchdog")
    watching = asyncio.create_task(watch(nobody, manager=ServiceManager(systemd.address, 0.003)))
    assert [await systemd.hears() for _ in range(3)] == [READY, ALIVE, ALIVE]
    watching.cancel()
    await asyncio.wait([watching])
    assert watching.cancelled()


async def test_an_abstract_address_is_reached(tmp_path: Path) -> None:
    systemd = Systemd(f"@ivr-engine-{tmp_path.name}-{id(tmp_path)}")
    ServiceManager(systemd.address).tell(READY)
    assert await systemd.hears() == READY
    systemd.close()


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all"])
def test_without_systemd_nobody_is_told_and_nothing_fails(address: str | None) -> None:
    ServiceManager(address).tell(READY)


@pytest.mark.parametrize("written", ["", "0", "soon", "-1"])
def test_a_watchdog_that_makes_no_sense_is_none(written: str) -> None:
    assert ServiceManager.from_environ({"WATCHDOG_USEC": written}).watchdog_s is None


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for program in ("ivr-engine", "python"):
        (tmp_path / program).touch(mode=0o755)
    for unit in UNITS.glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/ivr-engine/bin", str(tmp_path)))
    units = sorted(map(str, tmp_path.glob("*.service")))
    assert units
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if "ivr-" in line]
    assert not about_ours, done.stderr


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.stem)
def test_every_unit_is_hardened(unit: Path) -> None:
    service = _service(unit)
    assert service["NoNewPrivileges"] == service["ProtectHome"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    if unit.stem == "ivr-asterisk-configuration":  # writes Asterisk's files as root, and is over at once
        assert service["PrivateNetwork"] == "yes"
        assert set(service["CapabilityBoundingSet"].split()) == {
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
        }
    else:
        assert service["User"] == "ivr"
        assert service["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize("process", ["ivr-engine", "ivr-engine-watchdog"])
def test_systemd_hears_when_a_process_is_ready_and_starts_one_that_hangs_anew(process: str) -> None:
    service = _service(UNITS / f"{process}.service")
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] in ("always", "on-failure")


def test_asterisk_tells_when_it_is_ready() -> None:
    service = _service(UNITS / "asterisk.service.d" / "ivr-engine.conf")
    assert (service["Type"], service["Restart"]) == ("notify", "always")


def _service(unit: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(unit)
    return parser["Service"]
