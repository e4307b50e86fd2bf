"""One running Asterisk: started, waited for, spoken to, ended."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from dialplan.configure import DEBIAN_FOLDERS, LOOPBACK, Network, Settings, render
from scripts.stack.errors import StackError
from scripts.stack.fallback import TEXTS, fallback_sounds
from scripts.stack.ports import Ports
from scripts.stack.root import asterisk_root
from scripts.stack.system import as_root, environment, which

KEEPER = Path(__file__).with_name("keeper.py")
FOLDERS = {name: f"/mnt/{name}" for name in DEBIAN_FOLDERS}
"""Asterisk's folders in its own mount namespace: ``/mnt`` is a small tmpfs there, see ``keeper.py``."""
ARI_S = 20
"""How long ARI may take to answer once Asterisk has loaded everything."""


@dataclass(frozen=True)
class Asterisk:
    """An Asterisk to talk to. ``keeper`` is ``None`` for one that somebody else runs."""

    ari_url: str
    ari_user: str
    ari_password: str = field(repr=False)
    sip_port: int
    sounds_dir: Path
    """Where prompt files go: ``NAME.wav`` here is ``sound:ivr/NAME``."""
    folder: Path | None = None
    keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @staticmethod
    def start(
        *,
        folder: Path,
        ports: Ports,
        sounds_dir: Path | None = None,
        ari_password: str | None = None,
        ami_password: str = "",
        fallback_limit_s: int = 600,
        offer_ms: int = 500,
        fallback_texts: Path = TEXTS,
        network: Network | None = None,
    ) -> Asterisk:
        """Start one with its files in ``folder``; returns when calls can be taken.

        Raises ``StackError``.
        """
        network = network or Network()
        ports.check(network)
        root = asterisk_root()
        settings = Settings(
            ports=ports,
            network=network,
            folders=FOLDERS,
            ari_user="ivr",
            ari_password=ari_password or secrets.token_urlsafe(24),
            ami_password=ami_password,
            fallback_limit_s=fallback_limit_s,
            offer_ms=offer_ms,
        )
        render(settings, folder / "etc")
        sounds = sounds_dir or folder / "sounds"
        sounds.mkdir(parents=True, exist_ok=True)
        sounds.chmod(0o755)
        asterisk = Asterisk(
            ari_url=f"http://{reached_at(network.ari_host)}:{ports.http}/ari",
            ari_user=settings.ari_user,
            ari_password=settings.ari_password,
            sip_port=ports.sip,
            sounds_dir=sounds,
            folder=folder,
            keeper=_start_keeper(root, folder, sounds, fallback_sounds(fallback_texts)),
        )
        try:
            asterisk._answer()
            asterisk.restart()
        except BaseException:
            asterisk.stop()
            raise
        return asterisk

    def cli(self, command: str) -> str:
        """What Asterisk's console says to ``command``."""
        return str(self._order(do="cli", command=command)["output"])

    def running(self) -> bool:
        """Whether Asterisk runs."""
        return self.kept() and bool(self._order(do="running")["running"])

    def kept(self) -> bool:
        """Whether its keeper runs: without it there is nothing to restart, only to start anew."""
        return self.keeper is not None and self.keeper.poll() is None

    def kill(self) -> None:
        """End Asterisk as a crash would; its keeper stays, for ``restart``."""
        self._order(do="kill")

    def restart(self) -> None:
        """Start Asterisk (ending it first if it runs); returns when it takes calls. ``StackError``: it does
        not."""
        self._order(do="stop")
        self._order(do="start")
        self.wait_for_ari()
        self.cli("core waitfullybooted")
        if not any(word.endswith(f":{self.sip_port}") for word in self.cli("pjsip show transports").split()):
            # Somebody took the port after it was looked at: Asterisk goes on without it.
            raise StackError(f"Asterisk does not listen on UDP port {self.sip_port}.\n{self.log()[-2000:]}")

    def wait_for_ari(self) -> None:
        """Return once ARI answers; raise ``StackError`` when it does not in time."""
        deadline = time.monotonic() + ARI_S
        while not self._ari_answers():
            if time.monotonic() > deadline:
                raise StackError(f"ARI at {self.ari_url} does not answer.\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End Asterisk and everything started with it. Fine to call twice."""
        if self.keeper is None:
            return
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        self.keeper.stdin.close()
        try:
            self.keeper.wait(15)
        except subprocess.TimeoutExpired:
            # With its process 1 gone, the kernel ends everything in the namespace.
            self.keeper.kill()
            self.keeper.wait()
        self.keeper.stdout.close()

    @property
    def pid(self) -> int:
        """Asterisk's own process id, as seen from outside."""
        if self.keeper is None:
            raise StackError("This Asterisk runs elsewhere.")
        waiting = [self.keeper.pid]
        while waiting:
            pid = waiting.pop()
            if Path(f"/proc/{pid}/comm").read_text().strip() == "asterisk":
                return pid
            waiting.extend(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        raise StackError("Asterisk is not running.")

    def log(self) -> str:
        """What Asterisk has complained about so far."""
        if self.folder is None:
            return ""
        files = [self.folder / "console.log", self.folder / "log/messages"]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def __enter__(self) -> Asterisk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _order(self, **order: str) -> dict[str, object]:
        if self.keeper is None:
            raise StackError(
                f"The Asterisk at {self.ari_url} runs elsewhere; it cannot be told to {order['do']}."
            )
        assert self.keeper.stdin is not None
        with self._turn:
            try:
                self.keeper.stdin.write(json.dumps(order).encode() + b"\n")
                self.keeper.stdin.flush()
            except (OSError, ValueError):
                raise StackError("Asterisk's keeper has ended.") from None
            return self._answer()

    def _answer(self) -> dict[str, object]:
        assert self.keeper is not None
        assert self.keeper.stdout is not None
        line = self.keeper.stdout.readline()
        if not line:
            raise StackError(
                "Asterisk cannot be started in namespaces of its own (unshare): that needs root and, in a "
                f"container, the right to mount. {self.log()[-2000:]}"
            )
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise StackError(f"{self.log()[-2000:]}\n{answer['error']}.")
        return answer

    def _ari_answers(self) -> bool:
        token = base64.b64encode(f"{self.ari_user}:{self.ari_password}".encode()).decode()
        request = urllib.request.Request(
            f"{self.ari_url}/asterisk/ping", headers={"Authorization": f"Basic {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return int(answer.status) == 200
        except urllib.error.HTTPError as refused:
            raise StackError(f"ARI at {self.ari_url} says {refused}.") from None
        except OSError:
            return False


def reached_at(host: str) -> str:
    """Where a program on this machine reaches what listens on ``host``."""
    return LOOPBACK if host == "0.0.0.0" else host


def from_environment() -> Asterisk | None:
    """The Asterisk that ``IVR_ARI_URL``, ``IVR_ARI_USER``, ``IVR_ARI_PASSWORD``, ``IVR_SIP_PORT`` and
    ``IVR_SOUNDS`` name, once it answers; ``None`` when none is named."""
    url = os.environ.get("IVR_ARI_URL")
    if not url:
        return None
    for name in ("IVR_ARI_USER", "IVR_ARI_PASSWORD", "IVR_SOUNDS"):
        if not os.environ.get(name):
            raise StackError(f"With IVR_ARI_URL, {name} must be set too.")
    asterisk = Asterisk(
        ari_url=url.rstrip("/"),
        ari_user=os.environ["IVR_ARI_USER"],
        ari_password=os.environ["IVR_ARI_PASSWORD"],
        sip_port=int(os.environ.get("IVR_SIP_PORT", "5060")),
        sounds_dir=Path(os.environ["IVR_SOUNDS"]),
    )
    asterisk.wait_for_ari()
    return asterisk


def _start_keeper(root: Path, folder: Path, sounds: Path, fallback: Path) -> subprocess.Popen[bytes]:
    if which("unshare") is None:
        raise StackError("unshare is missing; `apt-get install util-linux mount` brings it.")
    inside = ["unshare", "--mount", "--propagation", "unchanged", "--pid", "--uts", "--fork", "--kill-child"]
    script = ["python3", "-I", "-B", str(KEEPER), str(root), str(folder.resolve()), str(sounds.resolve())]
    # A process group of its own: Ctrl-C reaches whoever started this, who then ends things in order.
    return subprocess.Popen(
        as_root(["env", f"PATH={environment()['PATH']}", *inside, *script, str(fallback)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
