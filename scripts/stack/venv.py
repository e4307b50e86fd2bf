"""The project's Python environment: ``.ivr/venv``, from the lock files, every download checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.stack.system import GENERATED, PROJECT, run, say

VENV = GENERATED / "venv"
PYTHON = VENV / "bin" / "python"
COMMAND = """#!{python}
from ivr_engine.cli import main

main()
"""


def ensure(lock: str) -> Path:
    """An environment with everything in ``requirements/<lock>.txt``; returns its interpreter."""
    wanted = PROJECT / "requirements" / f"{lock}.txt"
    # The test requirements hold all of the others too.
    if any(_stamp(name).is_file() and _stamp(name).read_text() == _mark(name) for name in {lock, "test"}):
        return PYTHON
    say(f"Installing the Python packages of requirements/{lock}.txt into .ivr/venv ...")
    logs = GENERATED / "logs"
    if not _runs("-c", ""):
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(VENV)], log=logs / "venv.log", what="Making .ivr/venv")
    elif not _runs("-m", "pip", "--version"):
        run([str(PYTHON), "-m", "ensurepip"], log=logs / "venv.log", what="Adding pip to .ivr/venv")
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run(
        # The lock files are complete, so nothing is left to resolve.
        [*pip, "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(wanted)],
        log=logs / "pip.log",
        what="Installing the Python packages (is there a network?)",
    )
    _add_project()
    _stamp(lock).write_text(_mark(lock))
    return PYTHON


def _runs(*arguments: str) -> bool:
    """False without an environment, for one whose interpreter is gone, or that lacks what is asked for."""
    try:
        return subprocess.run([PYTHON, *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _add_project() -> None:
    """What an editable install does, without building anything: nothing to download, nothing to go stale."""
    packages = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(packages, "ivr_engine.pth").write_text(f"{PROJECT}\n")
    command = VENV / "bin" / "ivr-engine"
    command.write_text(COMMAND.format(python=PYTHON))
    command.chmod(0o755)


def _stamp(lock: str) -> Path:
    return VENV / f".installed-{lock}"


def _mark(lock: str) -> str:
    """Changes with the lock file and with the place and version of Python."""
    content = (PROJECT / "requirements" / f"{lock}.txt").read_bytes()
    return f"{hashlib.sha256(content).hexdigest()} {sys.version.split()[0]} {VENV}"
