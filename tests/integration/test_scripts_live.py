"""That nothing is left behind, however it ends, and that ``scripts/run`` does what it says."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from scripts.stack import Asterisk, Ports
from scripts.stack.system import PROJECT
from tests.integration.sip import eventually

STARTER = """
import sys, time
from pathlib import Path
from scripts.stack import Asterisk, Ports

asterisk = Asterisk.start(folder=Path(sys.argv[1]), ports=Ports.free())
print(asterisk.pid, flush=True)
time.sleep(600)
"""


def processes_with(text: str) -> list[int]:
    """Ids of processes with ``text`` in their command line or environment."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in known and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def run_script(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``scripts/run`` to its end, for when it cannot start."""
    script = PROJECT / "scripts" / "run"
    return subprocess.run([script], env=env, capture_output=True, text=True, timeout=30, check=False)


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def mounts() -> str:
    return Path("/proc/mounts").read_text()


async def none_left(text: str) -> bool:
    return not processes_with(text)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_asterisk_ends_with_whoever_started_it(tmp_path: Path, how: signal.Signals) -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTER, str(tmp_path / "asterisk")),
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert starter.stdout is not None
    async with asyncio.timeout(60):
        asterisk = int(await starter.stdout.readline())
    assert runs(asterisk)
    starter.send_signal(how)
    await starter.wait()

    async def gone() -> bool:
        return not runs(asterisk)

    await eventually(gone)
    await eventually(lambda: none_left(str(tmp_path)))
    assert str(tmp_path) not in mounts()


def test_asterisk_hears_on_the_loopback_only_and_is_not_root(own_asterisk: Asterisk) -> None:
    status = Path(f"/proc/{own_asterisk.pid}/status").read_text()
    uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
    assert uid != "0"
    assert f"127.0.0.1:{own_asterisk.sip_port}" in own_asterisk.cli("pjsip show transports")
    assert "Server Enabled and Bound to 127.0.0.1:" in own_asterisk.cli("http show status")


def test_it_comes_back_from_a_crash_with_the_same_address(own_asterisk: Asterisk) -> None:
    before = own_asterisk.pid
    own_asterisk.kill()
    assert not own_asterisk.running()
    own_asterisk.restart()
    assert own_asterisk.running()
    assert own_asterisk.pid != before


async def test_run_takes_calls_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    ports = Ports.free()
    http, simulator = Ports.free().http, Ports.free().http
    env = {name: value for name, value in os.environ.items() if not name.startswith("IVR_")} | {
        "IVR_STATE": str(tmp_path / "state"),
        "IVR_SIP_PORT": str(ports.sip),
        "IVR_ARI_PORT": str(ports.http),
        "IVR_RTP_PORTS": f"{ports.rtp_start}-{ports.rtp_end}",
        "IVR_HTTP_PORT": str(http),
        "IVR_SIMULATOR_PORT": str(simulator),
    }
    script = await asyncio.create_subprocess_exec(
        PROJECT / "scripts" / "run",
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    assert script.stderr is not None
    said = ""
    async with asyncio.timeout(120):
        while "Ctrl-C ends all of it" not in said:
            line = await script.stderr.readline()
            assert line, said
            said += line.decode()
    assert f"sip:700@127.0.0.1:{ports.sip}" in said
    token = (tmp_path / "state/secrets/api_token").read_text().strip()
    assert token in said
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        async with session.get(f"http://127.0.0.1:{http}/health") as answer:
            assert answer.status == 200
        async with session.get(f"http://127.0.0.1:{http}/api/v1/calls") as answer:
            assert (await answer.json())["items"] == []
    again = await asyncio.to_thread(run_script, env)
    assert again.returncode == 1
    assert "runs already" in again.stderr
    # As the terminal does it: to the whole group.
    os.killpg(script.pid, signal.SIGINT)
    async with asyncio.timeout(30):
        await script.communicate()
    assert script.returncode == 0
    await eventually(lambda: none_left(str(tmp_path)))


def test_run_names_a_port_that_is_taken(tmp_path: Path, own_asterisk: Asterisk) -> None:
    env = {**os.environ, "IVR_STATE": str(tmp_path / "state"), "IVR_SIP_PORT": str(own_asterisk.sip_port)}
    env |= {"IVR_HTTP_PORT": str(Ports.free().http), "IVR_ARI_PORT": str(Ports.free().http)}
    env |= {"IVR_SIMULATOR_PORT": str(Ports.free().http)}
    done = run_script(env)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"UDP port {own_asterisk.sip_port} is taken; end what uses it, or set IVR_SIP_PORT to another one."
    )
