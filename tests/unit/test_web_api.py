"""What testers' scripts rely on: addresses, names and shapes of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import web_rig
from web_rig import CALLER, PICTURE, START, Rig, call

from ivr_engine.domain.events import AgentChanged, AgentConnected, AgentOffered, QueueEntered
from ivr_engine.domain.messages import MediaStatus
from ivr_engine.domain.records import replace
from ivr_engine.ports import Tx


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    await web_rig.fill(made)
    yield made
    await made.store.close()


async def test_calls_show_place_and_consent_newest_first(rig: Rig) -> None:
    items = (await rig.get("/api/v1/calls")).json()["items"]
    assert [(i["id"], i["state"], i["position"]) for i in items] == [
        ("c3", "talking", None),
        ("c2", "waiting", 2),
        ("c1", "waiting", 1),
    ]
    assert items[2] == {
        "id": "c1",
        "caller": CALLER,
        "number": "700",
        "queue": "support",
        "state": "waiting",
        "node": None,
        "position": 1,
        "language": "en",
        "priority": 0,
        "wait_time_sms_status": "allowed",
        "wait_time_sms_rounds": 1,
        "started_at": "2026-01-31T09:15:00Z",
        "entered_at": "2026-01-31T09:15:00Z",
        "next_announcement_at": None,
        "agent": None,
        "talk": None,
        "callback": None,
        "ticket_id": None,
        "answered_at": None,
        "ended_at": None,
        "end_reason": None,
        "texts": {"sent": 1, "received": 1},
    }
    assert items[1]["wait_time_sms_status"] is None


@pytest.mark.parametrize(
    "written", ["%2B4915112345678", "+4915112345678", " 4915112345678", "015112345678", "00491511+2345678"]
)
async def test_a_caller_is_found_however_the_number_is_written(rig: Rig, written: str) -> None:
    items = (await rig.get(f"/api/v1/calls?caller={written}")).json()["items"]
    assert [i["id"] for i in items] == ["c1"]


async def test_an_extension_is_shown_and_found(rig: Rig) -> None:
    await rig.store.run(lambda tx: tx.calls.add(call("c9", caller="4711", minute=9)))
    items = (await rig.get("/api/v1/calls?caller=47-11")).json()["items"]
    assert [(i["id"], i["caller"]) for i in items] == [("c9", "4711")]


async def test_a_position_counts_those_who_do_not_match_the_search(rig: Rig) -> None:
    items = (await rig.get("/api/v1/calls?caller=%2B4915187654321&open=true&limit=1")).json()["items"]
    assert [(i["id"], i["position"]) for i in items] == [("c2", 2)]


async def test_nobody_of_that_number(rig: Rig) -> None:
    assert (await rig.get("/api/v1/calls?caller=nonsense")).json() == {"items": []}


async def test_one_call_has_its_timeline(rig: Rig) -> None:
    shown = (await rig.get("/api/v1/calls/c1")).json()
    assert shown["position"] == 1
    assert [(e["kind"], e["detail"]) for e in shown["timeline"]] == [
        ("call_started", {"caller": CALLER, "number": "700"}),
        ("consent_given", {"outcome": "allowed", "key": "1"}),
    ]


async def test_messages_name_both_ends_and_their_media(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "d1.png").write_bytes(b"a png...")
    items = (await rig.get("/api/v1/messages?number=+4915112345678")).json()["items"]
    message = next(i for i in items if i["id"] == "m1")
    assert (message["direction"], message["from"], message["to"]) == ("inbound", CALLER, "+4930901820")
    assert (message["text"], message["status"], message["call_id"]) == (
        "The lamp stays red",
        "received",
        "c1",
    )
    assert message["created_at"] == "2026-01-31T09:15:00Z"
    [media] = message["media"]
    file = await rig.get(media["url"])
    assert file.content == b"a png..."
    assert file.headers["content-type"] == "image/png"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-disposition"] == 'attachment; filename="d1.png"'
    assert "sandbox" in file.headers["content-security-policy"]


async def test_unknown_messages_are_listed_and_decided(rig: Rig) -> None:
    items = (await rig.get("/api/v1/messages?status=unknown")).json()["items"]
    assert [i["id"] for i in items] == ["m2"]
    assert (await rig.post("/api/v1/messages/m2/resend")).json()["status"] == "queued"
    refused = (await rig.post("/api/v1/messages/m1/drop", 409)).json()
    assert refused["error"]["code"] == "refused"


async def test_a_ticket_has_comments_and_files(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "d1.png").write_bytes(b"a png...")
    [ticket] = (await rig.get("/api/v1/tickets?caller= 4915112345678")).json()["items"]
    assert [(c["author"], c["text"]) for c in ticket["comments"]] == [("customer", "The lamp stays red")]
    [file] = ticket["files"]
    assert (await rig.get(file["url"])).content == b"a png..."
    assert (await rig.get("/api/v1/tickets/t1")).json() == ticket


@pytest.mark.parametrize(
    ("content_type", "file"), [("text/html", "x.html"), ("image/svg+xml", "x.svg"), ("image/png; a=b", "x")]
)
async def test_what_could_run_in_a_browser_is_just_bytes(
    rig: Rig, tmp_path: Path, content_type: str, file: str
) -> None:
    (tmp_path / file).write_text("<script>")
    odd = replace(PICTURE, id="odd", content_type=content_type, file=file)
    await rig.store.run(lambda tx: tx.messages.add(web_rig.inbound("m9", (odd,))))
    answer = await rig.get("/api/v1/messages/m9/media/odd")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("file", ["../outside", "/etc/hostname", "missing.png", "", "."])
async def test_no_file_outside_the_media_folder(rig: Rig, tmp_path: Path, file: str) -> None:
    (tmp_path.parent / "outside").write_text("secret")
    odd = replace(PICTURE, id="odd", file=file)
    await rig.store.run(lambda tx: tx.messages.add(web_rig.inbound("m9", (odd,))))
    assert (await rig.get("/api/v1/messages/m9/media/odd", 404)).json()["error"]["code"] == "not_found"


async def test_media_not_fetched_yet_has_no_url(rig: Rig) -> None:
    pending = replace(PICTURE, id="later", status=MediaStatus.PENDING, file=None, size=None)
    await rig.store.run(lambda tx: tx.messages.add(web_rig.inbound("m9", (pending,))))
    assert (await rig.get("/api/v1/messages/m9")).json()["media"][0]["url"] is None
    await rig.get("/api/v1/messages/m9/media/later", 404)


async def test_consents_are_the_ledger(rig: Rig) -> None:
    [item] = (await rig.get("/api/v1/consents?number=015112345678")).json()["items"]
    assert (item["key"], item["outcome"], item["wording"]) == ("1", "allowed", "Press 1")


async def test_queues_show_who_waits_and_who_could_answer(rig: Rig) -> None:
    items = {i["name"]: i for i in (await rig.get("/api/v1/queues")).json()["items"]}
    support = items["support"]
    assert (support["waiting"], support["longest_wait_seconds"], support["talking"]) == (2, 300.0, 1)
    assert support["agents"] == {
        "offline": 1,
        "available": 0,
        "offered": 0,
        "on_contact": 1,
        "wrap_up": 0,
        "on_break": 0,
        "rona": 0,
    }
    assert (items["sales"]["waiting"], items["sales"]["longest_wait_seconds"]) == (0, None)
    assert support["estimated_wait"] is None  # nobody signed in, as far as the events tell
    assert (support["accuracy"], support["announced_accuracy"]) == (None, None)
    assert (await rig.get("/api/v1/queues/support")).json() == support


async def test_the_estimated_wait_of_somebody_who_would_come_now(rig: Rig) -> None:
    def write(tx: Tx) -> None:
        tx.events.add(START, None, AgentChanged("bert", "on_contact"))
        for name, seconds in (("w1", 0), ("w2", 1)):
            tx.events.add(START + timedelta(seconds=seconds), name, QueueEntered("sales", 1))
        tx.events.add(START + timedelta(seconds=100), "w1", AgentOffered("bert"))
        tx.events.add(START + timedelta(seconds=104), "w1", AgentConnected("bert", "t"))

    await rig.store.run(write)
    sales = (await rig.get("/api/v1/queues/sales")).json()
    wait = sales["estimated_wait"]
    assert 60 < wait["p50_seconds"] < wait["expected_seconds"] < wait["p80_seconds"] < 900
    assert sales["accuracy"] == {
        "callers": 1.0,
        "within_p50": 1.0,
        "within_p80": 1.0,
        "error": sales["accuracy"]["error"],
        "app_queue_error": 1.0,  # it would have said 0
    }
    assert sales["announced_accuracy"] is None


async def test_agents_come_and_go(rig: Rig) -> None:
    items = {i["name"]: i for i in (await rig.get("/api/v1/agents")).json()["items"]}
    assert (items["anna"]["state"], items["anna"]["since"]) == ("offline", None)
    assert (await rig.post("/api/v1/agents/anna/sign-in")).json()["state"] == "available"
    assert (await rig.get("/api/v1/agents/anna")).json()["state"] == "available"
    assert (await rig.post("/api/v1/agents/anna/sign-out")).json()["state"] == "offline"
    busy = (await rig.post("/api/v1/agents/bert/sign-out", 409)).json()["error"]
    assert busy["message"] == "agent bert is on_contact: the contact must end first"


async def test_an_agents_phone_can_be_set_up(rig: Rig) -> None:
    assert (await rig.get("/api/v1/agents/anna/phone")).json() == {
        "user": "anna",
        "password": "password-of-anna",
        "server": "127.0.0.1:5060",
        "transport": "udp",
        "uri": "sip:anna@127.0.0.1:5060",
    }


async def test_a_call_is_ended_once(rig: Rig) -> None:
    ended = (await rig.post("/api/v1/calls/c1/hang-up")).json()
    assert (ended["id"], ended["state"], ended["end_reason"]) == ("c1", "ended", "ended_by_staff")
    assert (ended["ended_at"], ended["position"]) == ("2026-01-31T09:20:00Z", None)
    assert (await rig.get("/api/v1/calls/c2")).json()["position"] == 1
    refused = (await rig.post("/api/v1/calls/c1/hang-up", 409)).json()["error"]
    assert refused == {"code": "refused", "message": "call c1 has ended already"}
    assert (await rig.post("/api/v1/calls/none/hang-up", 404)).json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/calls/none",
        "/api/v1/messages/none",
        "/api/v1/messages/m1/media/none",
        "/api/v1/tickets/none",
        "/api/v1/tickets/t1/files/none",
        "/api/v1/agents/none",
        "/api/v1/agents/none/phone",
        "/api/v1/queues/none",
        "/api/v1/none",
        "/api/v1/calls/",
        "/health/",
        "/none",
    ],
)
async def test_what_is_not_there_is_404_with_a_sentence(rig: Rig, path: str) -> None:
    error = (await rig.get(path, 404)).json()["error"]
    assert error["code"] == "not_found"
    assert error["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "open=perhaps", "caller=" + "1" * 41])
async def test_a_request_not_understood_is_422_and_names_the_field(rig: Rig, query: str) -> None:
    error = (await rig.get(f"/api/v1/calls?{query}", 422)).json()["error"]
    assert error["code"] == "invalid"
    assert [f["field"] for f in error["fields"]] == [f"query.{query.partition('=')[0]}"]


async def test_another_method_is_405(rig: Rig) -> None:
    error = (await rig.post("/api/v1/calls", 405)).json()["error"]
    assert error["code"] == "method_not_allowed"


async def test_metrics_count_the_events_and_show_the_moment(rig: Rig) -> None:
    await rig.get("/metrics")  # the first look is the beginning
    await rig.store.run(_more_events)
    text = (await rig.get("/metrics")).text
    assert 'ivr_wait_time_sms_consent_total{step="denied"} 1.0' in text
    assert 'ivr_calls_ended_total{reason="caller_hung_up"} 1.0' in text
    assert 'ivr_queue_waiting{queue="support"} 2.0' in text
    assert 'ivr_agents{state="on_contact"} 1.0' in text
    assert "ivr_store_up 1.0" in text
    assert CALLER not in text


def _more_events(tx: Tx) -> None:
    from ivr_engine.domain.events import CallFinished, ConsentGiven

    tx.events.add(web_rig.START, "c2", ConsentGiven("denied", "2"), CallFinished("caller_hung_up"))


async def test_the_description_has_an_example_for_every_list(rig: Rig) -> None:
    schema = (await rig.get("/openapi.json")).json()
    for name in ("CallItem", "MessageItem", "TicketItem", "ConsentItem", "AgentItem", "QueueItem"):
        assert schema["components"]["schemas"][name]["examples"]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} is not described"
    hang_up = schema["paths"]["/api/v1/calls/{call_id}/hang-up"]["post"]["responses"]["200"]["content"]
    assert hang_up["application/json"]["example"]["end_reason"] == "ended_by_staff"
    page = (await rig.get("/docs")).text
    assert page.count("ended_by_staff&quot;") == 1
    assert "GET /api/v1/calls/{call_id}" in page
    assert "<script" not in page
