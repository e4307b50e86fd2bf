"""Texts in a call over HTTP and by command: what is understood, what is answered, what a text costs."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ivr_engine.callflow.in_call_sms import Choice, Content, Enclosure, FromPreset, OfferedPreset, OwnText
from ivr_engine.domain.messages import Message, Purpose, outbound
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.messaging import enclosures
from ivr_engine.messaging.enclosures import MOST_BYTES, Enclosures
from ivr_engine.web.app import create_app
from ivr_engine.web.in_call_sms import in_call_sms_router
from tests.unit import web_rig
from tests.unit.web_rig import CALLER, START, Rig

MESSAGE = outbound(
    id="m-1",
    sender="+4930901820",
    recipient=CALLER,
    text="Example: a photo?",
    provider="simulator",
    purpose=Purpose.IN_CALL_SMS,
    call_id="c1",
    now=START,
)


class FakeSms:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def send(
        self, call_id: str, content: Content, agent: str | None = None, key: str | None = None
    ) -> Message:
        if call_id != "c1":
            raise Refused(f"no call {call_id}", missing=True)
        if content == OwnText("too late"):
            raise Refused("call c1 is ended: no agent talks to the caller")
        self.asked.append((content, agent, key))
        return replace(MESSAGE, media=(content.media,)) if isinstance(content, Enclosure) else MESSAGE

    async def choice(self, call_id: str, language: str | None = None) -> Choice:
        preset = OfferedPreset(name="photo", label="A photo", text="Example: a photo\u2019s fine")
        why_not = "the caller's number is hidden" if language == "de" else None
        return Choice(
            why_not=why_not, language=language or "en", presets=(preset,), own_text=True, media=False
        )


def make(folder: Path) -> tuple[Rig, FakeSms]:
    rig, sms = web_rig.make(folder), FakeSms()
    services = replace(rig.services, more=(in_call_sms_router(sms, Enclosures(folder)),))
    return Rig(services, create_app(services), rig.store, rig.clock), sms


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"preset": "photo"}, (FromPreset("photo"), None, None)),
        ({"preset": "photo", "language": "de", "agent": "anna"}, (FromPreset("photo", "de"), "anna", None)),
        ({"text": "See you", "key": "k1"}, (OwnText("See you"), None, "k1")),
        ({"text": "x" * 10_000}, (OwnText("x" * 10_000), None, None)),  # refused further in, with a reason
    ],
)
async def test_what_is_sent(tmp_path: Path, body: dict[str, Any], asked: tuple[Any, ...]) -> None:
    rig, sms = make(tmp_path)
    item = (await rig.post("/api/v1/calls/c1/sms", body=body)).json()
    assert sms.asked == [asked]
    assert (item["id"], item["purpose"], item["call_id"]) == ("m-1", "in_call_sms", "c1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"preset": "photo", "text": "See you"},
        {"preset": ""},
        {"text": "x" * 10_001},
        {"text": "Hello", "to": "+4915100000000"},
        {"text": 5},
    ],
)
async def test_what_is_not_understood(tmp_path: Path, body: dict[str, Any]) -> None:
    rig, sms = make(tmp_path)
    await rig.post("/api/v1/calls/c1/sms", 422, body)
    assert not sms.asked


async def test_what_is_refused_says_why(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)
    refused = await rig.post("/api/v1/calls/c1/sms", 409, {"text": "too late"})
    assert refused.json()["error"]["message"] == "call c1 is ended: no agent talks to the caller"
    await rig.post("/api/v1/calls/none/sms", 404, {"text": "Hello"})
    async with rig.client(token=False) as client:
        assert (await client.post("/api/v1/calls/c1/sms", json={"text": "Hello"})).status_code == 401


def png() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(made, "PNG")
    return made.getvalue()


def stored(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def upload(rig: Rig, content: bytes, status: int, call: str = "c1", **fields: str) -> Any:
    async with rig.client() as client:
        path = f"/api/v1/calls/{call}/sms/file"
        answer = await client.post(path, data=fields, files={"media": ("x.png", content, "image/png")})
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_picture_is_checked_stored_and_sent(tmp_path: Path) -> None:
    rig, sms = make(tmp_path)
    item = await upload(rig, png(), 200, text="Like this", agent="anna", key="k1")
    [(enclosed, agent, key)] = sms.asked
    assert (enclosed.text, agent, key) == ("Like this", "anna", "k1")
    assert [(m["content_type"], m["status"]) for m in item["media"]] == [("image/png", "stored")]
    assert [file.suffix for file in stored(tmp_path)] == [".png"]


async def test_what_is_no_picture_or_cannot_be_sent_leaves_no_file(tmp_path: Path) -> None:
    rig, sms = make(tmp_path)
    refused = await upload(rig, b"<svg onload=alert(1)>", 409)
    assert "not a jpg, png, gif, mp4 or 3gp file" in refused["error"]["message"]
    too_large = b"\0\0\0\x18ftypmp42" + bytes(MOST_BYTES)
    assert "too large" in (await upload(rig, too_large, 409))["error"]["message"]
    await upload(rig, png(), 404, call="none")
    await upload(rig, bytes(25 * 1024 * 1024), 413)
    assert not sms.asked
    assert not stored(tmp_path)


async def test_a_full_disk_is_said_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(enclosures, "keep", full)
    rig, sms = make(tmp_path)
    said = await upload(rig, png(), 503)
    assert "No space left" in said["error"]["message"]
    assert not sms.asked


async def test_what_can_be_sent(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)
    choice = (await rig.get("/api/v1/calls/c1/sms/choice")).json()
    assert (choice["possible"], choice["own_text"], choice["longest"]) == (True, True, 918)
    assert choice["presets"] == [
        {"name": "photo", "label": "A photo", "text": "Example: a photo\u2019s fine", "segments": 1}
    ]
    hidden = (await rig.get("/api/v1/calls/c1/sms/choice?language=de")).json()
    assert (hidden["possible"], hidden["why_not"]) == (False, "the caller's number is hidden")


async def test_the_texts_of_a_call_are_listed_oldest_first(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)

    def fill(tx: Any) -> None:
        tx.calls.add(web_rig.call("c1"))
        tx.messages.add(MESSAGE)
        tx.messages.add(
            replace(MESSAGE, id="m-0", purpose=Purpose.WAIT_TIME_SMS, created_at=START - timedelta(minutes=1))
        )

    await rig.store.run(fill)
    items = (await rig.get("/api/v1/calls/c1/sms")).json()["items"]
    assert [(item["id"], item["purpose"]) for item in items] == [
        ("m-0", "wait_time_sms"),
        ("m-1", "in_call_sms"),
    ]
    await rig.get("/api/v1/calls/none/sms", 404)


GSM7, UCS2 = "GSM-7", "UCS-2"
MEASURED: list[tuple[str, tuple[int, int, bool, int, int, int, str], list[tuple[str, str, int, str]]]] = [
    ("Hello", (5, 913, True, 5, 1, 155, GSM7), []),
    (" Hello\x00 ", (5, 913, True, 5, 1, 155, GSM7), []),
    ("", (0, 918, False, 0, 1, 160, GSM7), []),
    ("x" * 160, (160, 758, True, 160, 1, 0, GSM7), []),
    ("x" * 161, (161, 757, True, 161, 2, 145, GSM7), []),
    ("x" * 918, (918, 0, True, 918, 6, 0, GSM7), []),
    ("x" * 919, (919, -1, False, 919, 7, 152, GSM7), []),
    ("5 €", (3, 915, True, 4, 1, 156, GSM7), [("€", "U+20AC", 2, "double")]),
    (
        "It\u2019s 5 €, isn\u2019t it? \U0001f600",
        (21, 897, True, 22, 1, 48, UCS2),
        [("\u2019", "U+2019", 2, "ucs2"), ("\U0001f600", "U+1F600", 20, "ucs2")],
    ),
    ("ж" * 918, (918, 0, True, 918, 14, 20, UCS2), [("ж", "U+0436", 0, "ucs2")]),
]


@pytest.mark.parametrize(("text", "counted", "expensive"), MEASURED)
async def test_a_text_is_measured_while_it_is_written(
    tmp_path: Path, text: str, counted: tuple[Any, ...], expensive: list[tuple[str, str, int, str]]
) -> None:
    rig, _ = make(tmp_path)
    item = (await rig.post("/api/v1/sms/measure", body={"text": text})).json()
    costly = [(one["character"], one["code"], one["at"], one["effect"]) for one in item.pop("costly")]
    names = ("characters", "characters_left", "fits", "units", "segments", "units_left", "encoding")
    assert (tuple(item[name] for name in names), costly) == (counted, expensive)


async def test_a_lone_surrogate_or_a_text_beyond_all_measure_breaks_nothing(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)
    async with rig.client() as client:
        body = b'{"text": "a\\ud800b"}'
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/api/v1/sms/measure", content=body, headers=headers)
    assert answer.status_code == 422
    await rig.post("/api/v1/sms/measure", 422, {"text": "x" * 10_001})


async def test_each_shape_has_an_example(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)
    schemas = (await rig.get("/openapi.json")).json()["components"]["schemas"]
    for name in ("WhatToSend", "Written", "MeasureItem", "ChoiceItem"):
        assert schemas[name]["examples"], name
    assert "/calls/{call_id}/sms/file" in (await rig.get("/docs")).text
