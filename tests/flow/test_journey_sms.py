"""The simulated SMS company does what the outbox and the inbox rely on; and a caller, while it is down."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.messages import Media, MessageStatus, outbound
from ivr_engine.domain.records import replace
from ivr_engine.errors import Gone, Refused
from ivr_engine.ports import Accepted, InboundSms, NotListed, NotTaken, SmsProvider, StatusReport, Unclear
from ivr_engine.rehearsal.centre import open_centre
from ivr_engine.sim import clock
from ivr_engine.sim.clock import START, SimClock
from ivr_engine.sim.people import call
from ivr_engine.sim.sms import Fault, SimSms
from tests.flow.centre import MOBILE, virtual
from tests.flow.test_caller_scripts import example

MESSAGE = outbound(
    id="m1",
    sender="+4930123456",
    recipient=MOBILE,
    text="text",
    provider="simulator",
    purpose="wait_time_sms",
    call_id="c1",
    now=datetime(2025, 1, 6, tzinfo=UTC),
)
URL = "https://engine.example/hooks"


@virtual
async def test_what_it_takes_stands_in_the_ledger_and_is_reported() -> None:
    company = SimSms(SimClock())
    provider: SmsProvider = company
    assert await provider.find(MESSAGE) == NotListed()
    assert await provider.send(MESSAGE, URL) == Accepted("out-1")
    assert await provider.find(MESSAGE) == Accepted("out-1")
    [entry] = company.ledger
    reports = [provider.read_webhook(request) for request in company.reports(entry)]
    assert reports == [
        StatusReport("out-1", MessageStatus.SENT, "m1"),
        StatusReport("out-1", MessageStatus.DELIVERED, "m1"),
    ]
    forged = replace(next(company.reports(entry)), headers={})
    with pytest.raises(Refused):
        provider.read_webhook(forged)


@pytest.mark.parametrize(
    ("fault", "answer", "taken"),
    [
        (Fault.REFUSED, NotTaken("21211", "not a number"), False),
        (Fault.BUSY, NotTaken("20429", "too many requests", 1.0), False),
        (Fault.BROKEN, Unclear("500", processing_over=True), False),
        (Fault.ANSWER_LOST, Unclear("connection broke", processing_over=True), True),
        (Fault.SILENT, Unclear("no answer", processing_over=False), True),
    ],
)
@virtual
async def test_faults_are_used_up_one_a_request(
    fault: Fault, answer: NotTaken | Unclear, taken: bool
) -> None:
    company = SimSms(SimClock())
    company.faults.append(fault)
    assert await company.send(MESSAGE, URL) == answer
    assert bool(company.ledger) == taken
    assert isinstance(await company.find(MESSAGE), Accepted if taken else NotListed)
    assert isinstance(await company.send(replace(MESSAGE, id="m2"), URL), Accepted)


@virtual
async def test_a_phone_answers_with_a_picture_that_can_be_fetched() -> None:
    company = SimSms(SimClock())
    request = company.text_from(MOBILE, "+4930123456", "look", URL, [("image/png", b"png")])
    sms = company.read_webhook(request)
    assert isinstance(sms, InboundSms)
    assert (sms.sender, sms.recipient, sms.text) == (MOBILE, "+4930123456", "look")
    [(link, kind)] = sms.media
    assert await company.fetch(Media(id="p", url=link, content_type=kind)) == ("image/png", b"png")
    assert await company.received_since(START) == [sms]
    with pytest.raises(Gone):
        await company.fetch(Media(id="p", url="sim://none", content_type=kind))


def test_a_company_that_is_down_for_a_minute_is_nothing_a_caller_notices(tmp_path: Path) -> None:
    async def story() -> None:
        site, prompts, _ = example()
        async with open_centre(site, prompts, tmp_path) as centre:
            company = centre.post._company  # pyright: ignore[reportPrivateUsage]
            company.faults.extend([Fault.BROKEN] * 1000)
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
            caller = await call(centre.switch, MOBILE, "700")
            await caller.hears_prompt("en/consent")
            caller.press("1")
            await caller.hears_prompt("en/sms_sent")
            await caller.hears_prompt("music")
            await asyncio.sleep(60)
            assert not company.ledger
            company.faults.clear()
            await asyncio.sleep(60)
            assert caller.connected
            assert "fallback" not in caller.ears.sounds
            [row] = await centre.store.run(lambda tx: tx.calls.open())
            [sms] = await centre.store.run(lambda tx: tx.messages.of_call(row.id))
            assert sms.status is MessageStatus.DELIVERED
            assert [entry.message.id for entry in company.ledger] == [sms.id]

    with capture_logs() as lines:
        clock.run(story(), inline=True)
    assert [line["event"] for line in lines] == ["sms.provider_down", "sms.provider_back"]
