"""Contacts and CRMs over HTTP, and links to files without a token."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ivr_engine.domain.crm import Delivery, Kind
from ivr_engine.domain.records import replace
from ivr_engine.ports import Tx
from ivr_engine.web.file_links import FileFront, FileLinks
from tests.unit import web_rig
from tests.unit.web_rig import CALLER, START, Rig


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    made = web_rig.make(tmp_path)
    await web_rig.fill(made)
    return made


async def _request(rig: Rig, method: str, path: str, body: dict[str, Any], status: int) -> Any:
    async with rig.client() as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


# ── contacts ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_contact_is_made_found_changed_and_deleted(rig: Rig) -> None:
    body = {"name": "Ada\x00\x07", "numbers": ["0151 12345678", CALLER], "external": {"hub": "4711"}}
    made = (await rig.post("/api/v1/contacts", 201, body)).json()
    assert (made["name"], made["numbers"], made["external"]) == ("Ada", [CALLER], {"hub": "4711"})
    for path in (
        "/api/v1/contacts",
        f"/api/v1/contacts?number={CALLER}",
        "/api/v1/contacts?number=015112345678",
    ):
        assert (await rig.get(path)).json()["items"] == [made]
    assert (await rig.get("/api/v1/contacts?number=0301234567")).json()["items"] == []
    one = f"/api/v1/contacts/{made['id']}"
    changed = await _request(rig, "PATCH", one, {"name": "Ada L."}, 200)
    assert (changed["name"], changed["numbers"]) == ("Ada L.", [CALLER])
    assert (await rig.get(one)).json() == changed
    await _request(rig, "DELETE", one, {}, 204)
    await rig.get(one, 404)
    await _request(rig, "DELETE", one, {}, 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " ", "language": "en"},
        {"name": "x" * 201},
        {"numbers": ["1"] * 21},
        {"numbers": ["x" * 41]},
        {"external": {"no system": "1"}},
        {"external": {"hub": ""}},
        {"who": "Ada"},
    ],
)
async def test_contacts_that_make_no_sense_are_refused(rig: Rig, body: dict[str, Any]) -> None:
    await rig.post("/api/v1/contacts", 422, body)


async def test_of_several_one_is_chosen_or_somebody_new(rig: Rig) -> None:
    ids = [
        (await rig.post("/api/v1/contacts", 201, {"name": name, "numbers": [CALLER]})).json()["id"]
        for name in ("Ada", "Ben")
    ]
    await rig.store.run(lambda tx: tx.tickets.belongs_to("t1", None, tuple(ids)))
    ticket = (await rig.get("/api/v1/tickets/t1")).json()
    assert (ticket["contact_id"], ticket["contact_choice"]) == (None, ids)
    choice = (await rig.get("/api/v1/tickets/t1/contact")).json()
    assert (choice["contact"], [each["name"] for each in choice["candidates"]]) == (None, ["Ada", "Ben"])
    chosen = (await rig.post("/api/v1/tickets/t1/contact", 200, {"contact_id": ids[1]})).json()
    assert (chosen["contact"]["name"], chosen["candidates"]) == ("Ben", [])
    new = (await rig.post("/api/v1/tickets/t1/contact", 200, {"new": "Eve"})).json()
    assert (new["contact"]["name"], new["contact"]["numbers"]) == ("Eve", [CALLER])
    ticket = (await rig.get("/api/v1/tickets/t1")).json()
    assert (ticket["contact_id"], ticket["contact_choice"]) == (new["contact"]["id"], None)
    timeline = (await rig.get("/api/v1/calls/c1")).json()["timeline"]
    assert [each["detail"]["how"] for each in timeline if each["kind"] == "contact_identified"] == [
        "chosen"
    ] * 2


async def test_choices_that_make_no_sense_are_refused(rig: Rig) -> None:
    for body in ({}, {"contact_id": "a", "new": "b"}, {"contact": "a"}):
        await rig.post("/api/v1/tickets/t1/contact", 422, body)
    await rig.post("/api/v1/tickets/t1/contact", 404, {"contact_id": "?"})
    await rig.post("/api/v1/tickets/?/contact", 404, {"new": ""})
    await rig.get("/api/v1/tickets/nope/contact", 404)


# ── CRMs ─────────────────────────────────────────────────────────────────────────────────────────

LETTER = Delivery(
    id="message-m1",
    adapter="hub",
    call_id="c1",
    event_id=7,
    kind=Kind.MESSAGE,
    subject="m1",
    at=START,
    attempts=1,
    error="it answered with status 422",
)


async def test_how_far_crms_are_and_what_they_would_not_take(rig: Rig) -> None:
    def write(tx: Tx) -> None:
        tx.deliveries.keep_cursor("built-in", 9)
        tx.deliveries.keep_cursor("contact lookup", 9)
        waits = replace(LETTER, id="other", next_attempt_at=START)
        tx.deliveries.add([LETTER, waits, replace(LETTER, id="second"), replace(LETTER, adapter="erp")])

    await rig.store.run(write)
    items = (await rig.get("/api/v1/crm")).json()["items"]
    assert [(each["name"], each["waiting"], each["dead"]) for each in items] == [
        ("built-in", 0, 0),
        ("erp", 0, 1),
        ("hub", 1, 2),
    ]
    dead = (await rig.get("/api/v1/crm/dead?crm=hub")).json()["items"]
    assert [(each["id"], each["error"]) for each in dead] == [
        ("message-m1", "it answered with status 422"),
        ("second", "it answered with status 422"),
    ]
    one = {"crm": "hub", "id": "second"}
    assert (await rig.post("/api/v1/crm/drop", 200, one)).json() == {"letters": 1}
    await rig.post("/api/v1/crm/drop", 404, one)
    assert (await rig.post("/api/v1/crm/replay", 200, {"crm": "hub"})).json() == {"letters": 1}
    assert (await rig.post("/api/v1/crm/replay", 200, {})).json() == {"letters": 1}
    assert (await rig.get("/api/v1/crm/dead")).json()["items"] == []
    await rig.post("/api/v1/crm/replay", 422, {"everything": True})
    await rig.post("/api/v1/crm/replay", 404, {"id": "nobody's"})


# ── links ────────────────────────────────────────────────────────────────────────────────────────

PNG = b"\x89PNG\r\n\x1a\n"


async def _open(rig: Rig, links: FileLinks, url: str, method: str = "GET") -> httpx2.Response:
    front = FileFront(rig.app, links, rig.store, rig.services.media_folder)
    transport = httpx2.ASGITransport(app=front, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://engine.example") as client:
        return await client.request(method, url)


async def test_a_link_opens_its_file_without_a_token_for_a_while(rig: Rig) -> None:
    (rig.services.media_folder / "d1.png").write_bytes(PNG)
    links = FileLinks("s" * 32, "https://engine.example/", rig.clock, lambda: timedelta(hours=1))
    url, until = links.link("t1", "f-d1")
    assert url.startswith("https://engine.example/webhooks/crm/files/t1/f-d1?")
    assert until == (rig.clock.at + timedelta(hours=1)).replace(microsecond=0)
    answer = await _open(rig, links, url)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert (await _open(rig, links, url, "HEAD")).status_code == 200
    assert (await _open(rig, links, url, "POST")).status_code == 405
    rig.clock.at += timedelta(hours=1, seconds=1)
    assert (await _open(rig, links, url)).status_code == 403


async def test_a_link_that_was_changed_or_made_up_opens_nothing(rig: Rig) -> None:
    (rig.services.media_folder / "d1.png").write_bytes(PNG)
    links = FileLinks("s" * 32, "https://engine.example", rig.clock, lambda: timedelta(hours=1))
    others = FileLinks("t" * 32, "https://engine.example", rig.clock, lambda: timedelta(hours=1))
    url, until = links.link("t1", "f-d1")
    expires = str(int(until.timestamp()))
    forged = [
        url.replace("f-d1", "f-d2"),
        url.replace("/t1/", "/t2/"),
        url.replace(expires, str(int(expires) + 1)),
        url.replace(expires, "9" * 40),
        url.replace(expires, "\u0661"),
        url[:-1],
        url.partition("?")[0],
        url + "&signature=" + "0" * 64 + "&a" * 20,
        others.link("t1", "f-d1")[0],
    ]
    for each in forged:
        assert (await _open(rig, links, each)).status_code == 403, each
    gone, _ = links.link("t1", "f-gone")
    assert (await _open(rig, links, gone)).status_code == 404
    assert (await _open(rig, links, "/api/v1/tickets")).status_code == 401, "everything else needs the token"
