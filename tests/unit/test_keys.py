"""Secrets are made once, for one user only, whatever races."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ivr_engine.errors import ConfigError
from ivr_engine.keys import kept, secret


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    assert kept(tmp_path, "api_token") is None
    made = secret(tmp_path, "api_token")
    assert len(made) == 32
    assert secret(tmp_path, "api_token") == kept(tmp_path, "api_token") == made
    assert secret(tmp_path, "phone_anna") != made
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert sorted(file.name for file in folder.iterdir()) == ["api_token", "phone_anna"]


def test_many_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(secret, [tmp_path] * 64, ["api_token"] * 64))
    assert len(set(made)) == 1


def test_a_file_others_may_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "api_token"
    file.write_text("my own token\n")
    file.chmod(0o644)
    assert secret(tmp_path, "api_token") == "my own token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_trouble_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api_token").write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        secret(tmp_path, "api_token")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        secret(tmp_path / "file", "api_token")


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "A", "x" * 81])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        secret(tmp_path, name)
