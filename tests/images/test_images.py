"""The images are built without a container engine, and the engine in them is run until it answers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BASE = "debian:trixie-slim"
IMAGE = "ivr-engine:test"
BUILDAH = ("buildah", "--storage-driver", "vfs")
CHROOT = ("--isolation", "chroot")
BUILD_S, COMMAND_S, ANSWERS_S = 900.0, 120.0, 90.0

# The machine's own settings for its package sources, as far as there are any; none of it stays in the image.
SETTINGS = [Path("/etc/ssl/certs"), Path("/etc/pip.conf")]

ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=4).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""

pytestmark = pytest.mark.skipif(
    shutil.which("buildah") is None or os.geteuid() != 0, reason="needs buildah, and root"
)


def buildah(*words: str, within_s: float = COMMAND_S) -> str:
    done = subprocess.run(
        [*BUILDAH, *words], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=within_s
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


def make_base(folder: Path) -> None:
    """Debian under the name that the Dockerfile asks for."""
    known = subprocess.run([*BUILDAH, "inspect", "--type", "image", BASE], capture_output=True, check=False)
    if known.returncode == 0:
        return
    root, archive = folder / "root", folder / "base.tar"
    # The empty third argument keeps the default mirror.
    subprocess.run(["debootstrap", "--variant=minbase", "trixie", root, "", "sid"], check=True)
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    container = buildah("from", "scratch")
    buildah("add", container, str(archive), "/")
    buildah("commit", container, BASE, within_s=BUILD_S)
    buildah("rm", container)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    make_base(tmp_path_factory.mktemp("base"))
    volumes = [word for path in SETTINGS if path.exists() for word in ("--volume", f"{path}:{path}:ro")]
    built = (
        "bud",
        *CHROOT,
        "--pull-never",
        "--layers",
        *volumes,
        "-f",
        "docker/engine.Dockerfile",
        "-t",
        IMAGE,
        ".",
    )
    buildah(*built, within_s=BUILD_S)
    made = buildah("from", "--pull-never", IMAGE)
    yield made
    buildah("rm", made)


def test_its_user_is_not_root(container: str) -> None:
    assert buildah("run", *CHROOT, container, "--", "id", "-u") == "10001"


def test_the_example_site_in_it_is_in_order(container: str) -> None:
    assert "in order" in buildah("run", *CHROOT, container, "--", "ivr-engine", "check")


def test_the_engine_in_it_answers(container: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Nobody listens on port 9: an engine without Asterisk says what it lacks, and goes on.
    settings = {
        "IVR_HTTP_HOST": "127.0.0.1",
        "IVR_HTTP_PORT": str(port),
        "IVR_ARI_URL": "http://127.0.0.1:9/ari",
        "IVR_SIMULATOR_URL": "http://127.0.0.1:9",
    }
    env = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    # Engine and questions in one container: a shell ends the engine whatever happens.
    script = (
        "ivr-engine run & engine=$!; trap 'kill $engine' EXIT; "
        f'for _ in $(seq {ANSWERS_S:.0f}); do python3 -c "$0" "$1" 2>/dev/null && break; sleep 1; done'
    )
    began = time.monotonic()
    url = f"http://127.0.0.1:{port}/health"
    said = buildah(
        "run", *CHROOT, *env, container, "--", "sh", "-c", script, ASK, url, within_s=2 * ANSWERS_S
    )
    answers = [line for line in said.splitlines() if line.startswith('{"status"')]
    assert answers, f"no answer within {time.monotonic() - began:.0f} s: {said[-1000:]}"
    checks = {check["name"]: check["ok"] for check in json.loads(answers[0])["checks"]}
    assert checks["store"]
    assert checks["prompts"]
    assert not checks["asterisk"]
