"""``scripts/test``: every check there is, or the parts named."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.stack import packages, prism, venv
from scripts.stack.errors import StackError
from scripts.stack.root import asterisk_root
from scripts.stack.system import PROJECT, environment, say

BIN = venv.VENV / "bin"


@dataclass(frozen=True)
class Part:
    """A part of the checks: commands that must all succeed, and what they need from the machine."""

    about: str
    commands: tuple[tuple[str | Path, ...], ...]
    needs: tuple[str, ...] = ()
    asterisk: bool = False
    by_name_only: bool = False
    """Too long for every run."""


def _pytest(folder: str, *side_by_side: str) -> tuple[str | Path, ...]:
    # -rs: why a test was left out is told.
    return (BIN / "python", "-m", "pytest", "-rs", *side_by_side, f"tests/{folder}")


EVERY_CORE = ("-n", str(len(os.sched_getaffinity(0)) + 1), "--dist", "worksteal")
"""And one more: some tests wait for something real. Who has nothing left takes over from another."""
FOUR_ASTERISKS = (
    () if os.environ.get("IVR_ARI_URL") else ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
)
"""Real calls mostly wait. The tests of a file share what they set up; ``tests/integration/conftest.py`` says
which files begin. One Asterisk named by URL is only one."""


COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Also where Python is told to write nothing: each of hundreds of processes would compile all of it anew."""


PARTS = {
    "lint": Part(
        "style, types, and who may import whom",
        (
            (BIN / "ruff", "check"),
            (BIN / "ruff", "format", "--check"),
            (BIN / "lint-imports", "--no-cache"),
            # The libraries installed are those for this Python, and so are their types.
            (BIN / "pyright", "--pythonversion", f"{sys.version_info.major}.{sys.version_info.minor}"),
        ),
    ),
    "unit": Part("single parts, no waiting", (_pytest("unit", *EVERY_CORE),), packages.SPEECH),
    "flow": Part("whole calls in virtual time", (_pytest("flow", *EVERY_CORE),), packages.SPEECH),
    "contract": Part(
        "every adapter against the promises of its port",
        (_pytest("contract", *EVERY_CORE),),
        packages.DATABASES,
    ),
    "sipp": Part("the ears and scenarios themselves", (_pytest("sipp"),), packages.SPEECH),
    "integration": Part(
        "a real Asterisk with real callers",
        (_pytest("integration", *FOUR_ASTERISKS),),
        (*packages.SPEECH, *packages.CALLERS),
        asterisk=True,
    ),
    "images": Part(
        "the container images, built and run, with a call through them; only when named",
        (_pytest("images"),),
        (*packages.IMAGES, *packages.CALLERS, *packages.DATABASES),
        by_name_only=True,
    ),
}

USAGE = (
    "Usage: scripts/test [PART ...] [-- options for pytest]\n\n"
    "Without a part, all but those only run when named:\n\n"
    + "\n".join(f"  {name:<12} {part.about}" for name, part in PARTS.items())
)


def main(arguments: Sequence[str]) -> int:
    """Run the parts named; 0 when all of them pass."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    names, options = _split(arguments)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise StackError(f"There is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
    chosen = {name: PARTS[name] for name in names or (name for name in PARTS if not PARTS[name].by_name_only)}
    needs = {*packages.ENVIRONMENT, *(need for part in chosen.values() for need in part.needs)}
    asterisk = any(part.asterisk for part in chosen.values())
    packages.install({*needs, *packages.for_asterisk()} if asterisk else needs)
    venv.ensure("test")
    if "contract" in chosen:
        prism.ensure()
    if asterisk:
        asterisk_root()
    results = {name: _run(name, part, options) for name, part in chosen.items()}
    say("")
    for name, (passed, seconds) in results.items():
        say(f"  {'passed' if passed else 'FAILED'}  {name:<12} {seconds:6.1f} s")
    return 0 if all(passed for passed, _ in results.values()) else 1


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The parts before ``--`` and the options after it."""
    words = list(arguments)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _run(name: str, part: Part, options: Sequence[str]) -> tuple[bool, float]:
    """Whether it passed, and how long it took. All commands run, so that one look shows everything."""
    say(f"\n── {name}: {part.about}")
    began = time.monotonic()
    passed = True
    for command in part.commands:
        full = [*map(str, command), *(options if "pytest" in command else ())]
        code = subprocess.run(full, cwd=PROJECT, env=environment() | COMPILED_ONCE, check=False).returncode
        # 5: pytest found no test there, as when -k leaves none.
        passed &= code == 0 or (code == 5 and "pytest" in command)
    return passed, time.monotonic() - began
