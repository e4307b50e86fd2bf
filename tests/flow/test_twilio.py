"""Twilio from end to end: from the caller who presses 1 to the picture at the call, and what may fail."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from ivr_engine.domain.messages import Direction, MediaStatus, MessageStatus
from ivr_engine.messaging import settling
from tests.contract.sms_worlds import PHONE, SENDER
from tests.flow.twilio_rig import PUBLIC, Rig, real_time, rig

DELIVERED, UNDELIVERED = MessageStatus.DELIVERED, MessageStatus.UNDELIVERED


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "PNG")
    return out.getvalue()


def sent(it: Rig) -> list[str]:
    return [row.body for row in it.fake.rows if row.direction == "outbound-api"]


@real_time
async def test_a_caller_presses_1_and_answers_with_a_picture(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        engine = it.centre.engine()
        caller = await it.centre.call(caller=PHONE)
        await caller.hears_prompt("consent", within_s=20)
        caller.press("1")
        await it.until(lambda tx: any(m.status is DELIVERED for m in tx.messages.search()))
        row = await it.centre.row(caller)
        [text] = await it.messages()
        [taken] = it.fake.rows
        assert (taken.body, taken.sender, taken.recipient) == ("Example: answer here", SENDER, PHONE)
        assert taken.callback == f"{PUBLIC}/webhooks/sms/twilio/status?message={text.id}"
        assert (text.provider_id, text.call_id, text.attempts) == (taken.sid, row.id, 1)
        assert await it.told(2) == [204, 204]

        it.fake.tell_of(it.fake.text_from_phone("It looks like this", [("image/png", picture())]))
        await it.until(
            lambda tx: any(f.status is MediaStatus.STORED for m in tx.messages.search() for f in m.media)
        )
        [answer] = await it.messages(MessageStatus.RECEIVED)
        assert (answer.call_id, answer.text, answer.sender) == (row.id, "It looks like this", PHONE)
        [file] = answer.media
        assert (file.content_type, file.url.startswith(it.fake.url)) == ("image/png", True)
        assert (tmp_path / str(file.file)).read_bytes().startswith(b"\x89PNG")
        caller.hang_up()
        await caller.ended()
        await engine.stop()


# ── answers that are lost ────────────────────────────────────────────────────────────────────────


@real_time
async def test_a_lost_answer_is_settled_by_the_callback(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.failing = ["lose_answer"]
        it.fake.list_failing = ["500"] * 1000
        await it.write()
        message = await it.until_status(DELIVERED)
        assert (message.provider_id, message.error_code) == (it.fake.rows[0].sid, None)
        assert len(sent(it)) == 1


@real_time
async def test_a_lost_answer_without_callbacks_is_settled_by_the_list(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.callbacks = False
        it.fake.failing = ["lose_answer"]
        await it.write()
        message = await it.until_status(MessageStatus.ACCEPTED)
        assert (message.provider_id, message.error_code) == (it.fake.rows[0].sid, None)
        assert len(sent(it)) == 1


@pytest.mark.parametrize("how", ["error", "reset", "garble"])
@real_time
async def test_whatever_the_answer_was_the_text_arrives_once(how: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.failing = [how]
        await it.write()
        await it.until_status(DELIVERED)
        assert sent(it) == ["Answer here"]


@real_time
async def test_a_request_that_hangs_is_shown_and_settled_when_twilio_has_taken_it_after_all(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as it:
        it.fake.hang_s = 4.0
        it.fake.failing = ["hang"]
        await it.write()
        shown = await it.until_status(MessageStatus.UNKNOWN)
        assert shown.error_code == settling.NO_ANSWER
        settled = await it.until_status(DELIVERED)
        assert (settled.provider_id, settled.error_code) == (it.fake.rows[0].sid, None)
        assert sent(it) == ["Answer here"]


@real_time
async def test_429_keeps_everything_back_for_as_long_as_asked(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.failing = ["busy"]
        await it.write("m1")
        await it.until(lambda tx: tx.messages.get("m1").error_code == "20429")
        await it.write("m2", text="Another")
        first, second = await it.messages()
        assert (first.status, second.status) == (MessageStatus.QUEUED, MessageStatus.QUEUED)
        assert first.next_attempt_at is not None
        assert first.next_attempt_at - first.updated_at >= timedelta(seconds=7)
        it.centre.clock.shift(8)
        await it.until_status(DELIVERED, "m1")
        await it.until_status(DELIVERED, "m2")
        assert sorted(sent(it)) == ["Another", "Answer here"]


@real_time
async def test_what_another_provider_may_have_taken_is_not_sent_by_twilio(tmp_path: Path) -> None:
    """The site was switched while an answer was open: Twilio's list says nothing about it."""
    async with rig(tmp_path) as it:
        await it.write("m1", provider="simulator", status=MessageStatus.UNSETTLED)
        await it.write("m2", text="Another")
        await it.until_status(DELIVERED, "m2")
        assert sent(it) == ["Another"]
        it.centre.clock.shift(86_400)
        await it.until_status(MessageStatus.UNKNOWN, "m1")
        assert sent(it) == ["Another"]


# ── error codes ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["21610", "21211", "21614", "30006"])
@real_time
async def test_a_refusal_is_final_and_keeps_its_code(code: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.failing = [code]
        await it.write("m1")
        message = await it.until_status(MessageStatus.FAILED)
        assert (message.error_code, message.attempts, message.next_attempt_at) == (code, 1, None)
        await it.write("m2", text="To somebody else")
        await it.until_status(DELIVERED, "m2")
        assert sent(it) == ["To somebody else"]


@real_time
async def test_one_phone_out_of_reach_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.failing = ["30003"]
        await it.write("m1")
        await it.until(lambda tx: tx.messages.get("m1").error_code == "30003")
        await it.write("m2", text="To somebody else")
        await it.until_status(DELIVERED, "m2")
        assert sent(it) == ["To somebody else"]
        it.centre.clock.shift(301)
        await it.until_status(DELIVERED, "m1")


@pytest.mark.parametrize("told_by", ["callback", "list"])
@pytest.mark.parametrize("code", ["30004", "30005", "30006", "30007"])
@real_time
async def test_what_cannot_be_delivered_is_final(code: str, told_by: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.callbacks = told_by == "callback"
        it.fake.undelivered = [code]
        await it.write()
        message = await it.until_status(UNDELIVERED)
        assert (message.error_code, message.next_attempt_at) == (code, None)
        it.centre.clock.shift(3600)
        await it.write("m2", text="To somebody else")
        await it.until(lambda tx: tx.messages.get("m2").provider_id is not None)
        assert sent(it) == ["Answer here", "To somebody else"]
        assert len(await it.messages()) == 2


@pytest.mark.parametrize("told_by", ["callback", "list"])
@pytest.mark.parametrize("code", ["30003", "30008"])
@real_time
async def test_what_may_arrive_later_is_sent_once_more(code: str, told_by: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.callbacks = told_by == "callback"
        it.fake.undelivered = [code, code]
        await it.write()
        first = await it.until_status(UNDELIVERED)
        assert first.error_code == code
        [second] = await it.messages(MessageStatus.QUEUED)
        assert (second.retry_of, second.text, second.call_id) == ("m1", first.text, first.call_id)
        assert second.next_attempt_at is not None
        assert second.next_attempt_at - first.updated_at >= timedelta(seconds=300)
        assert len(it.fake.rows) == 1
        it.centre.clock.shift(301)
        last = await it.until_status(UNDELIVERED, second.id)
        assert last.error_code == code
        assert len(await it.messages()) == len(it.fake.rows) == 2
        assert first == await it.store.run(lambda tx: tx.messages.get("m1"))


# ── texts from phones ────────────────────────────────────────────────────────────────────────────


@real_time
async def test_a_text_no_webhook_brought_is_found_in_the_list(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.text_from_phone("Hello?", [("image/png", picture())])
        await it.until(
            lambda tx: any(f.status is MediaStatus.STORED for m in tx.messages.search() for f in m.media)
        )
        [message] = await it.messages()
        assert (message.text, message.direction) == ("Hello?", Direction.INBOUND)
