"""The desk waits for an agent's secret, which lies in a file, beside the event loop."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ivr_engine import keys
from ivr_engine.bootstrap.adapters import phone_password


async def test_a_phones_password_is_read_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    read = keys.secret

    def secret(state: Path, name: str) -> str:
        threads.append(threading.current_thread())
        return read(state, name)

    monkeypatch.setattr(keys, "secret", secret)
    password = await phone_password(tmp_path, "anna")
    assert password == keys.kept(tmp_path, "phone_anna")
    assert threads[0] is not threading.current_thread()
