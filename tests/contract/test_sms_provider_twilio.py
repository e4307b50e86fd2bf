"""What only Twilio's adapter does: error codes, a list without our ids, its signature, its media."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from ivr_engine.domain.messages import Media, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.errors import Gone, Refused, Rejected, Unreachable
from ivr_engine.ports import (
    Accepted,
    InboundSms,
    NotListed,
    NotTaken,
    OwnNumber,
    StatusReport,
    Unclear,
    WebhookRequest,
)
from ivr_engine.resolver import Resolver
from ivr_engine.sms.twilio import Twilio
from tests.contract.fake_twilio import SID, TOKEN, Fields, TwilioWorld, account, signature, twilio_world
from tests.contract.sms_worlds import PHONE, SENDER, message

PUBLIC = "https://calls.example.org"
INBOUND = f"{PUBLIC}/webhooks/sms/twilio/inbound"
STATUS = f"{PUBLIC}/webhooks/sms/twilio/status?message=m1"


@pytest.fixture
async def world() -> AsyncIterator[TwilioWorld]:
    async with twilio_world() as world:
        yield world


def now_written(id: str = "m1", **more: str) -> Message:
    return replace(message(id, **more), created_at=datetime.now(UTC))


async def send(world: TwilioWorld, one: Message) -> object:
    return await world.provider.send(one, world.status_url(one))


# ── sending ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("21610", None),  # opted out
        ("21211", None),  # no number
        ("21614", None),  # a landline
        ("21635", None),
        ("30006", None),
        ("30004", None),  # blocked
        ("30005", None),
        ("30007", None),  # filtered
        ("30001", 30.0),  # the queue is full
        ("21611", 30.0),
        ("30003", 300.0),  # the phone is off
        ("30008", 300.0),
        ("20003", 30.0),  # credentials
        ("21606", 30.0),  # the sender is not this account's
        ("21609", 30.0),  # the address for delivery reports is none
        ("99999", None),  # nobody knows
    ],
)
async def test_error_codes_decide_whether_to_try_again(
    world: TwilioWorld, code: str, again: float | None
) -> None:
    await world.fails(code)
    result = await send(world, message())
    assert isinstance(result, NotTaken)
    assert (result.code, result.retry_after_s) == (code, again)
    assert result.this_one_only == (code in ("30003", "30008"))


async def test_an_unknown_error_is_tried_again_once(world: TwilioWorld) -> None:
    await world.fails("30008")
    result = await send(world, replace(message(), attempts=2))
    assert isinstance(result, NotTaken)
    assert result.retry_after_s is None


async def test_wrong_credentials_cost_no_message_for_good(world: TwilioWorld) -> None:
    stranger = Twilio(replace(account(world.fake.url), password="wrong"))
    try:
        result = await stranger.send(message(), world.status_url(message()))
    finally:
        await stranger.close()
    assert isinstance(result, NotTaken)
    assert (result.code, result.retry_after_s) == ("20003", 30)


async def test_an_api_key_signs_requests_in_and_the_token_checks_webhooks(world: TwilioWorld) -> None:
    key = Twilio(replace(account(world.fake.url), auth_token="another", user=SID, password=TOKEN))
    try:
        assert isinstance(await key.send(message(), world.status_url(message())), Accepted)
        with pytest.raises(Refused):
            key.read_webhook((await world.called(1))[0])
    finally:
        await key.close()


async def test_nobody_there_took_nothing(world: TwilioWorld) -> None:
    nobody = Twilio(account("http://127.0.0.1:1"))
    try:
        result = await nobody.send(message(), world.status_url(message()))
    finally:
        await nobody.close()
    assert isinstance(result, NotTaken)
    assert result.retry_after_s == 1


async def test_an_answer_that_is_not_understood_is_looked_up(world: TwilioWorld) -> None:
    await world.fails("garble")
    one = now_written()
    result = await send(world, one)
    assert isinstance(result, Unclear)
    assert result.processing_over
    assert isinstance(await world.provider.find(one), Accepted)


async def test_pictures_go_out_as_addresses(world: TwilioWorld) -> None:
    files = (
        Media(id="a", url="https://calls.example.org/a.png", content_type="image/png"),
        Media(id="b", url="https://calls.example.org/b.png", content_type="image/png"),
    )
    assert isinstance(await send(world, replace(message(), media=files)), Accepted)
    assert world.fake.rows[0].media_urls == [file.url for file in files]


async def test_numbers_and_texts_are_not_logged(world: TwilioWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    one = now_written(text="a secret text")
    await send(world, one)
    await world.provider.find(replace(one, id="other"))
    assert not [r for r in caplog.records if "secret" in r.getMessage() or PHONE[3:] in r.getMessage()]


# ── a list without our ids ───────────────────────────────────────────────────────────────────────


async def test_two_texts_alike_and_one_answer_lost_are_told_apart(world: TwilioWorld) -> None:
    first, second = now_written("m1"), now_written("m2")
    sent = await send(world, first)
    await world.fails("lose_answer")
    assert isinstance(await send(world, second), Unclear)
    found = await world.provider.find(second)
    assert isinstance(found, Accepted)
    assert isinstance(sent, Accepted)
    assert found.provider_id != sent.provider_id


async def test_a_text_that_may_be_another_ones_is_claimed_by_neither(world: TwilioWorld) -> None:
    world.fake.callbacks = False
    first, second = now_written("m1"), now_written("m2")
    world.fake.failing = ["lose_answer", "reset"]
    await send(world, first)
    await send(world, second)
    assert isinstance(await world.provider.find(first), Unclear)
    assert isinstance(await world.provider.find(second), Unclear)


async def test_the_callback_tells_which_of_two_it_was(world: TwilioWorld) -> None:
    first, second = now_written("m1"), now_written("m2")
    world.fake.failing = ["lose_answer", "reset"]
    await send(world, first)
    await send(world, second)
    for hook in await world.called(1):
        world.provider.read_webhook(hook)
    found = await world.provider.find(first)
    assert isinstance(found, Accepted)
    assert found.provider_id == world.fake.rows[0].sid
    assert await world.provider.find(second) == NotListed()


async def test_what_the_store_knows_of_a_former_run_is_asked_for(world: TwilioWorld) -> None:
    stored = {"m1": await send(world, now_written("m1"))}

    async def owner_of(provider_id: str) -> str | None:
        found = (id for id, sent in stored.items() if sent == Accepted(provider_id))
        return next(found, None)

    forgetful = Twilio(account(world.fake.url))
    after_restart = Twilio(account(world.fake.url), owner_of=owner_of)
    try:
        assert isinstance(await forgetful.find(now_written("m2")), Accepted)
        assert await after_restart.find(now_written("m2")) == NotListed()
        assert isinstance(await after_restart.find(now_written("m1")), Accepted)
    finally:
        await forgetful.close()
        await after_restart.close()


async def test_older_texts_other_words_and_texts_from_the_phone_are_not_it(world: TwilioWorld) -> None:
    one = now_written()
    old = world.fake.add(
        direction="outbound-api", sender=SENDER, recipient=PHONE, body=one.text, status="sent"
    )
    old.made -= timedelta(minutes=5)
    world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="else", status="sent")
    world.fake.add(direction="inbound", sender=SENDER, recipient=PHONE, body=one.text, status="received")
    assert await world.provider.find(one) == NotListed()


async def test_a_trial_account_s_prefix_and_trimmed_space_do_not_hide_a_text(world: TwilioWorld) -> None:
    body = "Sent from your Twilio trial account - Hello\nyou"
    world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body=body, status="sent")
    found = await world.provider.find(now_written(text="Hello\nyou "))
    assert isinstance(found, Accepted)
    assert found.status is MessageStatus.SENT


async def test_several_that_fit_and_texts_that_are_hidden_are_left_to_people(world: TwilioWorld) -> None:
    world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="", status="sent")
    assert isinstance(await world.provider.find(now_written()), Unclear)
    world.fake.rows.clear()
    for _ in range(2):
        world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="Hello", status="sent")
    assert isinstance(await world.provider.find(now_written()), Unclear)


async def test_with_twilios_id_nothing_is_guessed(world: TwilioWorld) -> None:
    sent = await send(world, message())
    assert isinstance(sent, Accepted)
    world.fake.rows[0].status = "undelivered"
    known = replace(message(), provider_id=sent.provider_id)
    assert await world.provider.find(known) == Accepted(sent.provider_id, MessageStatus.UNDELIVERED)
    world.fake.rows.clear()
    assert await world.provider.find(known) == NotListed()


@pytest.mark.parametrize(("code", "again"), [(30008, 300.0), (30003, 300.0), (30001, 30.0), (30007, None)])
async def test_the_list_says_why_a_text_was_not_delivered(
    world: TwilioWorld, code: int, again: float | None
) -> None:
    await send(world, message())
    world.fake.rows[0].status, world.fake.rows[0].error_code = "undelivered", code
    found = await world.provider.find(replace(message(), provider_id=world.fake.rows[0].sid))
    assert found == Accepted(world.fake.rows[0].sid, MessageStatus.UNDELIVERED, str(code), again)


@pytest.mark.parametrize("how", ["500", "429", "401", "garble"])
async def test_a_list_that_cannot_be_had_or_read_is_no_evidence(world: TwilioWorld, how: str) -> None:
    world.fake.list_failing = [how]
    assert isinstance(await world.provider.find(now_written()), Unclear)


async def test_a_text_far_down_a_long_list_is_found(world: TwilioWorld) -> None:
    one = now_written(text="the first of many")
    world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body=one.text, status="sent")
    for n in range(450):
        world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body=f"{n}", status="sent")
    assert isinstance(await world.provider.find(one), Accepted)


async def test_the_list_is_not_read_beyond_what_is_of_interest(world: TwilioWorld) -> None:
    for n in range(600):
        row = world.fake.add(
            direction="outbound-api", sender=SENDER, recipient=PHONE, body=f"{n}", status="sent"
        )
        row.made -= timedelta(days=3)
    world.fake.requests.clear()
    assert await world.provider.find(now_written()) == NotListed()
    assert len(world.fake.requests) == 1


# ── receiving ────────────────────────────────────────────────────────────────────────────────────


async def test_texts_of_many_pages_come_oldest_first_with_their_pictures(world: TwilioWorld) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    for n in range(450):
        row = world.fake.text_from_phone(f"{n}", [("image/png", b"x")] if n == 7 else ())
        row.made = (began + timedelta(seconds=n)).replace(microsecond=0) + timedelta(seconds=1)
    listed = await world.provider.received_since(began)
    assert [sms.text for sms in listed] == [str(n) for n in range(450)]
    assert [sms.text for sms in listed if sms.media] == ["7"]
    world.fake.requests.clear()
    assert list(await world.provider.received_since(began)) == list(listed)
    assert not [r for r in world.fake.requests if "Media" in r]


async def test_only_our_numbers_texts_and_only_whole_ones(world: TwilioWorld) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    world.fake.text_from_phone("ours")
    world.fake.add(direction="inbound", sender=PHONE, recipient="+4930999", body="other", status="received")
    world.fake.add(direction="inbound", sender=PHONE, recipient=SENDER, body="half", status="receiving")
    ours = Twilio(account(world.fake.url), numbers=lambda: (SENDER,))
    try:
        assert [sms.text for sms in await ours.received_since(began)] == ["ours"]
        assert [sms.text for sms in await world.provider.received_since(began)] == ["ours", "other"]
    finally:
        await ours.close()


@pytest.mark.parametrize("how", ["500", "429"])
async def test_a_list_that_is_not_there_is_asked_again(world: TwilioWorld, how: str) -> None:
    world.fake.list_failing = [how]
    with pytest.raises(Unreachable):
        await world.provider.received_since(datetime.now(UTC))


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/x",
        "https://evil.example/x",
        "https://twiliocdn.com.evil.example/x",
        "https://eviltwiliocdn.com/x",
        "http://mms.twiliocdn.com/x",
        "https://mms.twiliocdn.com:8443/x",
        "https://user@mms.twiliocdn.com/x",
        "file:///etc/passwd",
        "https://[",
        "",
        "/cdn/circle",
    ],
)
async def test_files_are_not_followed_elsewhere(world: TwilioWorld, target: str) -> None:
    row = world.fake.text_from_phone("look", [("image/png", b"one")])
    world.fake.redirect_to = lambda _: target
    url = world.fake.media_url(row, row.files[0][0])
    with pytest.raises(Rejected):
        await world.provider.fetch(Media(id="x", url=url, content_type="image/png"))


class Private(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_twilios_media_host_is_followed_to_but_not_into_our_network(world: TwilioWorld) -> None:
    row = world.fake.text_from_phone("look", [("image/png", b"one")])
    world.fake.redirect_to = lambda _: "https://mms.twiliocdn.com/x?Expires=1"
    twilio = Twilio(account(world.fake.url), resolver=Resolver(inner=Private()))
    try:
        url = world.fake.media_url(row, row.files[0][0])
        with pytest.raises(Rejected, match=r"mms\.twiliocdn\.com resolves to an address that is not public"):
            await twilio.fetch(Media(id="x", url=url, content_type="image/png"))
    finally:
        await twilio.close()


async def test_a_file_that_is_gone(world: TwilioWorld) -> None:
    row = world.fake.text_from_phone("look", [("image/png", b"one")])
    url = world.fake.media_url(row, row.files[0][0])
    row.files.clear()
    with pytest.raises(Gone):
        await world.provider.fetch(Media(id="x", url=url, content_type="image/png"))


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


def hook(url: str, fields: Fields, *, signed: str | None = None) -> WebhookRequest:
    headers = {"x-twilio-signature": signature(url, fields) if signed is None else signed}
    return WebhookRequest(url, headers, urlencode(fields).encode())


def inbound(world: TwilioWorld, text: str = "") -> Fields:
    return world.fake.inbound_fields(world.fake.text_from_phone(text))


async def test_blank_and_unknown_fields_are_part_of_what_is_signed(world: TwilioWorld) -> None:
    fields = inbound(world)
    assert ("Body", "") in fields
    assert ("SomethingNew", "that nobody has heard of") in fields
    assert isinstance(world.provider.read_webhook(hook(INBOUND, fields)), InboundSms)
    signed = signature(INBOUND, fields)
    # Names of blank fields are signed too, so one may be neither left out nor added.
    without_blank = [(name, value) for name, value in fields if value]
    unknown_changed = [(n, "x" if n == "SomethingNew" else v) for n, v in fields]
    one_more = [*fields, ("Another", "")]
    for forged in (without_blank, unknown_changed, one_more):
        with pytest.raises(Refused):
            world.provider.read_webhook(hook(INBOUND, forged, signed=signed))


@pytest.mark.parametrize(
    "url",
    [
        "http://calls.example.org/webhooks/sms/twilio/inbound",
        "https://10.0.0.7:8080/webhooks/sms/twilio/inbound",
        "https://calls.example.org/webhooks/sms/twilio/inbound/",
        "https://calls.example.org/webhooks/sms/twilio/inbound?x=",
        "https://calls.example.org:8443/webhooks/sms/twilio/inbound",
        "https://evil.example/webhooks/sms/twilio/inbound",
    ],
)
async def test_a_signature_for_another_address_is_refused(world: TwilioWorld, url: str) -> None:
    fields = inbound(world, "hi")
    with pytest.raises(Refused):
        world.provider.read_webhook(hook(INBOUND, fields, signed=signature(url, fields)))


async def test_the_usual_port_may_be_signed_or_not(world: TwilioWorld) -> None:
    fields = inbound(world, "hi")
    with_port = INBOUND.replace(".org", ".org:443")
    for asked, signed in ((INBOUND, with_port), (with_port, INBOUND)):
        told = world.provider.read_webhook(hook(asked, fields, signed=signature(signed, fields)))
        assert isinstance(told, InboundSms)


@pytest.mark.parametrize("signed", ["", "x", "ä" * 28, "\udcff", "=" * 10_000])
async def test_signatures_that_are_none(world: TwilioWorld, signed: str) -> None:
    with pytest.raises(Refused):
        world.provider.read_webhook(hook(INBOUND, inbound(world, "hi"), signed=signed))


async def test_no_signature_at_all_and_one_of_another_token(world: TwilioWorld) -> None:
    fields = inbound(world, "hi")
    for headers in ({}, {"X-Twilio-Signature": signature(INBOUND, fields, token="another")}):
        with pytest.raises(Refused):
            world.provider.read_webhook(WebhookRequest(INBOUND, headers, urlencode(fields).encode()))


async def test_a_replay_is_the_same_text_again(world: TwilioWorld) -> None:
    genuine = hook(INBOUND, inbound(world, "hi"))
    assert world.provider.read_webhook(genuine) == world.provider.read_webhook(genuine)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"Body=%ff", b"&" * 1000, b"&".join(b"a%d=" % n for n in range(400)), b"{}"]
)
async def test_bodies_that_are_no_form(world: TwilioWorld, body: bytes) -> None:
    with pytest.raises(Refused):
        world.provider.read_webhook(WebhookRequest(INBOUND, {"X-Twilio-Signature": "x"}, body))


@pytest.mark.parametrize(
    "change",
    [
        {"AccountSid": "AC" + "9" * 32},
        {"MessageSid": ""},
        {"MessageSid": "../../etc"},
        {"From": ""},
        {"To": ""},
        {"MessageStatus": "sent"},
    ],
)
async def test_signed_but_no_text_of_ours(world: TwilioWorld, change: dict[str, str]) -> None:
    fields = list((dict(inbound(world, "hi")) | change).items())
    with pytest.raises(Refused):
        world.provider.read_webhook(hook(INBOUND, fields))


async def test_a_field_twice_is_refused_although_the_signature_fits(world: TwilioWorld) -> None:
    fields = inbound(world, "hi")
    with pytest.raises(Refused):
        world.provider.read_webhook(hook(INBOUND, [*fields, ("Body", "other")]))


@pytest.mark.parametrize("count", ["-1", "99999", "x", "", "1e3", "999"])
async def test_a_number_of_files_that_is_none(world: TwilioWorld, count: str) -> None:
    fields = list((dict(inbound(world, "hi")) | {"NumMedia": count}).items())
    told = world.provider.read_webhook(hook(INBOUND, fields))
    assert isinstance(told, InboundSms)
    assert told.media == ()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", MessageStatus.ACCEPTED),
        ("sending", MessageStatus.ACCEPTED),
        ("sent", MessageStatus.SENT),
        ("delivered", MessageStatus.DELIVERED),
        ("undelivered", MessageStatus.UNDELIVERED),
        ("failed", MessageStatus.FAILED),
        ("canceled", MessageStatus.FAILED),
    ],
)
async def test_statuses_and_their_codes(world: TwilioWorld, word: str, status: MessageStatus) -> None:
    row = world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="x", status="queued")
    told = world.provider.read_webhook(hook(STATUS, world.fake.status_fields(row, word, "30006")))
    assert told == StatusReport(row.sid, status, "m1", "30006")
    told = world.provider.read_webhook(hook(STATUS, world.fake.status_fields(row, word, "")))
    assert told == StatusReport(row.sid, status, "m1", None)


@pytest.mark.parametrize(
    ("code", "again"),
    [("30001", 30), ("30003", 300), ("30008", 300), ("30005", None), ("30006", None), ("30007", None)],
)
async def test_a_report_says_whether_another_try_may_do_better(
    world: TwilioWorld, code: str, again: float | None
) -> None:
    row = world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="x", status="queued")
    told = world.provider.read_webhook(hook(STATUS, world.fake.status_fields(row, "undelivered", code)))
    assert told == StatusReport(row.sid, MessageStatus.UNDELIVERED, "m1", code, again)


async def test_a_status_that_is_none(world: TwilioWorld) -> None:
    row = world.fake.add(direction="outbound-api", sender=SENDER, recipient=PHONE, body="x", status="queued")
    for word in ("", "received", "exploded"):
        with pytest.raises(Refused):
            world.provider.read_webhook(hook(STATUS, world.fake.status_fields(row, word)))


async def test_a_hundred_at_once(world: TwilioWorld) -> None:
    results = await asyncio.gather(*(send(world, message(f"m{n}")) for n in range(100)))
    assert len({r.provider_id for r in results if isinstance(r, Accepted)}) == 100


# ── numbers of the account ───────────────────────────────────────────────────────────────────────


async def test_a_number_that_holds_ours_as_a_part_is_another(world: TwilioWorld) -> None:
    world.fake.numbers = {f"{SENDER}7": {"voice": True, "sms": True, "mms": True, "fax": False}}
    assert await world.provider.own_number(SENDER) is None


async def test_a_number_for_calls_alone_sends_no_texts(world: TwilioWorld) -> None:
    world.fake.numbers[SENDER] = {"voice": True, "sms": False, "mms": False, "fax": False}
    assert await world.provider.own_number(SENDER) == OwnNumber(texts=False, media=False)


@pytest.mark.parametrize("status", ["401", "429", "500", "503"])
async def test_a_list_of_numbers_that_cannot_be_had_says_nothing(world: TwilioWorld, status: str) -> None:
    for number in (SENDER, "72000"):
        world.fake.list_failing = [status]
        with pytest.raises(Unreachable):
            await world.provider.own_number(number)
