"""The machine: being root, running commands, and sentences instead of tracebacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.stack.errors import StackError

PROJECT = Path(__file__).resolve().parents[2]
GENERATED = PROJECT / ".ivr"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Not on every user's PATH, but debootstrap, chroot and asterisk live there."""


COMPLAINTS = (
    *("E: ", "ERROR: ", "Could not fetch", "error: ", "chroot: ", "mount: ", "unshare: ", "sudo: "),
    *("npm error code", "npm ERR! code", "npm error notarget", "npm ERR! notarget"),
)


CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts, a company's own authority included; pip alone would not look here."""


def say(text: str) -> None:
    """One line of progress for the person watching."""
    print(text, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """This process' environment with the administrator's folders on PATH."""
    trust = {"PIP_CERT": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    return {**trust, **os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}


def which(program: str) -> str | None:
    """Where ``program`` is, administrators' folders included."""
    return shutil.which(program, path=environment()["PATH"])


def as_root(command: Sequence[str]) -> list[str]:
    """``command`` so that it runs as root; raises ``StackError`` when that is not possible."""
    if os.geteuid() == 0:
        return list(command)
    if which("sudo") is None:
        raise StackError("This needs root: run it as root, or install sudo and allow yourself to use it.")
    # -n: a question nobody sees would hang for ever; `become_root` has asked before.
    return ["sudo", "-n", "--", *command]


def become_root() -> None:
    """Make sure that commands can run as root, asking for the sudo password once if there is a terminal."""
    if os.geteuid() == 0:
        return
    asking = ["sudo", "-v"] if sys.stdin.isatty() else ["sudo", "-n", "-v"]
    if which("sudo") is None or subprocess.run(asking, check=False).returncode != 0:
        raise StackError("This needs root, for Asterisk's root folder: run it as root or with sudo rights.")


def run(command: Sequence[str], *, log: Path, what: str) -> None:
    """Run ``command`` with its output in ``log``; when it fails, say ``what`` failed, and why it says so."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(), check=False
        )
    if done.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        complaints = [line for line in lines if line.startswith(COMPLAINTS)] or lines
        why = "".join(f"\n    {line}" for line in complaints[-3:])
        raise StackError(f"{what} failed; the whole output is in {log}. Its last words:{why}")
