"""Asterisk's root folder: a small Debian with Asterisk in it, in the user's cache folder.

Debian stable has no ``asterisk`` package; testing has. So Asterisk gets a root folder of its own, made
once by debootstrap and shared, read-only, by all checkouts and all running instances.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scripts.stack.errors import StackError
from scripts.stack.system import as_root, environment, run, say, which

RECIPE = 1
"""Counts up when what is in the folder changes; older ones stay for older checkouts."""
SUITE = "forky"
OLDEST = (22, 10)
"""StasisBroadcast is there from this version on."""
UID = 620_620
"""Of the user ``asterisk`` in the folder: a number no user of the machine has, so that none of them can
read what Asterisk writes."""

BUILD = r"""
set -eu
root="$1" suite="$2" uid="$3"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
mount --make-rprivate / 2>/dev/null || true
# The empty third argument keeps the default mirror; the fourth serves a debootstrap that does not know
# the suite yet.
debootstrap --variant=minbase "$suite" "$root" "" sid
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
printf 'path-exclude=/usr/share/%s/*\n' doc man locale info > "$root/etc/dpkg/dpkg.cfg.d/small"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc"
chroot "$root" groupadd --gid "$uid" asterisk
chroot "$root" useradd --uid "$uid" --gid "$uid" --home-dir /var/lib/asterisk --no-create-home \
    --shell /usr/sbin/nologin asterisk
# debootstrap has just read and checked the package lists: no update needed.
chroot "$root" apt-get install -qy --no-install-recommends \
    asterisk asterisk-core-sounds-en-wav asterisk-moh-opsound-wav
chroot "$root" apt-get clean
umount "$root/proc"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/* "$root"/var/log/* \
    "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale
# Where an instance puts its own.
touch "$root/etc/hosts"
chmod 755 "$root"
"""


def cache_folder() -> Path:
    """The user's cache folder for this project."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ivr-engine"


def asterisk_root() -> Path:
    """A root folder with a recent Asterisk: ``/`` where the machine has one, else ours, made if needed."""
    return Path("/") if has_own_asterisk() else _built()


def has_own_asterisk() -> bool:
    """Whether the machine itself has a recent Asterisk."""
    program = which("asterisk")
    if program is None:
        return False
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Asterisk (?:certified[/-])?(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def _built() -> Path:
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"asterisk-{SUITE}-{RECIPE}"
    if root.exists():
        return root
    with _only_one(cache / f"{root.name}.lock"):
        if not root.exists():
            _build(root)
    return root


def _build(root: Path) -> None:
    if which("debootstrap") is None:
        raise StackError("debootstrap is missing; `apt-get install debootstrap` brings it.")
    say("Making Asterisk's root folder (about a minute, once for this user) ...")
    unfinished = root.with_name(f"{root.name}.unfinished")
    subprocess.run(as_root(["rm", "-rf", "--one-file-system", str(unfinished)]), check=True)
    log = root.with_name(f"{root.name}.log")
    log.unlink(missing_ok=True)
    # Namespaces of its own: whatever debootstrap mounts or starts is gone with it, also after Ctrl-C.
    inside = ["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child"]
    build = ["sh", "-c", BUILD, "build", str(unfinished), SUITE, str(UID)]
    run(
        as_root(["env", f"PATH={environment()['PATH']}", *inside, *build]),
        log=log,
        what="Making Asterisk's root folder (is there a network?)",
    )
    unfinished.rename(root)
    say(f"Asterisk's root folder is {root}")


@contextmanager
def _only_one(lock: Path) -> Generator[None]:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is making Asterisk's root folder; waiting for it ...")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
