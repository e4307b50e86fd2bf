"""``ivr-engine db``: what it says, and that it never says the password."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.errors import IvrError, Refused

PASSWORD = "s3cr3t-of-the-database"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(ivr_engine.cli.app, ["db", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_upgrade_says_what_it_did(state: Path) -> None:
    made = run("upgrade")
    assert re.fullmatch(rf"the database {state}/ivr.db: made, with schema \d{{4}}", made), made
    assert run("upgrade").endswith("already, nothing to do")
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_backup_and_back(state: Path, tmp_path: Path) -> None:
    run("upgrade")
    (state / "media").mkdir()
    (state / "media" / "a.png").write_bytes(b"x")
    said = run("backup")
    [file] = tmp_path.glob("ivr-engine-*Z.tar")
    assert said.startswith(f"{file.name}: 0 calls, 0 rows in all, 1 pictures and videos, 0.")
    state.rename(tmp_path / "lost")
    assert "restored 0 calls" in run("restore", str(file))
    assert (state / "media" / "a.png").read_bytes() == b"x"
    assert state.stat().st_mode & 0o777 == 0o700, "numbers and texts are in it"
    assert run("backup", "mine.tar").startswith("mine.tar: ")


def test_a_database_that_is_not_there(state: Path) -> None:
    with pytest.raises(Refused, match=rf"^the database {state}/ivr.db is not there; see IVR_DATABASE_URL"):
        run("backup")


def test_a_state_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("IVR_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(IvrError, match=r"file/state cannot be made: Not a directory; see IVR_STATE"):
        run("upgrade")


def test_what_is_not_restored_is_said(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"Dear diary")
    with pytest.raises(Refused, match=r"not a sound backup: .*Nothing was restored"):
        run("restore", str(tmp_path / "b.tar"))
    with pytest.raises(Refused, match="there is no file"):
        run("restore", "nowhere.tar")


@pytest.mark.parametrize("command", [["upgrade"], ["backup"], ["upgrade", "--help"]])
def test_the_password_is_never_said(command: list[str], tmp_path: Path) -> None:
    url = f"postgresql://ivr:{PASSWORD}@127.0.0.1:1/ivr?sslmode=require"
    done = subprocess.run(
        [sys.executable, "-m", "ivr_engine", "db", *command],
        env={**os.environ, "IVR_DATABASE_URL": url},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (0 if "--help" in command else 1)
    assert PASSWORD not in done.stdout + done.stderr
    if done.returncode:
        assert done.stderr.startswith("ivr-engine: the database ivr on 127.0.0.1 does not answer")
        assert "Traceback" not in done.stderr
