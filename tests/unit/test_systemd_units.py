"""What systemd itself says of our units, where there is a systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "systemd"
PROGRAMS = ("/opt/ivr-engine/bin/ivr-engine", "/opt/ivr-engine/bin/python", "/usr/sbin/asterisk")
"""Not on this machine, which systemd would complain about; something else stands for them."""
DEBIAN_ASTERISK = "[Service]\nType=notify\nExecStart=/usr/sbin/asterisk -f\n"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    (folder / "asterisk.service").write_text(DEBIAN_ASTERISK)
    for file in folder.rglob("*.*"):
        if file.is_file():
            text = file.read_text()
            for program in PROGRAMS:
                text = text.replace(program, shutil.which("true") or "/bin/true")
            file.write_text(text)
    return folder


def test_systemd_understands_every_line(units: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    files = sorted(map(str, units.glob("*.service")))
    said = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", *files],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    ours = [line for line in said.stderr.splitlines() if str(units) in line or "ivr-" in line]
    assert ours == []
    assert said.returncode == 0, said.stderr
