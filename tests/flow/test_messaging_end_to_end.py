"""Engine and simulator over real sockets: an SMS out, an answer with a picture back, on to the ticket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.messages import MediaStatus, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.ports import Tx
from ivr_engine.sms.faults import Fault
from tests.flow.messaging_rig import PHONE, SENDER, Rig, rig


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as it:
        await it.call()
        yield it


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, kind)
    return out.getvalue()


async def test_out_and_back_with_a_picture_and_into_the_ticket(it: Rig) -> None:
    await it.send()
    await it.until_status(MessageStatus.DELIVERED)
    async with aiohttp.ClientSession(it.url) as tester:
        phone = f"/api/v1/handset/{PHONE}/messages"
        async with tester.get(phone) as answer:
            [got] = (await answer.json())["items"]
            assert (got["from"], got["to"], got["text"]) == (SENDER, PHONE, "Answer here")
        async with tester.post(phone, json={"text": "my order is 4711"}) as answer:
            assert answer.status == 201, await answer.text()
        # Two webhooks under way at once may overtake each other.
        await it.until(lambda tx: len(tx.messages.of_call("c1")) == 2)
        form = aiohttp.FormData()
        form.add_field("text", "and this is it")
        form.add_field("media", picture(), filename="x.png", content_type="image/png")
        async with tester.post(phone, data=form) as answer:
            assert answer.status == 201, await answer.text()

    def with_the_ticket(tx: Tx) -> None:
        call = tx.calls.get("c1")
        messages = tx.messages.of_call("c1")
        tx.tickets.add(ticket_for(call, messages, id="t1", now=call.started_at))
        for message in messages:
            tx.messages.save(replace(message, ticket_id="t1"))
        tx.calls.save(replace(call, ticket_id="t1"))

    await it.store.run(with_the_ticket)
    await it.until(lambda tx: len(tx.tickets.get("t1").comments) == 3 and bool(tx.tickets.get("t1").files))
    ticket = await it.store.run(lambda tx: tx.tickets.get("t1"))
    theirs = [c.text for c in ticket.comments if c.author == "customer"]
    assert theirs == ["my order is 4711", "and this is it"]
    assert ticket.files[0].content_type == "image/png"
    with Image.open(it.folder / ticket.files[0].file) as stored:
        assert stored.size == (40, 30)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(on="send", kind="error", times=5),
        Fault(on="send", kind="lose_answer", times=5),
        Fault(on="send", kind="reset", times=5),
        Fault(on="send", kind="busy", times=2),
        Fault(on="send", kind="slow", times=3, hold_s=2.5),
        Fault(on="send", kind="late_accept", times=3, hold_s=2.5),
        Fault(on="send", kind="early_callbacks", times=10),
        Fault(on="callbacks", kind="duplicate", times=10, copies=10),
        Fault(on="callbacks", kind="reversed", times=10),
        Fault(on="callbacks", kind="missing", times=10),
        Fault(on="list", kind="error", times=5),
    ],
    ids=lambda f: f"{f.on}-{f.kind}",
)
async def test_each_message_is_delivered_once_whatever_the_provider_does(it: Rig, fault: Fault) -> None:
    it.faults.add(fault)
    ids = [f"m{n}" for n in range(10)]
    for id in ids:
        await it.send(id, text=f"text {id}")
    await it.until(lambda tx: all(tx.messages.get(id).status is MessageStatus.DELIVERED for id in ids))
    assert sorted(e.text for e in await it.ledger()) == sorted(f"text {id}" for id in ids)


async def test_an_inbound_webhook_ten_times_at_once_is_one_message(it: Rig) -> None:
    await it.send()
    await it.until_status(MessageStatus.DELIVERED)
    it.faults.add(Fault(on="inbound", kind="duplicate", times=1, copies=10))
    await it.provider.answer(PHONE, None, "Hello", [])
    await it.until(lambda tx: len(tx.messages.of_call("c1")) == 2)
    await it.provider.answer(PHONE, None, "Hello again", [])
    await it.until(lambda tx: len(tx.messages.of_call("c1")) == 3)
    assert sorted(m.text for m in await it.received()) == ["Hello", "Hello again"]


async def test_a_text_no_webhook_brought_is_found_in_the_list(it: Rig) -> None:
    it.faults.add(Fault(on="inbound", kind="missing", times=1))
    await it.provider.answer(PHONE, SENDER, "Hello?", [])
    await it.until(lambda tx: len(tx.messages.search(status=MessageStatus.RECEIVED)) == 1)


async def test_a_picture_the_provider_cannot_give_at_once_is_asked_for_again(it: Rig) -> None:
    it.faults.add(Fault(on="media", kind="error", times=2))
    await it.provider.answer(PHONE, SENDER, "", [("image/gif", picture("GIF"))])
    await it.until(lambda tx: _all_media(tx, MediaStatus.STORED))


async def test_a_file_that_hangs_holds_up_no_other(it: Rig) -> None:
    it.faults.add(Fault(on="media", kind="hang", times=2, hold_s=60))
    for n in range(4):
        await it.provider.answer(PHONE, SENDER, str(n), [("image/png", picture())])
    await it.until(lambda tx: sum(m.media[0].status is MediaStatus.STORED for m in _received(tx)) == 2)


async def test_a_picture_stored_after_the_call_has_ended_still_goes_to_its_ticket(it: Rig) -> None:
    await it.send()
    await it.until_status(MessageStatus.DELIVERED)
    it.faults.add(Fault(on="media", kind="error"))
    await it.provider.answer(PHONE, None, "late", [("image/png", picture())])
    await it.until(lambda tx: any(m.attempts > 0 for m in tx.messages.with_pending_media(10)))

    def end_with_a_ticket(tx: Tx) -> None:
        call = tx.calls.get("c1")
        messages = tx.messages.of_call("c1")
        tx.tickets.add(ticket_for(call, messages, id="t1", now=call.started_at))
        for message in messages:
            tx.messages.save(replace(message, ticket_id="t1"))
        ended = replace(call, ticket_id="t1").ended(EndReason.CALLER_HUNG_UP, call.started_at)
        tx.calls.save(ended)

    await it.store.run(end_with_a_ticket)
    it.faults.clear()
    await it.until(lambda tx: len(tx.tickets.get("t1").files) == 1)


async def test_what_is_no_picture_is_refused_with_a_reason_and_the_others_are_kept(it: Rig) -> None:
    files = [
        ("image/png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("image/jpeg", picture("JPEG")),
    ]
    await it.provider.answer(PHONE, SENDER, "two", files)
    await it.until(
        lambda tx: not tx.messages.with_pending_media(10) and bool(tx.messages.search(number=PHONE))
    )
    [message] = await it.received()
    assert [m.status for m in message.media] == [MediaStatus.REFUSED, MediaStatus.STORED]
    assert message.media[0].problem == "not a jpg, png, gif, mp4 or 3gp file"
    assert len(list(it.folder.iterdir())) == 1


async def test_a_folder_that_cannot_be_written_is_tried_again(it: Rig) -> None:
    it.folder.write_text("in the way")
    await it.provider.answer(PHONE, SENDER, "", [("image/png", picture())])
    await it.until(lambda tx: any(m.attempts > 1 for m in tx.messages.with_pending_media(10)))
    it.folder.unlink()
    await it.until(lambda tx: _all_media(tx, MediaStatus.STORED))


async def test_a_hanging_provider_stops_nobody_else(it: Rig) -> None:
    """The texts of other people keep coming in while requests hang."""
    it.faults.add(Fault(on="send", kind="hang", hold_s=60))
    for n in range(40):
        await it.send(f"m{n}")
    async with asyncio.timeout(5):
        await it.provider.answer(PHONE, SENDER, "still there?", [])
        await it.until(lambda tx: len(tx.messages.search(status=MessageStatus.RECEIVED)) == 1)


def _received(tx: Tx) -> list[Message]:
    return tx.messages.search(status=MessageStatus.RECEIVED)


def _all_media(tx: Tx, status: MediaStatus) -> bool:
    found = _received(tx)
    return bool(found) and all(media.status is status for m in found for media in m.media)
