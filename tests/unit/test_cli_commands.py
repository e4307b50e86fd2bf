"""The commands against the API: what people read, what scripts get, and sentences instead of tracebacks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import web_rig
from typer.testing import CliRunner
from web_rig import CALLER, TOKEN

import ivr_engine.cli
from ivr_engine.cli import processes, show
from ivr_engine.cli.client import Api
from ivr_engine.domain.records import replace
from ivr_engine.ports import Handset
from ivr_engine.settings import from_environ
from ivr_engine.web.app import create_app
from ivr_engine.web.handset import handset_router

pytestmark = pytest.mark.usefixtures("engine")


class FakeHandset(Handset):
    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None, str, Sequence[tuple[str, bytes]]]] = []

    async def read(self, number: str) -> Sequence[Mapping[str, object]]:
        common = {"to": number, "status": "delivered", "created_at": 0.0}
        media = [{"url": "http://127.0.0.1/1", "content_type": "image/jpeg"}]
        return [
            common | {"id": "p1", "from": "+4930901820", "text": "Hello \x1b[31m [bold]you", "media": media}
        ]

    async def answer(self, number: str, to: str | None, text: str, media: Sequence[tuple[str, bytes]]) -> str:
        self.sent.append((number, to, text, media))
        return "p2"


class InLoop(httpx2.BaseTransport):
    """The application, asked by a client that does not wait in a loop."""

    def __init__(self, runner: asyncio.Runner, rig: web_rig.Rig) -> None:
        self._runner = runner
        self._inner = httpx2.ASGITransport(app=rig.app, raise_app_exceptions=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._runner.run(self._ask(request))

    async def _ask(self, request: httpx2.Request) -> httpx2.Response:
        asked = httpx2.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._inner.handle_async_request(asked)
        content = await answer.aread()
        return httpx2.Response(answer.status_code, headers=answer.headers, content=content)


@dataclass
class Engine:
    rig: web_rig.Rig
    handset: FakeHandset
    state: Path


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    handset = FakeHandset()
    made = web_rig.make(tmp_path)
    made = replace(
        made, app=create_app(replace(made.services, more=(handset_router(handset, lambda: "DE"),)))
    )
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "api_token").write_text(TOKEN)
    with asyncio.Runner() as runner:
        runner.run(web_rig.fill(made))
        transport = InLoop(runner, made)
        monkeypatch.setattr(Api, "here", lambda: Api(from_environ(os.environ), transport))
        yield Engine(made, handset, tmp_path)
        runner.run(made.store.close())


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(ivr_engine.cli.app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.stdout


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_people_read_tables() -> None:
    assert "support Support 2 300.0 unknown - 1 offline 1, on_contact 1" in words(run("queues"))
    assert f"c1 {CALLER} support waiting 1 allowed - 2026-01-31" in words(run("calls"))
    assert "+4915112345678 +4930901820 The lamp stays red image/png received" in words(run("messages"))
    assert "customer: The lamp stays red image/png" in words(run("tickets"))
    assert f"{CALLER} allowed 1 support en Press 1" in words(run("consents"))
    assert "store yes ok" in words(run("health"))


def test_a_call_is_shown_with_its_timeline() -> None:
    shown = words(run("calls", "show", "c1"))
    assert "SMS allowed" in shown
    assert "consent_given outcome allowed, key 1" in shown


def test_a_call_is_ended_by_command() -> None:
    assert "why ended_by_staff" in words(run("calls", "hang-up", "c1"))
    assert json.loads(run("calls", "hang-up", "c2", "--json"))["state"] == "ended"
    assert [c["id"] for c in json.loads(run("calls", "--json", "--open"))["items"]] == ["c3"]


def test_agents_by_command() -> None:
    assert "anna Anna offline - support" in words(run("agents"))
    assert "state available" in words(run("agents", "sign-in", "anna"))
    assert "anna Anna available 2026-01-31" in words(run("agents"))
    assert "state offline" in words(run("agents", "sign-out", "anna"))
    assert "password password-of-anna" in words(run("agents", "phone", "anna"))


def test_scripts_get_the_answer_itself() -> None:
    assert [c["id"] for c in json.loads(run("calls", "--json", "--caller", CALLER))["items"]] == ["c1"]
    assert [c["id"] for c in json.loads(run("calls", "--json", "--open", "--limit", "1"))["items"]] == ["c3"]
    assert json.loads(run("messages", "--json", "--status", "unknown"))["items"][0]["from"] == "+4930901820"
    for command in ("agents", "queues", "tickets", "consents"):
        assert json.loads(run(command, "--json"))["items"]
    assert json.loads(run("health", "--json"))["status"] == "ok"
    assert json.loads(run("agents", "sign-in", "anna", "--json"))["state"] == "available"


def test_nothing_found_is_said() -> None:
    assert run("calls", "--caller", "+4930111111").strip() == "no such calls"


def test_unclear_messages_are_decided() -> None:
    assert "status queued" in words(run("messages", "resend", "m2"))


def test_the_handset_reads_and_answers(engine: Engine, tmp_path: Path) -> None:
    shown = run("handset", "read", CALLER)
    assert "Hello" in shown
    assert "\x1b[31m" not in shown
    assert "[bold]you" in shown
    assert "image/jpeg" in shown
    picture = tmp_path / "my lamp.png"
    picture.write_bytes(b"\x89PNG\r\n")
    assert "p2" in run("handset", "answer", " 4915112345678", "Grüße", "--picture", str(picture))
    run("handset", "answer", CALLER, "twice", "--to", "+4930901820")
    assert engine.handset.sent == [
        (CALLER, None, "Grüße", [("image/png", b"\x89PNG\r\n")]),
        (CALLER, "+4930901820", "twice", []),
    ]


def failing(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["ivr-engine", *arguments])
    with pytest.raises(SystemExit) as ended:
        ivr_engine.cli.main()
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("calls", "show", "none"), "none"),
        (("calls", "hang-up", "none"), "none"),
        (("agents", "sign-in", "nobody"), "no agent 'nobody'"),
        (("agents", "sign-out", "bert"), "the contact must end first"),
        (("agents", "phone", "../x"), "ivr-engine: "),
        (("handset", "read", "nonsense"), "this is no phone number"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = failing(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert said.startswith("ivr-engine: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_without_the_token_it_says_where_it_lies(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (engine.state / "secrets" / "api_token").unlink()
    said = failing("calls", monkeypatch=monkeypatch, capsys=capsys)
    assert "IVR_API_TOKEN" in said
    monkeypatch.setenv("IVR_API_TOKEN", TOKEN)
    assert "c1" in run("calls")


def test_a_failing_check_is_status_1(engine: Engine) -> None:
    asyncio.run(engine.rig.store.close())
    assert "store no the store cannot be written" in words(run("health", status=1))


@pytest.mark.parametrize("command", [["-m", "ivr_engine"], ["-c", "import ivr_engine.cli as c; c.main()"]])
def test_no_engine_running_is_a_sentence(command: list[str]) -> None:
    environment = os.environ | {"IVR_HTTP_PORT": "1"}  # nobody listens there
    arguments = [sys.executable, *command, "agents"]
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr == (
        "ivr-engine: no engine answers at http://127.0.0.1:1: start it with 'ivr-engine run', "
        "or set IVR_HTTP_HOST and IVR_HTTP_PORT\n"
    )


def test_what_asks_imports_little() -> None:
    code = "import sys, ivr_engine.cli; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    heavy = {"fastapi", "sqlalchemy", "aiohttp", "phonenumbers", "httpx2", "pydantic", "uvloop", "structlog"}
    assert not heavy & set(result.stdout.split())


def test_check_shows_file_line_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "site.yaml").write_text("brand: Example\nqueues: 5\n")
    shown = run("check", str(tmp_path / "config"), status=1)
    assert "site.yaml:" in shown
    assert "error" in shown
    problems = json.loads(run("check", str(tmp_path / "config"), "--json", status=1))
    assert {"severity", "file", "line", "what", "remedy"} == set(problems[0])


@pytest.mark.parametrize(
    ("severities", "summary"),
    [
        ([], "the site is in order"),
        (["error"], "1 error, 0 warnings"),
        (["warning", "error", "error"], "2 errors, 1 warning"),
    ],
)
def test_check_counts_in_words(severities: list[str], summary: str) -> None:
    assert processes.summary(severities) == summary


def test_nothing_a_stranger_wrote_reaches_the_terminal() -> None:
    assert show.printable("a\x1b]0;x\x07b\x9bc\nd\u202ee") == "a�]0;x�b�c d�e"
