"""``docker/compose.yaml`` as far as it goes, and its services run from the images' files in a pod."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from scripts.stack import images
from scripts.stack.system import PROJECT, as_root, environment

FILE = PROJECT / "docker" / "compose.yaml"
POD = Path(__file__).with_name("pod.py")
ENDS_S = 30


def load(given: Mapping[str, str]) -> dict[str, Any]:
    """The file with ``${NAME:-default}`` replaced by what is ``given``, as ``docker compose`` does."""

    def value(found: re.Match[str]) -> str:
        return given.get(found[1]) or found[2]

    text = re.sub(r"\$\{(\w+):-(.*?)\}", value, FILE.read_text())
    assert "${" not in text
    return yaml.safe_load(text)


def settings_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Its variables. YAML's empty value is an empty variable."""
    return {name: "" if value is None else str(value) for name, value in service["environment"].items()}


def container(name: str, site: Mapping[str, Any], image: str, root: Path, folder: Path) -> dict[str, Any]:
    """What ``pod.py`` is told of a service. Its volumes and log are in ``folder``."""
    service, config = site["services"][name], images.settings(image)
    assert service["read_only"]
    uid, gid = map(int, service["user"].split(":"))
    command = service.get("command", config["Cmd"])
    volumes = dict(_volume(one, site, folder, root) for one in service["volumes"])
    for secret in service["secrets"]:
        file = (FILE.parent / site["secrets"][secret]["file"]).name
        volumes[f"/run/secrets/{secret}"] = (str(folder / "secrets" / file), "ro")
    hosts = [
        f"{address} {host}" for host, address in (one.split(":") for one in service.get("extra_hosts", ()))
    ]
    return {
        "root": str(root),
        "uid": uid,
        "gid": gid,
        "env": dict(one.split("=", 1) for one in config["Env"]) | settings_of(service),
        "folder": config["WorkingDir"],
        "command": [*config["Entrypoint"], *([command] if isinstance(command, str) else command)],
        "tmpfs": dict(one.split(":", 1) for one in service["tmpfs"]),
        "volumes": volumes,
        "hostname": service.get("hostname", ""),
        "hosts": hosts,
        "log": str(folder / f"{name}.log"),
    }


def _volume(one: str, site: Mapping[str, Any], folder: Path, root: Path) -> tuple[str, tuple[str, str]]:
    source, target, mode = [*one.split(":"), "rw"][:3]
    if source.startswith("."):
        return target, (str((FILE.parent / source).resolve()), mode)
    assert source in site["volumes"]
    place = folder / "volumes" / source
    if not place.exists():
        place.mkdir(parents=True)
        if images.holds(root, target.lstrip("/")):
            # A new volume has the owner that its place has in the image.
            subprocess.run(as_root(["cp", "-aT", str(root / target.lstrip("/")), str(place)]), check=True)
    return target, (str(place), mode)


def health_of(image: str) -> list[str]:
    """The command of the image's health check."""
    kind, *command = images.settings(image)["Healthcheck"]["Test"]
    return ["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command


@dataclass
class Pod:
    """The containers, and a network that is theirs alone, with ``addresses`` beside 127.0.0.1."""

    containers: dict[str, dict[str, Any]]
    addresses: tuple[str, ...]
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        script = as_root(
            ["env", f"PATH={environment()['PATH']}", *inside, sys.executable, "-I", "-B", str(POD)]
        )
        self.process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._told({"containers": self.containers, "addresses": self.addresses})
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def start(self, *names: str) -> None:
        for name in names:
            self._told({"do": "start", "name": name})

    def run(self, name: str, *command: str) -> tuple[int, str]:
        """Status and words of a command in a running container, as its user."""
        done = self._told({"do": "run", "name": name, "command": command})
        return done["code"], done["said"]

    def stop(self, name: str, within_s: float) -> int | None:
        """The exit status; ``None`` when it did not end."""
        return self._told({"do": "stop", "name": name, "within_s": within_s})["code"]

    def outside(self, *command: str) -> str:
        """What a command says that runs on the same network, in no container."""
        done = self._told({"do": "outside", "command": command})
        assert done["code"] == 0, done["said"]
        return done["said"]

    def begin(self, log: Path, *command: str) -> None:
        """The same, without waiting for its end."""
        self._told({"do": "begin", "command": command, "log": str(log)})

    def healthy(self, name: str, check: list[str], within_s: float) -> float:
        """Wait until the health check succeeds; the seconds it took."""
        began = time.monotonic()
        while True:
            code, said = self.run(name, *check)
            took = time.monotonic() - began
            if code == 0:
                return took
            log = Path(self.containers[name]["log"])
            assert took < within_s, f"{name} is not healthy: {said}\n{log.read_text()[-3000:]}"
            time.sleep(0.5)

    def _told(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the pod has ended"
        return json.loads(answer)
