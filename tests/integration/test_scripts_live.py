"""That nothing is left behind, however it ends, and that ``scripts/run`` does what it says."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr_engine.sipp.ears import MUSIC, NOTHING
from ivr_engine.sipp.process import Server
from scripts.stack import Asterisk, Ports, StackError
from scripts.stack.system import PROJECT
from tests.integration.sip import eventually
from tests.sipp.api import api_of, until
from tests.sipp.stage import Stage, library_of

STARTER = """
import signal, sys, time
from pathlib import Path
from scripts.stack import Asterisk, Ports

# Whoever is started in the background of a shell is deaf to Ctrl-C, and so are its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
asterisk = Asterisk.start(folder=Path(sys.argv[1]), ports=Ports.free())
print(asterisk.pid, flush=True)
# One long sleep would miss a signal that comes after Python last looked and before the system's call.
while True:
    time.sleep(0.1)
"""

ENGINE_STARTER = """
import sys, threading, time
from contextlib import redirect_stdout
from pathlib import Path
from scripts.stack import from_environment
from tests.integration.engine import House, example_site

# The first who makes the prompts says so, and the port is to be the only line.
with redirect_stdout(sys.stderr):
    house = House(from_environment(), Path(sys.argv[1]), example_site(), application="ivr-orphan")
    thread = threading.Thread(target=house.start)
    thread.start()
    thread.join()
print(house.http_port, flush=True)
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
    return subprocess.run([script], env=env, capture_output=True, text=True, timeout=60, check=False)


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
    async with asyncio.timeout(120):
        asterisk = int(await starter.stdout.readline())
    assert runs(asterisk)
    starter.send_signal(how)
    async with asyncio.timeout(30):
        await starter.wait()

    async def gone() -> bool:
        return not runs(asterisk)

    await eventually(gone, within_s=30)
    await eventually(lambda: none_left(str(tmp_path)), within_s=30)
    assert str(tmp_path) not in mounts()


def test_a_sip_port_taken_at_the_last_moment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk itself goes on without it, and answers over ARI as if all were well."""

    def too_early(_ports: Ports, _network: object) -> None:
        """It was free when it was looked at."""

    monkeypatch.setattr(Ports, "check", too_early)
    ports = Ports.free()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ports.sip))
        with pytest.raises(StackError, match=f"does not listen on UDP port {ports.sip}"):
            Asterisk.start(folder=tmp_path / "asterisk", ports=ports)


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


async def test_an_engine_of_the_tests_ends_with_them_and_not_before(
    asterisk: Asterisk, tmp_path: Path
) -> None:
    named = {
        "IVR_ARI_URL": asterisk.ari_url,
        "IVR_ARI_USER": asterisk.ari_user,
        "IVR_ARI_PASSWORD": asterisk.ari_password,
        "IVR_SIP_PORT": str(asterisk.sip_port),
        "IVR_SOUNDS": str(asterisk.sounds_dir),
    }
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENGINE_STARTER, str(tmp_path / "house")),
        cwd=PROJECT,
        env=os.environ | named,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert starter.stdout is not None
        async with asyncio.timeout(120):
            port = int(await starter.stdout.readline())
        async with api_of(f"http://127.0.0.1:{port}", "") as api:
            await until(api.healthy, what="it has outlived the thread that asked for it")
    finally:
        starter.kill()
        await starter.wait()
    await eventually(lambda: none_left(str(tmp_path)), within_s=30)


@dataclass(frozen=True)
class Script:
    """``scripts/run``, ready for calls, with the ports and the state it was given."""

    process: asyncio.subprocess.Process
    env: dict[str, str]
    lines: list[str]

    @property
    def said(self) -> str:
        return "".join(self.lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['IVR_HTTP_PORT']}"

    @property
    def state(self) -> Path:
        return Path(self.env["IVR_STATE"])

    @property
    def token(self) -> str:
        return (self.state / "secrets/api_token").read_text().strip()

    async def says(self, words: str, within_s: float = 60) -> None:
        async def said() -> bool:
            return words in self.said

        try:
            await eventually(said, within_s)
        except TimeoutError:
            raise AssertionError(f"not said within {within_s:g} s: {words!r}\n{self.said}") from None

    async def ctrl_c(self) -> int | None:
        """As the terminal does it: to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)
        async with asyncio.timeout(30):
            return await self.process.wait()

    async def listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())


@asynccontextmanager
async def scripts_run(state: Path, **variables: str) -> AsyncGenerator[Script]:
    ports = Ports.free()
    env = {name: value for name, value in os.environ.items() if not name.startswith("IVR_")} | {
        "IVR_STATE": str(state),
        "IVR_SIP_PORT": str(ports.sip),
        "IVR_ARI_PORT": str(ports.http),
        "IVR_RTP_PORTS": f"{ports.rtp_start}-{ports.rtp_end}",
        "IVR_HTTP_PORT": str(Ports.free().http),
        "IVR_SIMULATOR_PORT": str(Ports.free().http),
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        PROJECT / "scripts" / "run",
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    script = Script(process, env, [])
    listening = asyncio.create_task(script.listen())
    try:
        await script.says("Ctrl-C ends all of it", within_s=180)
        yield script
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        await listening


async def test_run_takes_calls_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    async with scripts_run(tmp_path / "state") as script:
        assert f"sip:700@127.0.0.1:{script.env['IVR_SIP_PORT']}" in script.said
        assert script.token in script.said
        async with api_of(script.url, script.token) as api:
            await until(api.healthy, what="calls can be taken")
            assert await api.open_calls() == []
        again = await asyncio.to_thread(run_script, script.env)
        assert again.returncode == 1
        assert "runs already" in again.stderr
        assert await script.ctrl_c() == 0
    await eventually(lambda: none_left(str(tmp_path)), within_s=30)


async def test_an_engine_that_was_replaced_takes_nothing_down_with_it(tmp_path: Path, sounds: Path) -> None:
    """Somebody starts a second engine with the same name: it gets the callers, and they notice nothing."""
    async with scripts_run(tmp_path / "state", IVR_SOUNDS=str(sounds)) as script:
        library = await library_of(PROJECT / "config", PROJECT / "prompts", sounds)
        other = f"http://127.0.0.1:{Ports.free().http}"
        async with api_of(script.url, script.token) as api, api_of(other, script.token) as other_api:
            stage = Stage(
                server=Server(int(script.env["IVR_SIP_PORT"])),
                api=other_api,
                library=library,
                folder=tmp_path,
                number="700",
                agents=(),
            )
            async with stage.caller("led") as caller:
                await caller.hears(MUSIC)
                [before] = await api.open_calls()
                second = await second_engine(script, other)
                try:
                    await script.says("Another engine has taken this one's name")
                    await until(other_api.healthy, what="the other engine takes calls", within=30)
                    caller.ear.forgets()
                    after = await caller.call_is(state="waiting", position=1)
                    assert (after["id"], after["entered_at"]) == (before["id"], before["entered_at"])
                    await caller.hears_position(within=60)
                    await caller.hears(MUSIC)
                    assert not await api.healthy()
                    assert caller.ear.longest(NOTHING) < 1.0, caller.ear.story()
                    await caller.hangs_up()
                finally:
                    second.terminate()
                    await second.wait()
        assert script.process.returncode is None
        assert "it is started again" not in script.said
        assert await script.ctrl_c() == 0
    await eventually(lambda: none_left(str(tmp_path)), within_s=30)


async def second_engine(script: Script, url: str) -> asyncio.subprocess.Process:
    """Another engine of the same name and state, started by hand beside ``scripts/run``."""
    env = script.env | {
        "IVR_HTTP_PORT": url.rpartition(":")[2],
        "IVR_ARI_URL": f"http://127.0.0.1:{script.env['IVR_ARI_PORT']}/ari",
        "IVR_SIMULATOR_URL": f"http://127.0.0.1:{script.env['IVR_SIMULATOR_PORT']}",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ivr_engine", "run", cwd=PROJECT, env=env
    )


def test_run_names_a_port_that_is_taken(tmp_path: Path, own_asterisk: Asterisk) -> None:
    env = {**os.environ, "IVR_STATE": str(tmp_path / "state"), "IVR_SIP_PORT": str(own_asterisk.sip_port)}
    env |= {"IVR_HTTP_PORT": str(Ports.free().http), "IVR_ARI_PORT": str(Ports.free().http)}
    env |= {"IVR_SIMULATOR_PORT": str(Ports.free().http)}
    done = run_script(env)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"UDP port {own_asterisk.sip_port} on 127.0.0.1 cannot be used: end what uses it or set "
        "IVR_SIP_PORT, and let IVR_SIP_HOST be an address of this machine."
    )
