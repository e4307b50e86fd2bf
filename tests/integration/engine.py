"""The engine and the SMS simulator as processes of their own, beside a real Asterisk.

A ``House`` has a site made from the example in ``config/``, ports nobody uses, and a folder for all it
writes. Its engine can be killed, ended and started again; the site, the state and the ports stay.
"""

from __future__ import annotations

import copy
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

from scripts.stack import Asterisk, ports
from tests.sipp.stage import sound_files

PROJECT: Final = Path(__file__).resolve().parents[2]
UP_S: Final = 60.0
STOP_S: Final = 15.0
"""A stopping engine is out in this time, with however many callers on the line."""

COMMAND_S: Final = 60.0

Site = dict[str, Any]

in_memory: Path | None = None
"""A folder for what engines store, where it is not to be on a disk: a busy one keeps each commit waiting for
seconds, and what a power cut would leave concerns no test."""

STARTER: Final = ThreadPoolExecutor(1, "starter")
"""Processes are told to end when the thread that started them ends, so also when the tests are killed; this
thread ends with the tests, others as soon as a test is over."""


class NotUp(AssertionError):
    """A process did not start, or did not stop; the end of its log is in the text."""


@dataclass
class House:
    """Everything but Asterisk. ``application``: the engine's name in ARI."""

    asterisk: Asterisk
    folder: Path
    site: Site
    application: str = "ivr-test"
    prompts: Path = PROJECT / "prompts"
    program: Sequence[str] = ("-m", "ivr_engine")
    """What Python runs as the engine; a test of faults has its own."""
    database_url: str = ""
    """Empty: SQLite in the state folder."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the engine is told beyond what every test needs."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    http_port: int = field(default_factory=lambda: free_tcp_port())
    simulator_port: int = field(default_factory=lambda: free_tcp_port())
    engine: subprocess.Popen[bytes] | None = None
    simulator: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.config.mkdir(parents=True)
        (self.config / "site.yaml").write_text(yaml.safe_dump(self.site, allow_unicode=True))

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def sounds(self) -> Path:
        return self.asterisk.sounds_dir

    @property
    def state(self) -> Path:
        return self.folder / "state" if in_memory is None else in_memory / f"state-{self.http_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Simulator and engine; returns when calls can be taken."""
        assert self.engine is None, "it runs already"
        self._render()
        if self.simulator is None:
            self.simulator = self._spawn("simulator")
        self.engine = self._spawn("run")
        self._wait_for(self.simulator, f"http://127.0.0.1:{self.simulator_port}/health", "simulator")
        self._wait_for(self.engine, f"{self.url}/health", "run")

    def start_engine(self) -> None:
        """The engine alone; returns when ``/health`` says yes."""
        assert self.engine is None, "it runs already"
        self.engine = self._spawn("run")
        self._wait_for(self.engine, f"{self.url}/health", "run")

    def kill_engine(self) -> None:
        """As a crash: SIGKILL."""
        self._end_engine(signal.SIGKILL)

    def stop_engine(self) -> float:
        """As an admin would: SIGTERM. Returns the seconds it took; ``NotUp`` beyond 15 s."""
        began = time.monotonic()
        self._end_engine(signal.SIGTERM)
        return time.monotonic() - began

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command as an admin would give it beside this engine, or in its place."""
        return subprocess.run(
            [sys.executable, "-m", "ivr_engine", *arguments],
            cwd=PROJECT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def log(self, command: str = "run") -> str:
        """What the process has logged, over all its lives."""
        file = self.folder / f"{command}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        """End both processes."""
        for process in (self.engine, self.simulator):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.engine = self.simulator = None

    def __enter__(self) -> House:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def environment(self) -> dict[str, str]:
        """What the engine's commands read."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("IVR_")},
            "IVR_CONFIG": str(self.config),
            "IVR_PROMPTS": str(self.prompts),
            "IVR_STATE": str(self.state),
            "IVR_SOUNDS": str(self.sounds),
            "IVR_ARI_URL": self.asterisk.ari_url,
            "IVR_ARI_USER": self.asterisk.ari_user,
            "IVR_ARI_PASSWORD": self.asterisk.ari_password,
            "IVR_ARI_APP": self.application,
            "IVR_SIP_PORT": str(self.asterisk.sip_port),
            "IVR_HTTP_PORT": str(self.http_port),
            "IVR_API_TOKEN": self.token,
            "IVR_SIMULATOR_URL": f"http://127.0.0.1:{self.simulator_port}",
            "IVR_SIMULATOR_SECRET": self.secret,
            "IVR_DATABASE_URL": self.database_url,
            "IVR_LOG": "json",
            **self.variables,
        }

    def _end_engine(self, how: signal.Signals) -> None:
        assert self.engine is not None, "it does not run"
        self.engine.send_signal(how)
        try:
            self.engine.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise NotUp(f"not out within {STOP_S:g} s of {how.name}: {self.log()[-3000:]}") from None
        self.engine = None

    def _render(self) -> None:
        """One at a time: of those who test side by side each would make all prompts."""
        with self.sounds.with_name(f"{self.sounds.name}.turn").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            sound_files(self.config, self.prompts, self.sounds)

    def _spawn(self, command: str) -> subprocess.Popen[bytes]:
        return STARTER.submit(self._start_process, command).result()

    def _start_process(self, command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", sys.executable, *self.program, command],
                cwd=PROJECT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait_for(self, process: subprocess.Popen[bytes], url: str, command: str) -> None:
        deadline = time.monotonic() + UP_S
        while not _answers(url):
            if process.poll() is not None:
                raise NotUp(f"ivr-engine {command} ended: {self.log(command)[-3000:]}")
            if time.monotonic() > deadline:
                raise NotUp(f"ivr-engine {command} is not up: {self.log(command)[-3000:]}")
            time.sleep(0.05)


def example_site() -> Site:
    """The example site of ``config/``, to be changed and given to a ``House``; its number sends as fast as
    the simulator takes texts, as many as callers ask for."""
    site: Site = {}
    for file in sorted((PROJECT / "config").glob("*.yaml")):
        # Every value as it is written: as YAML's own types, +4915735990001 would lose its plus.
        site |= yaml.load(file.read_text(), yaml.BaseLoader)
    site["sms_numbers"] = {site["sms"]["sender"]: {"label": "Tests", "direction": "outbound", "rate": "1000"}}
    site["abuse"] = {"per_number": "0", "per_prefix": "0"}
    return site


def with_queue(site: Site, name: str, number: str, *, agents: int = 0, **changes: object) -> list[str]:
    """Add a queue like ``support``, a number that leads there and agents of its own; returns their names."""
    site["queues"][name] = {**copy.deepcopy(site["queues"]["support"]), "label": name, **changes}
    site["numbers"][number] = {"queue": name}
    names = [f"{name}-{which}" for which in range(1, agents + 1)]
    for agent in names:
        site["agents"][agent] = {"label": agent, "queues": [name]}
    return names


def short_prompts(folder: Path, **texts: str) -> Path:
    """The example's prompts in ``folder``, English ones replaced by these (shorter) ``texts``."""
    shutil.copytree(PROJECT / "prompts", folder)
    file = folder / "en" / "texts.yaml"
    changed = yaml.load(file.read_text(), yaml.BaseLoader) | texts
    file.write_text(yaml.safe_dump(changed, allow_unicode=True))
    return folder


def free_tcp_port() -> int:
    """A TCP port nobody uses now."""
    return ports.free(socket.SOCK_STREAM)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
