"""Which SMS provider an engine gets, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from ivr_engine.bootstrap import sms_provider
from ivr_engine.bootstrap.adapters import UtcClock
from ivr_engine.bootstrap.texts import Texts
from ivr_engine.domain.messages import outbound
from ivr_engine.domain.records import replace
from ivr_engine.errors import ConfigError
from ivr_engine.observability.masking import HIDDEN, clean
from ivr_engine.ports import Accepted, NotListed, Store
from ivr_engine.settings import from_environ
from ivr_engine.site.loader import load
from ivr_engine.site.models import Site
from ivr_engine.site.sending import Sending
from ivr_engine.site.sms_numbers import SmsNumber
from ivr_engine.sms.simulator import Simulator
from ivr_engine.sms.twilio import Twilio
from ivr_engine.store import connect
from ivr_engine.web import errors
from ivr_engine.web.handset import no_handset_router
from tests.contract.fake_twilio import SID, TOKEN, twilio_world
from tests.contract.sms_worlds import PHONE

ROOT = Path(__file__).parents[2]
TWILIO = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN, "IVR_PUBLIC_URL": "https://a.example"}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    it = connect("sqlite://")
    yield it
    await it.close()


@pytest.fixture
def site() -> Site:
    return load(ROOT / "config")


def by_twilio(site: Site) -> Site:
    return site.model_copy(update={"sms": site.sms.model_copy(update={"provider": "twilio"})})


async def test_the_example_sends_to_the_simulator(store: Store, site: Site, tmp_path: Path) -> None:
    provider = sms_provider(from_environ({"IVR_STATE": str(tmp_path)}), lambda: site, store)
    assert isinstance(provider, Simulator)
    await provider.close()


async def test_with_twilio_its_secrets_stay_out_of_the_log(store: Store, site: Site) -> None:
    key = {"TWILIO_API_KEY": "SK" + "1" * 32, "TWILIO_API_SECRET": "the key's own secret"}
    provider = sms_provider(from_environ({**TWILIO, **key}), lambda: by_twilio(site), store)
    assert isinstance(provider, Twilio)
    await provider.close()
    assert clean(f"{TOKEN} and the key's own secret") == f"{HIDDEN} and {HIDDEN}"


async def test_without_credentials_the_variable_is_named(store: Store, site: Site) -> None:
    with pytest.raises(ConfigError, match=r"TWILIO_AUTH_TOKEN: is not set; .*docs/twilio\.md"):
        sms_provider(from_environ({"TWILIO_ACCOUNT_SID": SID}), lambda: by_twilio(site), store)


async def test_what_the_store_knows_is_nobody_elses_message(store: Store, site: Site) -> None:
    """A text alike that the list holds is not taken for one whose answer was lost, when it is another's."""
    async with twilio_world() as world:
        sent = outbound(
            id="m1",
            sender=site.sms.sender,
            recipient=PHONE,
            text="Hello",
            provider="twilio",
            purpose="wait_time_sms",
            call_id="c1",
            now=datetime.now(UTC),
        )
        taken = await world.provider.send(sent, world.status_url(sent))
        assert isinstance(taken, Accepted)
        await store.run(lambda tx: tx.messages.add(replace(sent, provider_id=taken.provider_id)))
        environ = {**TWILIO, "IVR_TWILIO_URL": world.fake.url}
        provider = sms_provider(from_environ(environ), lambda: by_twilio(site), store)
        try:
            assert await provider.find(replace(sent, id="m2")) == NotListed()
        finally:
            await provider.close()


async def test_texts_to_every_number_of_the_site_are_looked_up(store: Store, site: Site) -> None:
    number = SmsNumber(label="Support", direction="inbound")
    listed = by_twilio(site).model_copy(update={"sms_numbers": {"+4915735990002": number, "EXAMPLE": number}})
    async with twilio_world() as world:
        for to in (site.sms.sender, "+4915735990002", "+4915735990003"):
            world.fake.add(direction="inbound", sender=PHONE, recipient=to, body=to, status="received")
        environ = {**TWILIO, "IVR_TWILIO_URL": world.fake.url}
        provider = sms_provider(from_environ(environ), lambda: listed, store)
        try:
            found = await provider.received_since(datetime.now(UTC) - timedelta(minutes=1))
        finally:
            await provider.close()
    assert {sms.recipient for sms in found} == {site.sms.sender, "+4915735990002"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_the_simulator_the_handset_says_what_to_do(method: str) -> None:
    app = FastAPI()
    app.include_router(no_handset_router("twilio"))
    errors.install(app)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://engine") as http:
        answer = await http.request(method, f"/handset/{PHONE}/messages")
    assert answer.status_code == 404
    assert "twilio" in answer.text
    assert "provider: simulator" in answer.text


async def test_who_waits_to_call_somebody_back_is_woken_by_a_text_that_may_call_it_off(
    store: Store, site: Site, tmp_path: Path
) -> None:
    woken: list[str] = []
    settings = from_environ({"IVR_STATE": str(tmp_path)})
    texts = Texts(settings, lambda: site, store, UtcClock(), lambda: woken.append("woken"))
    text = outbound(
        id="m1",
        sender=PHONE,
        recipient=site.sms.sender,
        text="No call please",
        provider="simulator",
        purpose="reply",
        call_id=None,
        now=datetime.now(UTC),
    )
    try:
        stored = texts.webhooks().stored
        stored(replace(text, text="Hello"))
        assert not woken
        stored(text)
        assert woken == ["woken"]
    finally:
        await texts.close()


async def test_a_second_provider_has_its_webhooks_its_numbers_and_its_links(
    store: Store, site: Site, tmp_path: Path
) -> None:
    second = Sending.model_validate({"second_provider": {"provider": "twilio", "sender": "+4930999999"}})
    both = site.model_copy(update={"sending": second})
    texts = Texts(
        from_environ({**TWILIO, "IVR_STATE": str(tmp_path)}), lambda: both, store, UtcClock(), print
    )
    try:
        assert [provider.name for provider in texts.providers] == ["simulator", "twilio"]
        assert set(texts.webhooks().providers) == set(texts.webhooks().rules) == {"simulator", "twilio"}
        url, _ = texts.links["twilio"].link("m1", "p1")
        assert url.startswith("https://a.example/webhooks/sms/twilio/media/m1/p1?")
    finally:
        await texts.close()
