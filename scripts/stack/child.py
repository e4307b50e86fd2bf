"""One process of the engine's: started again when it ends, ended with whoever started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from scripts.stack import venv
from scripts.stack.system import PROJECT, say

STOP_S = 20
"""An engine that is told to stop needs up to 15 s."""
WAIT_FIRST_S = 0.5
WAIT_MOST_S = 10.0
STABLE_S = 30.0
"""A process that ran this long is started again soon; one that did not waits longer each time."""
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """``name``: the command of ``ivr-engine``."""

    name: str
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    wait_s: float = WAIT_FIRST_S
    started_at: float = 0.0
    again_at: float | None = None

    def start(self) -> None:
        """Start it. It ends with us, whatever ends us."""
        self.started_at = time.monotonic()
        self.again_at = None
        us = os.getpid()
        self.process = subprocess.Popen(
            [str(venv.PYTHON), "-m", "ivr_engine", self.name],
            cwd=PROJECT,
            env=self.env,
            # Ctrl-C reaches us alone, so that things end in order.
            process_group=0,
            preexec_fn=lambda: _end_with(us),
        )

    def ended(self) -> int | None:
        """Its exit status once it has ended."""
        return None if self.process is None else self.process.poll()

    def keep(self) -> None:
        """To be called again and again: starts it again when it has ended and its time has come."""
        code = self.ended()
        if code is None:
            return
        now = time.monotonic()
        if self.again_at is None:
            stable = now - self.started_at > STABLE_S
            self.wait_s = WAIT_FIRST_S if stable else min(self.wait_s * 2, WAIT_MOST_S)
            self.again_at = now + self.wait_s
            say(f"The process {self.name} ended ({how(code)}); it is started again in {self.wait_s:g} s.")
        elif now >= self.again_at:
            self.start()

    def stop(self) -> None:
        """Ask it to stop, and insist."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            say(f"The process {self.name} did not stop in {STOP_S} s and is killed.")
            self.process.kill()
            self.process.wait()


def how(code: int) -> str:
    """An exit status for people."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def _end_with(parent: int) -> None:
    """In a new child: be told to stop when the parent is gone, also when that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
