"""Twilio's webhooks at the engine's door: what is signed for the configured address comes in, and once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from ivr_engine.domain.events import MessageStatusChanged
from ivr_engine.domain.messages import MediaStatus, MessageStatus
from tests.contract.fake_twilio import Fields, signature
from tests.contract.sms_worlds import PHONE, SENDER
from tests.flow.twilio_rig import INBOUND, Rig, real_time, rig

FORM = "application/x-www-form-urlencoded; charset=UTF-8"


async def post(
    it: Rig, fields: Fields, *, url: str = INBOUND, headers: Mapping[str, str] | None = None
) -> int:
    """``headers``: those given in place of the genuine signature."""
    given = {"X-Twilio-Signature": signature(url, fields)} if headers is None else headers
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            url.replace(*it.fake.reached_at, 1),
            data=urlencode(fields),
            headers={"Content-Type": FORM, **given},
        ) as answer,
    ):
        return answer.status


def text(it: Rig, body: str = "Hello", **changes: str) -> Fields:
    """Not in Twilio's list, so that only a webhook can bring it."""
    fields = dict(it.fake.inbound_fields(it.fake.text_from_phone(body)))
    it.fake.rows.clear()
    return list((fields | changes).items())


@real_time
async def test_blank_and_unknown_fields_are_signed_and_taken(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        fields = text(it, "")
        assert ("ToState", "") in fields
        assert ("Body", "") in fields
        assert await post(it, fields) == 204
        [message] = await it.messages()
        assert (message.text, message.sender, message.recipient) == ("", PHONE, SENDER)
        # Without its blank fields it is another one, which nobody signed.
        fewer = [(name, value) for name, value in fields if value]
        assert await post(it, fewer, headers={"X-Twilio-Signature": signature(INBOUND, fields)}) == 403


@real_time
@pytest.mark.parametrize(
    ("told", "opted_out"), [("STOP", True), ("HELP", False), ("START", False), ("", False), ("X", False)]
)
async def test_what_twilio_took_a_text_for_is_mirrored(told: str, opted_out: bool, tmp_path: Path) -> None:
    """``OptOutType`` is there where Advanced Opt-Out is on, in whatever language its words are."""
    async with rig(tmp_path) as it:
        assert await post(it, text(it, "nie wieder, bitteschön", OptOutType=told)) == 204
        assert await it.store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE)) is opted_out
        assert len(await it.messages()) == 1


@real_time
async def test_the_same_webhook_again_changes_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        fields = text(it)
        assert [await post(it, fields) for _ in range(3)] == [204, 204, 204]
        assert len(await it.messages()) == 1

        await it.write()
        await it.until_status(MessageStatus.DELIVERED)
        [row] = it.fake.rows
        assert row.callback is not None
        for status in ("delivered", "sent", "undelivered", "delivered"):
            assert await post(it, it.fake.status_fields(row, status), url=row.callback) == 204
        events = await it.store.run(lambda tx: tx.events.after(0))
        moves = [e.what.status for e in events if isinstance(e.what, MessageStatusChanged)]
        assert moves.count("delivered") == 1
        assert moves[-1] == "delivered"


@real_time
async def test_what_is_not_signed_for_this_very_address_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        fields = text(it)
        local = INBOUND.replace(*it.fake.reached_at)
        elsewhere = "https://evil.example/webhooks/sms/twilio/inbound"
        signed = "X-Twilio-Signature"
        refused: list[dict[str, str]] = [
            {},
            {signed: ""},
            {signed: "0" * 28},
            {signed: signature(INBOUND, fields, token="another")},
            {signed: signature(INBOUND.replace("https", "http"), fields)},
            {signed: signature(INBOUND.replace("inbound", "status"), fields)},
            {signed: signature(f"{INBOUND}?x=1", fields)},
            # What a request claims to have called, or was called as behind the proxy, does not count.
            {signed: signature(local, fields)},
            {signed: signature(elsewhere, fields), "Host": "evil.example"},
            {
                signed: signature(elsewhere, fields),
                "X-Forwarded-Host": "evil.example",
                "X-Forwarded-Proto": "https",
                "X-Original-URL": elsewhere,
            },
        ]
        assert [await post(it, fields, headers=headers) for headers in refused] == [403] * len(refused)
        assert await it.messages() == []
        assert await post(it, fields) == 204


@real_time
async def test_a_status_signed_for_one_message_is_none_of_another(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.callbacks = False
        for id in ("m1", "m2"):
            await it.write(id)
            await it.until_status(MessageStatus.ACCEPTED, id)
        first, second = it.fake.rows
        assert first.callback is not None
        assert second.callback is not None
        fields = it.fake.status_fields(first, "delivered")
        moved = {"X-Twilio-Signature": signature(first.callback, fields)}
        assert await post(it, fields, url=second.callback, headers=moved) == 403
        assert [m.status for m in await it.messages()] == [MessageStatus.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"AccountSid": "AC" + "9" * 32}, 403),
        ({"MessageSid": "../../etc"}, 403),
        ({"From": ""}, 403),
        ({"MessageStatus": "sent"}, 403),
        ({"Body": "x" * 70_000}, 413),
        ({"NumMedia": "99999"}, 204),
    ],
)
@real_time
async def test_signed_and_still_not_believed(change: dict[str, str], answer: int, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        assert await post(it, text(it, **change)) == answer
        assert len(await it.messages()) == (answer == 204)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:22/",
        "file:///etc/passwd",
        "https://evil.example/x.png",
        "https://api.twilio.com.evil.example/x.png",
        "not an address",
    ],
)
@real_time
async def test_files_are_fetched_from_our_account_and_nowhere_else(url: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        fields = text(it, NumMedia="1", MediaUrl0=url, MediaContentType0="image/png")
        asked = len(it.fake.requests)
        assert await post(it, fields) == 204
        await it.until(lambda tx: not tx.messages.with_pending_media(1))
        [message] = await it.messages()
        assert [(file.status, file.file) for file in message.media] == [(MediaStatus.REFUSED, None)]
        assert not [r for r in it.fake.requests[asked:] if "Media" in r]


@real_time
async def test_files_that_lead_into_our_network_or_are_too_large_are_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.fake.redirect_to = lambda file: (
            f"/cdn/{file}" if file.endswith("1") else "http://169.254.169.254/latest/meta-data"
        )
        row = it.fake.text_from_phone("two", [("image/png", b"x"), ("image/png", b"x" * 100_001)])
        it.fake.tell_of(row)
        await it.until(
            lambda tx: any(m.media for m in tx.messages.search()) and not tx.messages.with_pending_media(1)
        )
        [message] = await it.messages()
        assert [file.problem for file in message.media] == [
            "the file is redirected away from Twilio",
            "the file is larger than 100000 bytes",
        ]
        assert [file.file for file in message.media] == [None, None]
