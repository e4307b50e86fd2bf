"""What every SMS provider's adapter promises, whatever company lies behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ivr_engine.domain.messages import Media, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.ports import Accepted, InboundSms, NotListed, NotTaken, OwnNumber, StatusReport, Unclear
from tests.contract.sms_worlds import KINDS, PHONE, SENDER, World, message, opened


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(request.param, tmp_path) as world:
        yield world


async def test_a_message_sent_is_accepted_once_and_found_in_the_list(world: World) -> None:
    one = message(text="Grüße, €5 für 😀")
    sent = await world.provider.send(one, world.status_url(one))
    assert isinstance(sent, Accepted)
    assert await world.accepted() == [one.text]
    found = await world.provider.find(one)
    assert isinstance(found, Accepted)
    assert found.provider_id == sent.provider_id


async def test_what_was_never_sent_is_not_listed(world: World) -> None:
    same_text = message("m1")
    await world.provider.send(same_text, world.status_url(same_text))
    assert await world.provider.find(message("m2")) == NotListed()


async def test_a_busy_provider_did_not_take_it_and_says_when_to_come_back(world: World) -> None:
    await world.fails("busy")
    result = await world.provider.send(message(), world.status_url(message()))
    assert isinstance(result, NotTaken)
    assert result.retry_after_s == 7
    assert await world.accepted() == []


async def test_a_refusal_is_final_and_has_the_providers_code(world: World) -> None:
    await world.fails("refuse")
    result = await world.provider.send(message(), world.status_url(message()))
    assert isinstance(result, NotTaken)
    assert (result.code, result.retry_after_s) == ("21610", None)


async def test_a_number_that_is_none_is_refused_for_good(world: World) -> None:
    wrong = message(recipient="+49")
    result = await world.provider.send(wrong, world.status_url(wrong))
    assert isinstance(result, NotTaken)
    assert result.retry_after_s is None


@pytest.mark.parametrize("how", ["error", "reset"])
async def test_an_error_answer_or_a_broken_connection_is_unclear_but_over(world: World, how: str) -> None:
    await world.fails(how)
    result = await world.provider.send(message(), world.status_url(message()))
    assert isinstance(result, Unclear)
    assert result.processing_over
    assert await world.provider.find(message()) == NotListed()


async def test_an_answer_lost_is_unclear_and_the_list_tells(world: World) -> None:
    await world.fails("lose_answer")
    result = await world.provider.send(message(), world.status_url(message()))
    assert isinstance(result, Unclear)
    assert result.processing_over
    assert isinstance(await world.provider.find(message()), Accepted)
    assert await world.accepted() == ["Hello"]


async def test_no_answer_in_time_is_unclear_and_not_over(world: World) -> None:
    await world.fails("hang")
    result = await world.provider.send(message(), world.status_url(message()))
    assert isinstance(result, Unclear)
    assert not result.processing_over


async def test_status_callbacks_are_genuine_and_name_our_message(world: World) -> None:
    one = message("our id")
    sent = await world.provider.send(one, world.status_url(one).replace(" ", "%20"))
    assert isinstance(sent, Accepted)
    reports = [world.provider.read_webhook(hook) for hook in await world.called(2)]
    assert reports == [
        StatusReport(sent.provider_id, MessageStatus.SENT, "our id"),
        StatusReport(sent.provider_id, MessageStatus.DELIVERED, "our id"),
    ]


async def test_a_text_from_a_phone_is_told_and_listed_with_the_same_id(world: World) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    provider_id = await world.phone_writes("Where are you?")
    [hook] = await world.called(1)
    told = world.provider.read_webhook(hook)
    assert told == InboundSms(provider_id, PHONE, SENDER, "Where are you?")
    assert list(await world.provider.received_since(began)) == [told]
    assert list(await world.provider.received_since(datetime.now(UTC) + timedelta(hours=1))) == []


async def test_a_number_of_ours_is_known_with_what_it_carries(world: World) -> None:
    assert await world.provider.own_number(SENDER) == OwnNumber(texts=True, media=True)
    assert (await world.provider.own_number("72000")) is not None


async def test_a_number_that_is_not_ours_is_not_known(world: World) -> None:
    await world.lacks(SENDER)
    assert await world.provider.own_number(SENDER) is None


async def test_a_name_is_in_no_list(world: World) -> None:
    assert await world.provider.own_number("EXAMPLE") is None


async def test_pictures_come_with_the_text_and_are_fetched_with_credentials(world: World) -> None:
    await world.phone_writes("look", [("image/png", b"one"), ("video/mp4", b"two")])
    [hook] = await world.called(1)
    told = world.provider.read_webhook(hook)
    assert isinstance(told, InboundSms)
    assert [kind for _, kind in told.media] == ["image/png", "video/mp4"]
    fetched = [
        await world.provider.fetch(Media(id="x", url=url, content_type=kind)) for url, kind in told.media
    ]
    assert fetched == [("image/png", b"one"), ("video/mp4", b"two")]


async def test_a_file_over_the_limit_is_not_read_to_its_end(world: World) -> None:
    await world.phone_writes("look", [("image/png", b"x" * 200_000)])
    [hook] = await world.called(1)
    told = world.provider.read_webhook(hook)
    assert isinstance(told, InboundSms)
    with pytest.raises(ExternalError) as caught:
        await world.provider.fetch(Media(id="x", url=told.media[0][0], content_type=""))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/v1/media/x",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "//evil.example/v1/media/x",
        "",
    ],
)
async def test_files_elsewhere_are_never_asked_for(world: World, url: str) -> None:
    with pytest.raises(ExternalError) as caught:
        await world.provider.fetch(Media(id="x", url=url, content_type="image/png"))
    assert not caught.value.retryable


async def test_nothing_forged_passes(world: World) -> None:
    await world.phone_writes("genuine")
    [hook] = await world.called(1)
    world.provider.read_webhook(hook)
    unsigned = {k: v for k, v in hook.headers.items() if "signature" not in k.lower()}
    empty = {k: "" if "signature" in k.lower() else v for k, v in hook.headers.items()}
    for forged in (
        replace(hook, body=hook.body.replace(b"genuine", b"forged!")),
        replace(hook, url=hook.url + "?message=m1"),
        replace(hook, url=hook.url.replace("http://", "https://")),
        replace(hook, headers=unsigned),
        replace(hook, headers=empty),
    ):
        with pytest.raises(Refused):
            world.provider.read_webhook(forged)
