"""The container images of ``docker/``, built without a container engine: buildah in a chroot, and the base
images they ask for made by debootstrap, once, in the user's cache folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from scripts.stack.errors import StackError
from scripts.stack.root import cache_folder
from scripts.stack.system import CERTIFICATES, GENERATED, PROJECT, as_root, environment, run, say

FOLDER = GENERATED / "images"
BASES = {"debian:forky-slim": "forky", "debian:trixie-slim": "trixie"}
RECIPE = 1
"""Counts up when what is in a base changes."""
STORE_MOST = 6_000_000_000
"""Bytes of images and of what earlier builds left; when exceeded, all of it is made anew."""
PIP_SETTINGS = Path("/etc/pip.conf")

MAKE_BASE = r"""
set -eu
suite="$1" archive="$2" root="$2.root"
rm -rf --one-file-system "$root"
mount --make-rprivate / 2>/dev/null || true
# The empty third argument keeps the default mirror; the fourth serves a debootstrap that does not know
# the suite yet.
debootstrap --variant=minbase "$suite" "$root" "" sid
# As in the image of that name: nothing to read, no caches; packages unpacked without waiting for the disk.
printf 'path-exclude=/usr/share/%s/*\n' doc man locale info > "$root/etc/dpkg/dpkg.cfg.d/small"
echo force-unsafe-io >> "$root/etc/dpkg/dpkg.cfg.d/small"
# A mirror that stands still (a snapshot) is as good for a test.
echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/snapshot"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/info/*
tar --one-file-system --numeric-owner -C "$root" -cf "$archive.new" .
rm -rf --one-file-system "$root"
mv "$archive.new" "$archive"
"""


def build(*names: str) -> list[str]:
    """The images of ``docker/<name>.Dockerfile``; what did not change since the last time is kept."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    # What a run that was killed left behind.
    _said("rm", "--all")
    if size(FOLDER) > STORE_MOST:
        _said("rmi", "--all", "--force")
    machine = _machine_settings()
    with ThreadPoolExecutor() as side_by_side:
        list(side_by_side.map(_add_base, BASES))
        say(f"Building the images {' and '.join(names)} of docker/ ...")
        return list(side_by_side.map(partial(_build, machine), names))


def _build(machine: Sequence[str], name: str) -> str:
    image = f"ivr-engine-{name}:test"
    building = ("bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--layers")
    run(
        _buildah(*building, *machine, "-f", f"docker/{name}.Dockerfile", "-t", image, str(PROJECT)),
        log=GENERATED / "logs" / f"image-{name}.log",
        what=f"Building the image of docker/{name}.Dockerfile (is there a network?)",
    )
    return image


def settings(image: str) -> Mapping[str, Any]:
    """What the image says of itself: User, Env, Entrypoint, Cmd, Healthcheck, Volumes, ExposedPorts ..."""
    return json.loads(_said("inspect", "--type", "image", image))["Docker"]["config"]


@contextmanager
def unpacked(image: str) -> Generator[Path]:
    """A folder with a copy of the image's files, to run from and to throw away."""
    container = _said("from", "--pull-never", image)
    try:
        yield Path(_said("mount", container))
    finally:
        _said("rm", container)


def holds(root: Path, *patterns: str) -> list[str]:
    """Which files of an unpacked image are meant by the shell's patterns; only root may look there."""
    look = 'cd "$1" && shift && for file in $*; do [ ! -e "$file" ] || echo "$file"; done'
    found = subprocess.run(
        as_root(["sh", "-c", look, "look", str(root), *patterns]), capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def release() -> None:
    """Nothing stays mounted: buildah leaves its store so, and then it could not be deleted."""
    _said("rm", "--all")
    place = FOLDER / f"{_driver()}-{RECIPE}" / _driver()
    subprocess.run(as_root(["umount", "--quiet", str(place)]), capture_output=True, check=False)


def _add_base(base: str) -> None:
    if _said("images", "--quiet", base, fine=(0, 125)):
        return
    suite = BASES[base]
    archive = cache_folder() / f"debian-{suite}-{RECIPE}.tar"
    if not archive.exists():
        say(f"Making a small Debian ({suite}) to build images on (half a minute, once for this user) ...")
        archive.parent.mkdir(parents=True, exist_ok=True)
        inside = ["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child"]
        make = ["sh", "-c", MAKE_BASE, "base", suite, str(archive)]
        run(
            as_root(["env", f"PATH={environment()['PATH']}", *inside, *make]),
            log=GENERATED / "logs" / f"debian-{suite}.log",
            what=f"Making a small Debian ({suite}; is there a network?)",
        )
    container = _said("from", "scratch")
    _said("add", container, str(archive), "/")
    _said("commit", "--format", "docker", container, base)
    _said("rm", container)


def _machine_settings() -> list[str]:
    """Whom this machine trusts, and where it takes Python packages from; none of it stays in the image."""
    pip = ConfigParser(interpolation=None)
    pip.read(PIP_SETTINGS)
    volumes: list[str] = []
    if CERTIFICATES.exists():
        if not pip.has_section("global"):
            pip.add_section("global")
        pip.set("global", "cert", "/etc/machine-certificates.crt")
        volumes += ["--volume", f"{CERTIFICATES}:/etc/machine-certificates.crt:ro"]
    with (FOLDER / "pip.conf").open("w") as file:
        pip.write(file)
    return [*volumes, "--volume", f"{FOLDER / 'pip.conf'}:{PIP_SETTINGS}:ro"]


def size(folder: Path) -> int:
    """Of all files in it, in bytes; what is mounted below does not count."""
    told = subprocess.run(as_root(["du", "-sxb", str(folder)]), capture_output=True, text=True, check=False)
    return int(told.stdout.split()[0])


@cache
def _driver() -> str:
    """Layers upon layers where the kernel can, else whole copies."""
    try:
        container = _said("from", "scratch", driver="overlay")
        try:
            _said("mount", container, driver="overlay")
        finally:
            _said("rm", container, driver="overlay")
    except StackError:
        return "vfs"
    return "overlay"


def _buildah(*words: str, driver: str = "") -> list[str]:
    driver = driver or _driver()
    store = [
        "--root",
        str(FOLDER / f"{driver}-{RECIPE}"),
        "--runroot",
        str(FOLDER / f"{driver}-{RECIPE}-run"),
        "--storage-driver",
        driver,
    ]
    return as_root(["buildah", *store, *words])


def _said(*words: str, driver: str = "", fine: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        _buildah(*words, driver=driver), capture_output=True, text=True, env=environment(), check=False
    )
    if done.returncode not in fine:
        raise StackError(f"buildah {words[0]} failed: {done.stderr[-2000:]}")
    return done.stdout.strip()
