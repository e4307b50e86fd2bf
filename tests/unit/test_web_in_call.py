"""Commands for a call in mid-talk, over HTTP: what is understood, what is refused, and recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ivr_engine.callflow.commands import Target, ToAgent, ToNumber, ToQueue
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.handover import Place
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.records import replace
from ivr_engine.domain.talk import Listening
from ivr_engine.errors import Refused
from ivr_engine.web.app import create_app
from ivr_engine.web.in_call import in_call_router
from tests.unit import web_rig
from tests.unit.web_rig import START, Rig

TALKING = replace(web_rig.call("c1", chapter=Chapter.TALKING), agent="anna", offer_id="o1")


class FakeCommands:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def _note(self, verb: str, call_id: str, *more: object) -> Call:
        if call_id != "c1":
            raise Refused(f"no call {call_id}", missing=True)
        self.asked.append((verb, *more))
        return replace(TALKING, talk=TALKING.talk.hold() if verb == "hold" else TALKING.talk)

    async def hold(self, call_id: str) -> Call:
        return await self._note("hold", call_id)

    async def resume(self, call_id: str) -> Call:
        raise Refused("the caller is not on hold")

    async def mute(self, call_id: str) -> Call:
        return await self._note("mute", call_id)

    async def unmute(self, call_id: str) -> Call:
        return await self._note("unmute", call_id)

    async def transfer(self, call_id: str, target: Target) -> Call:
        return await self._note("transfer", call_id, target)

    async def consult(self, call_id: str, target: ToAgent | ToNumber) -> Call:
        return await self._note("consult", call_id, target)

    async def complete(self, call_id: str) -> Call:
        return await self._note("complete", call_id)

    async def take_back(self, call_id: str) -> Call:
        return await self._note("take-back", call_id)

    async def conference(self, call_id: str) -> Call:
        return await self._note("conference", call_id)

    async def listen(self, call_id: str, listener: str, mode: Listening) -> Call:
        return await self._note("listen", call_id, listener, mode)

    async def stop_listening(self, call_id: str) -> Call:
        return await self._note("stop-listening", call_id)

    async def record(self, call_id: str) -> Call:
        return await self._note("record", call_id)

    async def stop_recording(self, call_id: str) -> Call:
        return await self._note("stop-recording", call_id)

    async def cancel_callback(self, call_id: str) -> Call:
        return await self._note("cancel-callback", call_id)


def make(folder: Path) -> tuple[Rig, FakeCommands]:
    rig, commands = web_rig.make(folder), FakeCommands()
    services = replace(rig.services, more=(in_call_router(commands),))
    return Rig(services, create_app(services), rig.store, rig.clock), commands


async def sent(rig: Rig, verb: str, body: object, status: int = 200) -> Any:
    async with rig.client() as client:
        answer = await client.post(f"/api/v1/calls/c1/{verb}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


VERBS = [
    "hold",
    "mute",
    "unmute",
    "complete",
    "take-back",
    "conference",
    "stop-listening",
    "record",
    "cancel-callback",
]


async def test_each_command_has_an_address(tmp_path: Path) -> None:
    rig, commands = make(tmp_path)
    for verb in VERBS:
        await rig.post(f"/api/v1/calls/c1/{verb}")
    assert [asked for asked, *_ in commands.asked] == VERBS
    assert (await rig.post("/api/v1/calls/c1/hold")).json()["talk"]["on_hold"] is True
    assert (await rig.post("/api/v1/calls/c1/resume", 409)).json()["error"]["message"] == (
        "the caller is not on hold"
    )
    await rig.post("/api/v1/calls/none/hold", 404)


@pytest.mark.parametrize(
    ("verb", "body", "asked"),
    [
        ("transfer", {"queue": "sales"}, (ToQueue("sales", Place.TIME),)),
        ("transfer", {"queue": "sales", "place": "head"}, (ToQueue("sales", Place.HEAD),)),
        ("transfer", {"agent": "ben"}, (ToAgent("ben"),)),
        ("transfer", {"number": "030 1"}, (ToNumber("030 1"),)),
        ("consult", {"agent": "ben"}, (ToAgent("ben"),)),
        ("consult", {"number": "+4930"}, (ToNumber("+4930"),)),
        ("listen", {"agent": "cleo"}, ("cleo", Listening.LISTEN)),
        ("listen", {"agent": "cleo", "mode": "barge"}, ("cleo", Listening.BARGE)),
    ],
)
async def test_where_to_and_who(tmp_path: Path, verb: str, body: object, asked: tuple[object, ...]) -> None:
    rig, commands = make(tmp_path)
    await sent(rig, verb, body)
    assert commands.asked == [(verb, *asked)]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("transfer", {}),
        ("transfer", {"agent": "ben", "queue": "sales"}),
        ("transfer", {"agent": "ben", "where": "x"}),
        ("transfer", {"queue": "sales", "place": "first"}),
        ("transfer", {"number": "1" * 41}),
        ("consult", {"queue": "sales"}),
        ("consult", {"agent": ""}),
        ("listen", {"agent": "cleo", "mode": "shout"}),
        ("listen", []),
    ],
)
async def test_what_is_not_understood(tmp_path: Path, verb: str, body: object) -> None:
    rig, commands = make(tmp_path)
    await sent(rig, verb, body, 422)
    assert not commands.asked


async def test_recordings_are_listed_and_fetched_with_the_token(tmp_path: Path) -> None:
    rig, _ = make(tmp_path)
    made = TalkRecording(id="talk-1", engine="ivr-1", call_id="c1", agent="anna", started_at=START)
    kept = replace(made, id="talk-2", status=RecordingStatus.KEPT, size=4, seconds=1.0)

    def fill(tx: Any) -> None:
        tx.calls.add(TALKING)
        tx.recordings.add(made)
        tx.recordings.add(kept)

    await rig.store.run(fill)
    (tmp_path / "talk-2.wav").write_bytes(b"RIFF")
    items = (await rig.get("/api/v1/calls/c1/recordings")).json()["items"]
    assert [(i["id"], i["status"]) for i in items] == [("talk-1", "making"), ("talk-2", "kept")]
    file = await rig.get("/api/v1/calls/c1/recordings/talk-2")
    assert (file.content, file.headers["content-type"]) == (b"RIFF", "audio/wav")
    await rig.get("/api/v1/calls/c1/recordings/talk-1", 404)
    await rig.get("/api/v1/calls/c1/recordings/none", 404)
    await rig.get("/api/v1/calls/none/recordings", 404)
    async with rig.client(token=False) as client:
        assert (await client.get("/api/v1/calls/c1/recordings/talk-2")).status_code == 401
