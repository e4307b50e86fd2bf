"""Prism, which makes a server of an API's description: with Twilio's, the contract tests check our requests.

It comes from npm into the user's cache, for all checkouts, and only where there is a description to serve.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.stack import packages
from scripts.stack.errors import StackError
from scripts.stack.root import cache_folder
from scripts.stack.system import GENERATED, PROJECT, environment, run, say, which

VERSION = "5.14.2"
"""The last one for the Node.js of Debian and Ubuntu (18.20 to 22)."""
QUIETLY = ("--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")
"""What is installed runs nothing meanwhile, leaves no lock file, and nobody is told of it."""
ANSWERS_S = 60


def description() -> Path:
    """Where Twilio's description of its API is, if it is there: ``twilio_api_v2010.json`` of
    https://github.com/twilio/twilio-oai. ``IVR_TWILIO_OPENAPI`` names it."""
    named = os.environ.get("IVR_TWILIO_OPENAPI")
    return Path(named) if named else PROJECT.parent / "shared" / "contracts" / "twilio_api_v2010.json"


def command() -> str | None:
    """The Prism to run: the one that ``IVR_PRISM`` names, else ours, where it is installed."""
    named = os.environ.get("IVR_PRISM")
    own = _program(_folder())
    return named or (str(own) if own.exists() and which("node") else None)


def ensure() -> None:
    """Install it where it is of use and missing. Without npm or a network the tests that want it are left
    out, and say so."""
    if not description().is_file() or command() is not None:
        return
    try:
        if which("npm") is None:
            packages.install(("npm",))
        _install()
    except (StackError, OSError) as error:
        say(f"{error}\nThe requests to Twilio are not checked against Twilio's description.")


def _install() -> None:
    """Into its place only when it works, so that it is there whole or not at all."""
    if which("npm") is None:
        raise StackError("npm is missing, which Prism comes with; install Node.js.")
    folder = _folder()
    say(f"Installing Prism {VERSION} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".prism-") as aside:
        made = Path(aside, "prism")
        run(
            ["npm", "install", "--prefix", str(made), *QUIETLY, f"@stoplight/prism-cli@{VERSION}"],
            log=GENERATED / "logs" / "npm.log",
            what="Installing Prism with npm (is there a network?)",
        )
        _must_run(_program(made))
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _must_run(prism: Path) -> None:
    try:
        done = subprocess.run(
            [prism, "--version"], capture_output=True, env=environment(), timeout=ANSWERS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"Prism does not run: {error}.") from None
    if done.returncode != 0:
        raise StackError(f"Prism {VERSION} does not run with this Node.js; it needs 18.20 or newer.")


def _folder() -> Path:
    return cache_folder() / f"prism-{VERSION}"


def _program(folder: Path) -> Path:
    return folder / "node_modules" / ".bin" / "prism"
