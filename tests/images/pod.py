"""Runs containers as an engine for containers would, with what the kernel has and nothing else.

A script by itself, started as process 1 of namespaces of its own (network, mounts, processes): whatever
becomes of it, nothing stays mounted or running. It reads what to run as one line of JSON, then takes orders
as lines of JSON, each answered by one line. All containers share the network, as in ``compose.yaml``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom")
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24
LAST_CAPABILITY = 63
EXEC_S = 60


class Container:
    """``told``: root, uid, gid, env, folder, command, tmpfs, volumes, hostname, hosts, log."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.root = Path(told["root"])
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Mount what it may see; its root can be written from nowhere then."""
        mount("--bind", self.root, self.root)
        inside = {target: self.root / target.lstrip("/") for target in self._targets()}
        for target, place in inside.items():
            # As a container engine does: what the image lacks is made, by root.
            if target in self.told["volumes"] and Path(self.told["volumes"][target][0]).is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            else:
                place.mkdir(parents=True, exist_ok=True)
        for name in ("etc/hosts", "etc/hostname"):
            (self.root / name).touch()
        mount("-o", "remount,bind,ro", self.root)
        mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", inside["/proc"])
        mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", inside["/dev"])
        for name in DEVICES:
            (inside["/dev"] / name).touch()
            mount("--bind", f"/dev/{name}", inside["/dev"] / name)
        (inside["/dev"] / "fd").symlink_to("/proc/self/fd")
        for target, options in self.told["tmpfs"].items():
            mount("-t", "tmpfs", "-o", f"nosuid,nodev,noexec,{options}", "tmpfs", inside[target])
        for target, (source, mode) in self.told["volumes"].items():
            mount("--bind", source, inside[target])
            if mode == "ro":
                mount("-o", "remount,bind,ro", inside[target])
        self._file("hosts", "127.0.0.1 localhost\n" + "".join(f"{line}\n" for line in self.told["hosts"]))

    def start(self) -> None:
        with Path(self.told["log"]).open("ab") as log:
            self.process = self._run(self.told["command"], stdout=log, stderr=log)

    def run(self, command: list[str]) -> tuple[int, str]:
        """One more command in it, as its user; what it said."""
        process = self._run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(timeout=EXEC_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        return process.returncode, said.decode(errors="replace")

    def stop(self, within_s: float) -> int | None:
        """Ask it to end; ``None`` when it did not."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def _targets(self) -> set[str]:
        return {"/proc", "/dev", *self.told["tmpfs"], *self.told["volumes"]}

    def _file(self, name: str, content: str) -> None:
        made = Path(f"{self.told['log']}.{name}")
        made.write_text(content)
        mount("--bind", made, self.root / "etc" / name)
        mount("-o", "remount,bind,ro", self.root / "etc" / name)

    def _run(self, command: list[str], **where: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen[bytes](
            command,
            env=self.told["env"],
            stdin=subprocess.DEVNULL,
            preexec_fn=self._enter(),
            **where,
        )

    def _enter(self) -> Callable[[], None]:
        libc = ctypes.CDLL(None)
        root, folder, uid, gid = self.root, self.told["folder"], self.told["uid"], self.told["gid"]
        hostname = self.told["hostname"].encode()

        def enter() -> None:
            if hostname:
                libc.unshare(0x04000000)  # CLONE_NEWUTS
                libc.sethostname(hostname, len(hostname))
            os.chroot(root)
            os.chdir(folder)
            os.umask(0o022)
            for capability in range(LAST_CAPABILITY + 1):
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)

        return enter


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def network(addresses: list[str]) -> None:
    """A network of its own: the loopback device, with addresses that stand for the world outside."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


def obey(containers: dict[str, Container], order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "start":
            containers[order["name"]].start()
            return {}
        case "run":
            code, said = containers[order["name"]].run(order["command"])
            return {"code": code, "said": said}
        case "stop":
            return {"code": containers[order["name"]].stop(order["within_s"])}
        case "outside":
            # Somebody else on the same network.
            done = subprocess.run(order["command"], capture_output=True, text=True, check=False)
            return {"code": done.returncode, "said": done.stdout + done.stderr}
        case "begin":
            with Path(order["log"]).open("ab") as log:
                subprocess.Popen(order["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            return {}
        case other:
            raise ValueError(f"unknown order {other}")


def main() -> None:
    told = json.loads(sys.stdin.readline())
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    network(told["addresses"])
    containers = {name: Container(one) for name, one in told["containers"].items()}
    for one in containers.values():
        one.prepare()
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(containers, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
