"""What a caller wrote while waiting, as the agent who gets the call sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import web_rig
from web_rig import CALLER, SITE, START, Rig, call, outbound

from ivr_engine.domain.consent import Consent, WaitTimeSmsStatus
from ivr_engine.domain.events import MessageQueued
from ivr_engine.domain.messages import MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms, Tx

OURS = "+4930901820"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = web_rig.make(tmp_path)
    yield made
    await made.store.close()


async def waits(rig: Rig, consent: Consent) -> None:
    def write(tx: Tx) -> None:
        tx.calls.add(replace(call("c1"), consent=consent))
        tx.messages.add(replace(outbound("m1", MessageStatus.SENT), call_id="c1", purpose="wait_time_sms"))
        tx.events.add(START, "c1", MessageQueued("m1"))

    await rig.store.run(write)


async def writes(rig: Rig, text: str) -> None:
    sms = InboundSms(text, CALLER, OURS, text, (("https://x/1", "image/png"),))
    await rig.store.run(lambda tx: received(tx, sms, InboundRules.of("simulator", SITE), START))


async def test_unread_until_somebody_opens_them(rig: Rig) -> None:
    await waits(rig, Consent(WaitTimeSmsStatus.ALLOWED, 1))
    shown = (await rig.get("/api/v1/calls/c1")).json()
    assert shown["texts"] == {"sent": 1, "received": 0, "unread": 0, "wait_time_sms": False}
    await writes(rig, "one")
    await writes(rig, "two")
    shown = (await rig.get("/api/v1/calls/c1")).json()
    assert shown["texts"] == {"sent": 1, "received": 2, "unread": 2, "wait_time_sms": True}
    listed = (await rig.get("/api/v1/calls")).json()["items"]
    assert [item["texts"] for item in listed if item["id"] == "c1"] == [{"sent": 1, "received": 2}]
    assert [event["kind"] for event in shown["timeline"]] == [
        "message_queued",
        *["message_received", "wait_time_sms_received"] * 2,
    ]
    assert shown["timeline"][2]["detail"]["media"] == 1

    read = (await rig.post("/api/v1/calls/c1/sms/read?agent=anna")).json()
    assert read == {"sent": 1, "received": 2, "unread": 0, "wait_time_sms": False}
    await writes(rig, "three")
    assert (await rig.get("/api/v1/calls/c1")).json()["texts"] == {
        "sent": 1,
        "received": 3,
        "unread": 1,
        "wait_time_sms": True,
    }


async def test_without_a_wait_time_sms_there_is_no_banner(rig: Rig) -> None:
    await waits(rig, Consent())
    await writes(rig, "one")
    assert (await rig.get("/api/v1/calls/c1")).json()["texts"] == {
        "sent": 1,
        "received": 1,
        "unread": 1,
        "wait_time_sms": False,
    }


async def test_no_such_call(rig: Rig) -> None:
    await rig.post("/api/v1/calls/none/sms/read", status=404)
