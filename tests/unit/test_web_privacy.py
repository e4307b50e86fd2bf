"""Opt-outs, the ledger as a file, and forgetting a number, by API and by command."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import web_rig
from test_cli_commands import InLoop, run, words
from typer.testing import CliRunner
from web_rig import CALLER, TOKEN, Rig

import ivr_engine.cli
from ivr_engine.cli.client import Api
from ivr_engine.domain.events import ConsentWithdrawn, OptedOut, ProofsExported
from ivr_engine.domain.records import replace
from ivr_engine.messaging.privacy import PrivacyKeeper, PrivacyPolicy
from ivr_engine.settings import from_environ
from ivr_engine.site.opt_outs import Retention
from ivr_engine.web.app import create_app
from ivr_engine.web.erasures import erasures_router
from ivr_engine.web.exports import defused

OPT_OUTS = "/api/v1/opt-outs"
HOSTILE = '=HYPERLINK("http://x")\n+1,"2" \' 🙂 ü'


async def _no_file(name: str) -> None: ...


def keeper_of(rig: Rig) -> PrivacyKeeper:
    return PrivacyKeeper(
        store=rig.store,
        clock=rig.clock,
        delete=_no_file,
        retention=lambda: Retention(messages=None, media=None, calls=None, consents=None),
        policy=PrivacyPolicy(pause_s=0),
    )


def with_erasures(rig: Rig) -> PrivacyKeeper:
    keeper = keeper_of(rig)
    rig.app = create_app(replace(rig.services, more=(erasures_router(keeper),)))
    return keeper


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    await web_rig.fill(made)
    yield made
    await made.store.close()


async def test_staff_opt_somebody_out_and_in_again(rig: Rig) -> None:
    told = {"number": "01511 2345678", "agent": "anna", "note": "said so on the phone"}
    done = (await rig.post(OPT_OUTS, 201, told)).json()
    assert done["number"] == CALLER
    assert done["opted_out"] | {"at": 0} == {
        "at": 0,
        "how": "staff",
        "wording": "said so on the phone",
        "actor": "anna",
    }
    assert (await rig.post(OPT_OUTS, 409, told)).json()["error"]["message"] == (
        "this number is opted out already"
    )
    [listed] = (await rig.get(f"{OPT_OUTS}?number={CALLER.replace('+', '%2B')}")).json()["items"]
    assert listed == done
    [withdrawn, allowed] = (await rig.get("/api/v1/consents")).json()["items"]
    assert (allowed["outcome"], withdrawn["outcome"], withdrawn["how"]) == ("allowed", "withdrawn", "staff")
    assert withdrawn["wording"] == "said so on the phone"
    again = (await rig.post(f"{OPT_OUTS}/resume", body={"number": CALLER})).json()
    assert (again["id"], again["resumed"]["how"], again["resumed"]["actor"]) == (done["id"], "api", "api")
    await rig.post(f"{OPT_OUTS}/resume", 409, {"number": CALLER})
    events = [event.what for event in await rig.store.run(lambda tx: tx.events.after(0, 1000))]
    assert OptedOut(done["id"], "staff", "anna") in events
    assert ConsentWithdrawn(withdrawn["id"], "staff", "anna") in events


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"number": CALLER, "agent": "nobody"}, 404),
        ({}, 422),
        ({"number": ""}, 422),
        ({"number": "nobody"}, 409),
        ({"number": "12"}, 409),
        ({"number": "0151 123"}, 409),
        ({"number": "+4915112345678999"}, 409),
        ({"number": CALLER, "agnet": "anna"}, 422),
        ({"number": CALLER, "note": "x" * 1001}, 422),
    ],
)
async def test_what_is_no_instruction(rig: Rig, body: dict[str, str], status: int) -> None:
    await rig.post(OPT_OUTS, status, body)
    assert (await rig.get(OPT_OUTS)).json()["items"] == []


async def test_the_ledger_as_a_file_holds_every_line_and_no_formula(rig: Rig) -> None:
    [first] = await rig.store.run(lambda tx: tx.consents.search())
    for n in range(1200):
        more = replace(first, id=f"more-{n:04}", at=first.at + timedelta(seconds=n // 3), wording=HOSTILE)
        await rig.store.run(lambda tx, more=more: tx.consents.add(more))
    answer = await rig.get("/api/v1/consents/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="consents.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len({row["id"] for row in rows}) == 1201
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r\n")]
    assert rows[1]["wording"] == f"'{HOSTILE}"
    assert rows[1]["number"] == f"'{CALLER}"
    lines = (await rig.get("/api/v1/consents/export?format=jsonl")).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row["id"] for row in rows]
    assert json.loads(lines[1])["wording"] == HOSTILE
    as_list = await rig.get("/api/v1/consents/export?format=json")
    assert as_list.headers["content-type"] == "application/json; charset=utf-8"
    assert as_list.json() == [json.loads(line) for line in lines]
    assert (await rig.get("/api/v1/consents/export?format=json&number=%2B4915100000000")).json() == []
    assert (await rig.get("/api/v1/consents/export?format=jsonl&number=%2B4915100000000")).text == ""
    assert json.loads(lines[0]) == (await rig.get("/api/v1/consents?limit=10000")).json()["items"][-1]
    await rig.get("/api/v1/consents/export?format=xls", 422)
    events = [event.what for event in await rig.store.run(lambda tx: tx.events.after(0, 1000))]
    assert events.count(ProofsExported("consents", of_one_number=False, actor="api")) == 3


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\uff1dx"])
def test_a_formula_is_defused(cell: str) -> None:
    assert defused(cell) == f"'{cell}"
    assert defused(f"a{cell}") == f"a{cell}"
    assert defused("") == ""


async def test_the_list_as_a_file(rig: Rig) -> None:
    await rig.post(OPT_OUTS, 201, {"number": CALLER, "note": "=1+1"})
    await rig.post(f"{OPT_OUTS}/resume", body={"number": CALLER, "agent": "anna"})
    [row] = csv.DictReader(io.StringIO((await rig.get(f"{OPT_OUTS}/export")).text))
    assert (row["number"], row["wording"], row["resumed_actor"]) == (f"'{CALLER}", "'=1+1", "anna")
    [line] = (await rig.get(f"{OPT_OUTS}/export?format=jsonl")).text.splitlines()
    assert json.loads(line)["wording"] == "=1+1"


async def test_a_number_is_forgotten_and_still_found_by_who_holds_the_key(rig: Rig) -> None:
    keeper = with_erasures(rig)
    for call in await rig.store.run(lambda tx: tx.calls.search(limit=100)):
        if call.ended_at is None:
            await rig.services.running_calls.hang_up(call.id)
    await rig.post(OPT_OUTS, 201, {"number": CALLER})
    asked = (await rig.post("/api/v1/erasures", 202, {"number": CALLER, "agent": "anna"})).json()
    assert (asked["state"], asked["number"], asked["actor"]) == ("asked", CALLER, "anna")
    await keeper.turn()
    done = (await rig.get(f"/api/v1/erasures/{asked['id']}")).json()
    assert done["state"] == "done"
    assert done["deleted"]["messages"] >= 1
    for path in ("messages", "tickets", "calls", "erasures"):
        found = (await rig.get(f"/api/v1/{path}?limit=1000")).text
        assert CALLER not in found, path
    shown = (await rig.get(f"{OPT_OUTS}?number=%2B{CALLER[1:]}")).json()["items"]
    assert [one["number"] for one in shown] == [done["number"]]
    exported = (await rig.get(f"/api/v1/consents/export?format=jsonl&number=%2B{CALLER[1:]}")).text
    assert [json.loads(line)["outcome"] for line in exported.splitlines()] == ["allowed", "withdrawn"]
    listed = (await rig.get(f"/api/v1/consents?number=%2B{CALLER[1:]}")).json()["items"]
    assert [one["outcome"] for one in listed] == ["withdrawn", "allowed"]
    assert (await rig.get("/api/v1/erasures")).json()["items"] == [done]
    await rig.get("/api/v1/erasures/none", 404)
    await rig.post("/api/v1/erasures", 404, {"number": CALLER, "agent": "nobody"})
    await rig.post("/api/v1/erasures", 409, {"number": rig.services.site().sms.sender})


# ── by command ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = web_rig.make(tmp_path)
    keeper = with_erasures(made)
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_STATE", str(tmp_path))
    monkeypatch.setenv("IVR_API_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "300")
    with asyncio.Runner() as runner:
        runner.run(web_rig.fill(made))
        monkeypatch.setattr(Api, "here", lambda: Api(from_environ(os.environ), InLoop(runner, made)))
        made.clock.at += timedelta(days=1)
        yield made
        runner.run(keeper.turn())
        runner.run(made.store.close())


@pytest.mark.usefixtures("engine")
def test_the_commands(tmp_path: Path) -> None:
    assert "nobody has opted out" in run("opt-outs")
    added = words(run("opt-outs", "add", CALLER, "--agent", "anna", "--note", "on the phone"))
    assert f"number {CALLER}" in added
    assert "how staff by anna wording on the phone" in added
    assert f"{CALLER} 2026-02-01" in words(run("opt-outs"))
    assert f"{CALLER} withdrawn - support en on the phone staff" in words(run("consents"))
    assert "again since 2026-02-01" in words(run("opt-outs", "resume", CALLER))
    assert json.loads(run("opt-outs", "--json"))["items"][0]["resumed"]["actor"] == "api"
    lines = run("consents", "export", "--format", "jsonl").splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["allowed", "withdrawn"]
    file = tmp_path / "proof.csv"
    assert run("consents", "export", "--number", CALLER, "--out", str(file)) == ""
    assert len(list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))) == 2
    nowhere = str(tmp_path / "none" / "x")
    refused = CliRunner().invoke(ivr_engine.cli.app, ["consents", "export", "--out", nowhere])
    assert f"{nowhere} cannot be written: No such file or directory" in str(refused.exception)
    assert "resumed_actor" in run("opt-outs", "export")
    assert "state asked" in words(run("erasures", "ask", CALLER, "--wait", "0"))
    assert CALLER in run("erasures")
