"""Reports on texts: by the API, as CSV, and as commands print them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import web_rig
from typer.testing import CliRunner
from web_rig import CALLER, START, Rig, call, inbound, outbound

from ivr_engine.cli import app, report
from ivr_engine.domain.consent import ConsentRecord, WaitTimeSmsStatus
from ivr_engine.domain.events import ConsentAsked, ConsentNotOffered
from ivr_engine.domain.messages import MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.ports import Tx

DAY = "2026-01-31"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    await made.store.run(_fill)
    yield made
    await made.store.close()


def _fill(tx: Tx) -> None:
    for one in (call("c1"), call("c2")):
        tx.calls.add(one)
    tx.events.add(START, "c1", ConsentAsked(1, "support", "en"), ConsentAsked(2, "support", "en"))
    tx.events.add(START, "c2", ConsentNotOffered("number_hidden", "sales", "de"))
    tx.events.add(START - timedelta(days=3), "c0", ConsentAsked(1, "support", "en"))
    tx.consents.add(
        ConsentRecord(
            id="s1",
            at=START,
            call_id="c1",
            number=CALLER,
            queue="support",
            language="en",
            wording="Press 1",
            wording_version="v",
            audio_hash="h",
            key="1",
            outcome=WaitTimeSmsStatus.ALLOWED,
        )
    )
    sms = outbound("m1", MessageStatus.DELIVERED)
    tx.messages.add(replace(sms, call_id="c1", created_at=START, purpose="wait_time_sms"))
    tx.messages.add(replace(inbound("m2"), call_id="c1", created_at=START))


async def test_what_became_of_the_offers(rig: Rig) -> None:
    answer = (await rig.get("/api/v1/reports/wait-time-sms")).json()
    assert (answer["from"], answer["to"]) == ("2026-01-25", DAY)
    assert [(i["day"], i["queue"], i["language"], i["offered"]) for i in answer["items"]] == [
        ("2026-01-28", "support", "en", 1),
        (DAY, "sales", "de", 0),
        (DAY, "support", "en", 1),
    ]
    assert answer["items"][1]["not_offered"] == {"number_hidden": 1}
    today = answer["items"][2]
    assert {step: n for step, n in today.items() if n and isinstance(n, int)} == {
        "offered": 1,
        "rounds": 2,
        "allowed": 1,
        "sent": 1,
        "delivered": 1,
        "replied": 1,
    }
    assert (answer["total"]["offered"], answer["total"]["not_offered"]) == (2, {"number_hidden": 1})


async def test_of_some_days_and_one_queue(rig: Rig) -> None:
    answer = (await rig.get(f"/api/v1/reports/wait-time-sms?from={DAY}&to={DAY}&queue=sales")).json()
    assert [i["queue"] for i in answer["items"]] == ["sales"]
    assert (answer["from"], answer["to"]) == (DAY, DAY)
    nothing = (await rig.get("/api/v1/reports/wait-time-sms?to=2025-01-01")).json()
    assert (nothing["items"], nothing["total"]["offered"]) == ([], 0)


@pytest.mark.parametrize("query", ["from=2026-02-01&to=2026-01-31", "from=2020-01-01", "from=soon"])
async def test_days_that_make_no_span(rig: Rig, query: str) -> None:
    answer = await rig.get(f"/api/v1/reports/wait-time-sms?{query}", status=422)
    assert answer.json()["error"]["fields"][0]["field"] == "query.from"


async def test_as_csv_with_a_column_for_each_reason(rig: Rig) -> None:
    answer = await rig.get("/api/v1/reports/wait-time-sms.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["day"], row["queue"], row["rounds"]) for row in rows][-1] == (DAY, "support", "2")
    assert [row["not_offered_number_hidden"] for row in rows] == ["0", "1", "0"]


async def test_texts_to_and_fro(rig: Rig) -> None:
    answer = (await rig.get("/api/v1/reports/sms-usage")).json()
    [item] = answer["items"]
    assert (item["inbound"], item["outbound"], item["total"], item["queue"]) == (1, 1, 2, "support")
    assert answer["total"]["purposes"] == item["purposes"]
    rows = list(csv.DictReader(io.StringIO((await rig.get("/api/v1/reports/sms-usage.csv")).text)))
    assert rows == [
        {"day": DAY, "queue": "support", "language": "en", "inbound": "1", "outbound": "1", "total": "2"}
    ]


@pytest.mark.parametrize("name", ["wait-time-sms", "sms-usage"])
async def test_the_commands_say_the_same(rig: Rig, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (await rig.get(f"/api/v1/reports/{name}")).json()
    asked: dict[str, Any] = {}

    def get(path: str, **query: str | None) -> dict[str, Any]:
        asked.update(query, path=path)
        return answer

    monkeypatch.setattr(report, "get", get)
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["report", name, "--from", DAY, "--queue", "support"]).stdout
    assert asked == {"path": f"/api/v1/reports/{name}", "from": DAY, "to": None, "queue": "support"}
    assert "support" in shown
    as_csv = CliRunner().invoke(app, ["report", name, "--csv"]).stdout
    assert as_csv == (await rig.get(f"/api/v1/reports/{name}.csv")).text.replace("\r\n", "\n")
