"""A SIPp does not outlive whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ivr_engine.sipp.process import ends_with_us

PROJECT = Path(__file__).resolve().parents[2]
STARTS_ONE = """
import subprocess
from ivr_engine.sipp.process import ends_with_us
subprocess.run([*ends_with_us(), "sh", "-c", "echo started; exec sleep 60"])
"""


def test_who_is_killed_takes_its_sipp_along() -> None:
    assert ends_with_us(), "util-linux has setpriv"
    command = [sys.executable, "-c", STARTS_ONE]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        starter.kill()
        # The output is at its end when nobody holds it any more.
        assert starter.communicate(timeout=10) == ("", None)
