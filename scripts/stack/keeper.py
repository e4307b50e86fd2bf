"""Keeps one Asterisk, as process 1 of namespaces of its own. A script by itself; started by ``asterisk``.

It mounts what Asterisk needs, starts it, and takes orders as lines of JSON on its standard input, each
answered by one line. When the input ends, the process that gave the orders is gone and the keeper goes
too. When the keeper goes, however that happens, the kernel ends every process in here and takes the
mounts away: nothing can be left behind.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HOST_NAME = "ivr-asterisk"
# Without its own name in here Asterisk looks it up in DNS for every call; with no DNS each look-up
# blocks a thread, and at about a hundred calls everything stands still.
HOSTS = f"127.0.0.1 localhost {HOST_NAME} A.ROOT-SERVERS.NET\n"
BOOT_S = 60
CLI_S = 30
STOP_S = 5
FILES = 65536
CONFIGURATION = "/mnt/etc/asterisk.conf"


@dataclass
class Keeper:
    """``root``: where Asterisk is installed (``/`` is fine). ``folder``: the instance's own folder."""

    root: Path
    folder: Path
    sounds: Path
    fallback: Path
    uid: int = 0
    gid: int = 0
    asterisk: subprocess.Popen[bytes] | None = field(default=None)

    def prepare(self) -> None:
        """Mount everything. ``/mnt`` in the root becomes a small tmpfs with all the instance has."""
        self.uid, self.gid = self._user()
        subprocess.run(["mount", "--make-rprivate", "/"], check=False, stderr=subprocess.DEVNULL)
        if self.root == Path("/"):
            mount("-t", "proc", "proc", "/proc")
        else:
            mount("--bind", self.root, self.root)
            mount("-o", "remount,bind,ro", self.root)
            mount("-t", "proc", "proc", self.root / "proc")
            mount("--rbind", "/dev", self.root / "dev")
            mount("-t", "tmpfs", "tmpfs", self.root / "tmp")
        mnt = self.root / "mnt"
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", mnt)
        for name in ("run", "cache"):
            self._own(mnt / name)
        for name in ("lib", "log", "spool"):
            self._own(self.folder / name)
            (mnt / name).mkdir()
            mount("--bind", self.folder / name, mnt / name)
        for name in ("tmp", "recording", "monitor", "outgoing", "system"):
            self._own(mnt / "spool" / name)
        self._own(mnt / "lib/keys")
        self._data(mnt / "data")
        (mnt / "hosts").write_text(HOSTS)
        mount("--bind", mnt / "hosts", self.root / "etc/hosts")
        socket.sethostname(HOST_NAME)

    def start(self) -> dict[str, object]:
        """Start Asterisk and wait until it has loaded everything."""
        etc = self.root / "mnt/etc"
        shutil.rmtree(etc, ignore_errors=True)
        shutil.copytree(self.folder / "etc", etc)
        # Asterisk reads its configuration and secrets, and cannot change them.
        for path in (etc, *etc.rglob("*")):
            os.chown(path, 0, self.gid)
            path.chmod(0o750 if path.is_dir() else 0o640)
        (self.root / "mnt/run/asterisk.ctl").unlink(missing_ok=True)
        with (self.folder / "console.log").open("ab") as console:
            self.asterisk = subprocess.Popen(
                self._chrooted("-f", "-U", "asterisk", "-G", "asterisk"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        return self._booted()

    def cli(self, command: str) -> dict[str, object]:
        """One command on Asterisk's console."""
        if not self.running():
            return {"error": "Asterisk is not running"}
        try:
            done = subprocess.run(
                self._chrooted("-rx", command), capture_output=True, timeout=CLI_S, check=False
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no answer on Asterisk's console within {CLI_S} s"}
        return {"output": done.stdout.decode(errors="replace")}

    def running(self) -> bool:
        """Whether Asterisk runs."""
        return self.asterisk is not None and self.asterisk.poll() is None

    def end(self, how: signal.Signals) -> dict[str, object]:
        """End Asterisk by signal and wait until it is gone."""
        if self.asterisk is not None and self.running():
            self.asterisk.send_signal(how)
            try:
                self.asterisk.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.asterisk.kill()
                self.asterisk.wait()
        return {}

    def _booted(self) -> dict[str, object]:
        for _ in range(BOOT_S * 10):
            if not self.running():
                return {"error": "Asterisk ended while starting"}
            if (self.root / "mnt/run/asterisk.ctl").exists():
                said = self.cli("core waitfullybooted")
                if "fully booted" in str(said.get("output")):
                    return {}
            signal.sigtimedwait([], 0.1)
        return {"error": f"Asterisk did not finish starting within {BOOT_S} s"}

    def _chrooted(self, *arguments: str) -> list[str]:
        return ["chroot", str(self.root), "asterisk", "-C", CONFIGURATION, *arguments]

    def _own(self, folder: Path) -> None:
        """A folder Asterisk writes to; whoever owns the instance's folder may look (by group)."""
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, self.uid, self.folder.stat().st_gid)
        folder.chmod(0o2750)

    def _data(self, data: Path) -> None:
        """Asterisk's data folder: as installed, with our sounds among its own."""
        places = [self.root / "usr/share/asterisk", self.root / "var/lib/asterisk"]
        installed = next(place for place in places if (place / "documentation").is_dir())
        if not any((installed / "moh").glob("*.*")):
            raise RuntimeError(f"there is no music in {installed / 'moh'}")
        shown = Path("/", installed.relative_to(self.root))
        sounds = data / "sounds"
        sounds.mkdir(parents=True)
        for entry in installed.iterdir():
            if entry.name != "sounds":
                (data / entry.name).symlink_to(shown / entry.name)
        for entry in (installed / "sounds").iterdir():
            (sounds / entry.name).symlink_to(shown / "sounds" / entry.name)
        for name, folder in (("ivr", self.sounds), ("ivr-fallback", self.fallback)):
            (sounds / name).mkdir()
            mount("--bind", folder, sounds / name)
            mount("-o", "remount,bind,ro", sounds / name)

    def _user(self) -> tuple[int, int]:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "asterisk":
                return int(uid), int(gid)
        raise RuntimeError(f"there is no user asterisk in {self.root / 'etc/passwd'}")


def mount(*arguments: str | Path) -> None:
    """``mount(8)``."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())


def obey(keeper: Keeper, order: dict[str, str]) -> dict[str, object]:
    """Carry one order out and say what became of it."""
    match order["do"]:
        case "start":
            return keeper.start()
        case "cli":
            return keeper.cli(order["command"])
        case "running":
            return {"running": keeper.running()}
        case "kill":
            return keeper.end(signal.SIGKILL)
        case "stop":
            return keeper.end(signal.SIGTERM)
        case other:
            return {"error": f"unknown order {other}"}


def main() -> None:
    """Prepare, then obey until the input ends."""
    root, folder, sounds, fallback = map(Path, sys.argv[1:])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(FILES, hard)), hard))
    keeper = Keeper(root, folder, sounds, fallback)
    try:
        keeper.prepare()
        answer: dict[str, object] = {}
    except (OSError, RuntimeError, StopIteration) as why:
        answer = {"error": f"Asterisk's folders cannot be mounted: {why}"}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(keeper, json.loads(line))), flush=True)
    keeper.end(signal.SIGTERM)


if __name__ == "__main__":
    main()
