"""What must be installed on the machine, by apt where there is apt."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from contextlib import suppress

from scripts.stack.errors import StackError
from scripts.stack.root import has_own_asterisk
from scripts.stack.system import GENERATED, as_root, become_root, run, say, which

ENVIRONMENT = ("ca-certificates", "python3-venv")
SPEECH = ("espeak-ng", "sox")
NAMESPACES = ("mount", "util-linux")
ROOT_FOLDER = ("debian-archive-keyring", "debootstrap", "gpgv")
CALLERS = ("sip-tester",)
DATABASES = ("postgresql",)
IMAGES = ("buildah", "docker-compose", "iproute2", *NAMESPACES, *ROOT_FOLDER)


def for_asterisk() -> tuple[str, ...]:
    """What running Asterisk needs here: less where the machine has a recent one of its own."""
    return NAMESPACES if has_own_asterisk() else (*NAMESPACES, *ROOT_FOLDER)


def install(packages: Collection[str]) -> None:
    """Install what is missing of ``packages``. Raises ``StackError``."""
    missing = sorted(package for package in packages if not _installed(package))
    if not missing:
        return
    if which("apt-get") is None:
        say(f"This is no Debian or Ubuntu; what the packages {' '.join(missing)} hold must be installed.")
        return
    become_root()
    say(f"Installing {' '.join(missing)} ...")
    logs = GENERATED / "logs"
    apt = as_root(["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-q"])
    # A source of packages that is broken is no reason to give up: another one may have what is needed.
    with suppress(StackError):
        run([*apt, "update"], log=logs / "apt-update.log", what="Reading the list of packages")
    run(
        [*apt, "install", "-y", "--no-install-recommends", *missing],
        log=logs / "apt-install.log",
        what=f"Installing {' '.join(missing)} (is there a network?)",
    )


def _installed(package: str) -> bool:
    if which("dpkg-query") is None:
        return False
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout == "installed"
