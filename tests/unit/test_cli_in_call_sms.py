"""``ivr-engine calls sms``: what is asked of the API, and what people read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.callflow.in_call_sms import FromPreset, OwnText
from ivr_engine.cli.client import Api
from ivr_engine.domain.records import replace
from ivr_engine.settings import from_environ
from ivr_engine.web.app import create_app
from tests.unit import web_rig
from tests.unit.test_cli_commands import InLoop, run, words
from tests.unit.test_web_in_call_sms import FakeSms, make, png


@pytest.fixture
def sms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSms]:
    rig, sms = make(tmp_path)
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_API_TOKEN", web_rig.TOKEN)
    monkeypatch.setenv("IVR_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    with asyncio.Runner() as runner:
        runner.run(web_rig.fill(replace(rig, app=create_app(rig.services))))
        transport = InLoop(runner, rig)
        monkeypatch.setattr(Api, "here", lambda: Api(from_environ(os.environ), transport))
        yield sms
        runner.run(rig.store.close())


def test_sending(sms: FakeSms) -> None:
    shown = words(run("calls", "sms", "send", "c1", "--preset", "photo", "--language", "de"))
    assert "purpose in_call_sms status queued text Example: a photo?" in shown
    said = json.loads(run("calls", "sms", "send", "c1", "--text", "Hello", "--agent", "anna", "--json"))
    assert said["id"] == "m-1"
    assert sms.asked == [(FromPreset("photo", "de"), None, None), (OwnText("Hello"), "anna", None)]


def test_sending_a_picture(sms: FakeSms, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(png())
    assert "purpose in_call_sms" in words(run("calls", "sms", "send", "c1", "--picture", str(file)))
    [(enclosed, _, _)] = sms.asked
    assert (enclosed.media.content_type, enclosed.text) == ("image/png", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--text", "too late"],
        [],
        ["--preset", "a", "--text", "b"],
        ["--picture", "/nowhere.png"],
        ["--preset", "a", "--picture", "/nowhere.png"],
    ],
)
def test_what_is_refused_is_one_sentence(sms: FakeSms, arguments: list[str]) -> None:
    result = CliRunner().invoke(ivr_engine.cli.app, ["calls", "sms", "send", "c1", *arguments])
    assert result.exit_code == 1
    assert not sms.asked


def test_what_can_be_sent_and_what_was(sms: FakeSms) -> None:
    shown = words(run("calls", "sms", "presets", "c1"))
    assert "possible yes" in shown
    assert "photo A photo 1 Example: a photo" in shown
    assert "why not the caller's number is hidden" in words(
        run("calls", "sms", "presets", "c1", "--language", "de")
    )
    assert "The lamp stays red" in words(run("calls", "sms", "list", "c1"))
    assert json.loads(run("calls", "sms", "list", "c1", "--json"))["items"][0]["call_id"] == "c1"


def test_measuring(sms: FakeSms) -> None:
    shown = words(run("calls", "sms", "measure", "It\u2019s 5"))
    assert "segments 1" in shown
    assert "encoding UCS-2" in shown
    assert "\u2019 (U+2019, ucs2)" in shown
