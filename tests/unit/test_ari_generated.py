"""The generated modules are what the generator makes of Asterisk's description, to the byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent.parent
GENERATOR = HOME / "scripts" / "generate_ari.py"
MODULES = ("ari_models.py", "ari_operations.py")


def description() -> Path | None:
    """The rest-api folder of an Asterisk package, if one is at hand."""
    roots = [Path("/"), *(HOME / ".ivr").glob("*"), *(Path.home() / ".cache" / "ivr-engine").glob("*")]
    named = os.environ.get("IVR_ARI_DESCRIPTION")
    places = [Path(named)] if named else [root / "usr/share/asterisk/rest-api" for root in roots]
    return next((place for place in places if (place / "events.json").is_file()), None)


def generate(folder: Path, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GENERATOR), str(folder), "--into", str(into)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_generating_again_changes_nothing(tmp_path: Path) -> None:
    folder = description()
    if folder is None:
        pytest.skip("no Asterisk package here; its rest-api folder can be named by IVR_ARI_DESCRIPTION")
    done = generate(folder, tmp_path)
    assert done.returncode == 0, done.stderr
    for module in MODULES:
        there = HOME / "ivr_engine" / "asterisk" / module
        assert (tmp_path / module).read_bytes() == there.read_bytes(), f"run {GENERATOR.name} again"


def test_a_folder_without_a_description_is_named(tmp_path: Path) -> None:
    done = generate(tmp_path, tmp_path)
    assert done.returncode != 0
    assert "holds no events.json" in done.stderr
