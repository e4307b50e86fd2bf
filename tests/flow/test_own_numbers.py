"""Numbers of ours from the site to a text: asked of the provider, verified by a code, used or passed over."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.events import SmsNumberCodeSent, SmsNumberLost, SmsNumberVerified
from ivr_engine.domain.messages import outbound
from ivr_engine.domain.number_verification import How, NumberState
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused, Rejected, Unreachable
from ivr_engine.messaging.number_codes import NumberCodes
from ivr_engine.messaging.own_numbers import InDoubt, OwnNumbers, in_doubt
from ivr_engine.messaging.senders import sender_for
from ivr_engine.ports import OwnNumber, Store
from ivr_engine.sim import clock
from ivr_engine.sim.clock import START
from ivr_engine.sim.sms import Fault, SimSms
from ivr_engine.site.models import Site
from ivr_engine.store import connect
from tests.flow.centre import Centre, contact_centre, virtual

GLOBAL, BERLIN, VIENNA, BOSTON = "+4915735990001", "+4930123456", "+4319971234", "+16175551212"
PHONE, AUSTRIAN, AMERICAN = "+4915112345678", "+436641234567", "+12125551234"
OURS = {
    BERLIN: {"label": "Berlin", "direction": "inbound"},
    VIENNA: {"label": "Vienna", "direction": "outbound"},
    BOSTON: {"label": "Boston", "direction": "outbound", "capabilities": ["sms", "verify"]},
    "72000": {"label": "Short", "direction": "outbound", "country": "DE"},
    "EXAMPLE": {"label": "Name", "direction": "outbound"},
}


def site(
    support: tuple[str, ...] = (BERLIN, VIENNA),
    numbers: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
) -> Site:
    return Site.model_validate(
        {
            "brand": "Example",
            "country": "DE",
            "default_language": "de",
            "languages": ("de",),
            "wait_time_sms": {"text": {"de": "Example: hallo"}},
            "sms": {"sender": GLOBAL},
            "sending": {"second_provider": second},
            "sms_numbers": OURS if numbers is None else numbers,
            "numbers": {},
            "queues": {"support": {"label": "Support", "sms_numbers": support}, "sales": {"label": "Sales"}},
        }
    )


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> Any:
        return self.at


class Company(SimSms):
    """``down``: it does not answer when asked for a number. ``texts_only`` carry no pictures."""

    down = False
    asked = 0
    texts_only: frozenset[str] = frozenset()

    async def own_number(self, number: str) -> OwnNumber | None:
        self.asked += 1
        if self.down:
            raise Unreachable("no answer")
        own = await super().own_number(number)
        return own and replace(own, media=number not in self.texts_only)


@dataclass
class Rig:
    store: Store
    clock: Clock
    company: Company
    site: Site
    numbers: OwnNumbers
    codes: NumberCodes

    async def sender(self, contact: str = PHONE, queue: str = "support") -> str:
        return await self.store.run(lambda tx: sender_for(tx, self.site, queue, contact))

    async def state(self, number: str) -> NumberState:
        return await self.store.run(lambda tx: tx.sms_numbers.get(number, "simulator"))

    async def doubts(self) -> list[InDoubt]:
        return await self.store.run(lambda tx: in_doubt(tx, self.site))

    async def wrote(self, sender: str, contact: str = PHONE) -> None:
        self.clock.at += timedelta(minutes=1)
        one = outbound(
            id=f"m{self.clock.at}", sender=sender, recipient=contact, text="", provider="simulator",
            purpose="wait_time_sms", call_id="c1", now=self.clock.at,
        )  # fmt: skip
        await self.store.run(lambda tx: tx.messages.add(one))

    async def happened(self) -> list[object]:
        return [event.what for event in await self.store.run(lambda tx: tx.events.after(0, 100))]

    def code(self) -> str:
        found = re.search(r"\d{6}", self.company.ledger[-1].message.text)
        assert found is not None
        return found[0]


@asynccontextmanager
async def rig(its_site: Site | None = None, *more: SimSms) -> AsyncGenerator[Rig]:
    now, store = Clock(), connect("sqlite://", inline=True)
    company = Company(now)
    made = Rig(store, now, company, its_site or site(), None, None)  # type: ignore[arg-type]
    made.numbers = OwnNumbers(store=store, providers=[company, *more], clock=now, site=lambda: made.site)
    made.codes = NumberCodes(
        store=store, provider=company, clock=now, site=lambda: made.site, public_url="http://engine"
    )
    try:
        yield made
    finally:
        await store.close()


async def test_the_provider_s_list_verifies_and_the_queue_uses_them() -> None:
    async with rig() as r:
        assert await r.sender() == GLOBAL
        await r.numbers.look()
        assert [await r.sender(PHONE), await r.sender(AUSTRIAN)] == [BERLIN, VIENNA]
        assert await r.sender(queue="sales") == await r.sender(queue="removed") == GLOBAL
        assert await r.doubts() == []
        verified = (await r.state(BERLIN)).verified
        assert verified is not None
        assert (verified.by, verified.how) == ("simulator", How.PROVIDER)


async def test_a_contact_is_written_to_from_the_number_it_knows() -> None:
    async with rig() as r:
        await r.numbers.look()
        await r.wrote(VIENNA)
        await r.wrote(GLOBAL)
        assert await r.sender(PHONE) == VIENNA
        r.site = site(support=(BERLIN,))
        assert await r.sender(PHONE) == BERLIN


async def test_a_number_that_the_provider_does_not_have_is_not_used_and_that_is_said() -> None:
    async with rig() as r:
        r.company.strangers = {BERLIN, VIENNA}
        with capture_logs() as logs:
            await r.numbers.look()
            await r.numbers.look()
        assert await r.sender() == GLOBAL
        assert [doubt.number for doubt in await r.doubts()] == [BERLIN, VIENNA]
        said = [line for line in logs if line["event"] == "sms.number_in_doubt"]
        assert len(said) == 2
        assert said[0]["label"] == "Berlin"
        assert (said[0]["queues"], said[0]["why"]) == ("support", "it is not among the account's numbers")
        assert "sms-numbers verify" in said[0]["remedy"]
        assert BERLIN not in str(logs)


async def test_a_number_given_back_to_the_provider_is_used_no_more() -> None:
    async with rig() as r:
        await r.numbers.look()
        r.company.strangers = {BERLIN}
        await r.numbers.look()
        assert await r.sender() == VIENNA
        assert SmsNumberLost(BERLIN, "it is not among the account's numbers") in await r.happened()


async def test_the_site_s_own_number_is_used_also_when_in_doubt() -> None:
    async with rig(site(support=(), numbers={})) as r:
        assert await r.doubts() == []
        r.company.strangers = {GLOBAL}
        await r.numbers.look()
        assert await r.sender() == GLOBAL
        [doubt] = await r.doubts()
        assert (doubt.number, doubt.queues) == (GLOBAL, ())


async def test_a_number_that_carries_no_pictures_at_the_provider_is_said_and_used_for_texts() -> None:
    numbers = {BERLIN: {"label": "Berlin", "direction": "inbound", "capabilities": ["sms", "media"]}}
    async with rig(site(support=(BERLIN,), numbers=numbers)) as r:
        await r.numbers.look()
        assert await r.doubts() == []
        r.company.texts_only = frozenset({BERLIN, GLOBAL})
        with capture_logs() as logs:
            await r.numbers.look()
        assert await r.sender() == BERLIN
        [doubt] = await r.doubts()
        assert (doubt.number, doubt.queues) == (BERLIN, ())
        assert "no pictures" in doubt.why
        assert [line["event"] for line in logs] == ["sms.number_in_doubt"]


@pytest.mark.parametrize(
    ("second", "in_doubt_there"),
    [({"sender": BOSTON}, [BOSTON]), ({}, [GLOBAL, BERLIN, VIENNA])],
    ids=["from a number of its own", "from the same ones"],
)
async def test_numbers_of_the_second_provider_are_asked_of_it(
    second: dict[str, Any], in_doubt_there: list[str]
) -> None:
    its_site = site(
        numbers={number: OURS[number] for number in (BERLIN, VIENNA)}, second={"provider": "twilio"} | second
    )
    other = Company(Clock(), name="twilio")
    other.strangers = {GLOBAL, BERLIN, VIENNA, BOSTON}
    async with rig(its_site, other) as r:
        await r.numbers.look()
        doubts = await r.doubts()
        assert [doubt.number for doubt in doubts] == in_doubt_there
        assert all(doubt.queues == () and "at twilio" in doubt.why for doubt in doubts)
        assert await r.sender() == BERLIN, "the first one's are not concerned"
        other.strangers = set()
        await r.numbers.look()
        assert await r.doubts() == []
        at_twilio = await r.store.run(lambda tx: tx.sms_numbers.all("twilio"))
        assert {state.number for state in at_twilio if state.verified} == set(in_doubt_there)


async def test_one_provider_that_is_down_does_not_keep_the_other_from_being_asked() -> None:
    other = Company(Clock(), name="twilio")
    async with rig(site(second={"provider": "twilio", "sender": BOSTON}), other) as r:
        r.company.down = True
        with pytest.raises(Unreachable):
            await r.numbers.look()
        at_twilio = await r.store.run(lambda tx: tx.sms_numbers.all("twilio"))
        assert [state.number for state in at_twilio if state.verified] == [BOSTON]


def test_a_provider_that_is_down_changes_nothing_and_is_asked_again() -> None:
    async def story() -> None:
        async with rig() as r:
            await r.numbers.look()
            r.company.down, r.company.asked = True, 0
            running = asyncio.create_task(r.numbers.run())
            await asyncio.sleep(60)
            assert r.company.asked == 3  # at 0, 15 and 45 s
            assert await r.sender() == BERLIN
            r.site, r.company.down = site(support=(BOSTON,)), False
            await asyncio.sleep(60)
            assert await r.sender() == BOSTON
            r.company.asked = 0
            r.numbers.wake()
            await asyncio.sleep(1)
            assert r.company.asked == 5  # a changed site is looked at at once
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    clock.run(story(), inline=True)


async def test_a_code_is_sent_entered_and_nowhere_kept() -> None:
    async with rig() as r:
        r.company.strangers = {BERLIN}
        state = await r.codes.send_code(BERLIN, "anna")
        sent = r.company.ledger[-1].message
        assert (sent.sender, sent.recipient) == (GLOBAL, BERLIN)
        assert sent.text.startswith("Example: ")
        code = r.code()
        assert code not in str(state)
        assert code not in str(await r.happened())
        assert await r.store.run(lambda tx: tx.messages.search()) == []
        assert (await r.codes.confirm(BERLIN, f" {code[:3]} {code[3:]}", "ben")).verified is not None
        assert await r.sender() == BERLIN
        assert await r.happened() == [
            SmsNumberCodeSent(BERLIN, "anna"),
            SmsNumberVerified(BERLIN, "code", "ben"),
        ]
        with pytest.raises(Refused, match="no code"):
            await r.codes.confirm(BERLIN, code, "ben")


async def test_wrong_codes_run_out_and_are_counted_also_when_refused() -> None:
    async with rig() as r:
        await r.codes.send_code(BERLIN, "anna")
        code = r.code()
        wrong = f"{(int(code) + 1) % 10**6:06}"
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(Refused, match=f"{left} tries are left"):
                await r.codes.confirm(BERLIN, wrong, "ben")
        with pytest.raises(Refused, match="new code"):
            await r.codes.confirm(BERLIN, code, "ben")


async def test_codes_are_sent_from_a_number_that_is_there_for_that() -> None:
    async with rig() as r:
        await r.numbers.look()
        await r.codes.send_code(BERLIN, "anna")
        assert r.company.ledger[-1].message.sender == BOSTON
        await r.codes.send_code(GLOBAL, "anna")
        assert r.company.ledger[-1].message.sender == BOSTON


async def test_the_only_number_there_is_cannot_be_sent_a_code() -> None:
    async with rig(site(support=(), numbers={})) as r:
        with pytest.raises(Refused, match="no other number"):
            await r.codes.send_code(GLOBAL, "anna")
        assert (await r.state(GLOBAL)).codes_at == ()


async def test_a_code_that_the_provider_does_not_take_says_why() -> None:
    async with rig() as r:
        r.company.faults.append(Fault.REFUSED)
        with pytest.raises(Rejected, match="21211"):
            await r.codes.send_code(BERLIN, "anna")
        with pytest.raises(Refused, match="a moment ago"):
            await r.codes.send_code(BERLIN, "anna")


async def test_a_name_is_declared_and_never_asked_for() -> None:
    async with rig(site(support=("EXAMPLE",))) as r:
        await r.numbers.look()
        assert [doubt.number for doubt in await r.doubts()] == ["EXAMPLE"]
        await r.codes.declare("EXAMPLE", "anna")
        assert [await r.sender(PHONE), await r.sender(AMERICAN)] == ["EXAMPLE", GLOBAL]
        with pytest.raises(Refused, match="can be verified"):
            await r.codes.declare(BERLIN, "anna")


async def test_numbers_of_others_get_no_codes() -> None:
    async with rig() as r:
        for work in (r.codes.send_code(PHONE, "anna"), r.codes.confirm(PHONE, "123456", "anna")):
            with pytest.raises(Refused, match="sms_numbers") as refused:
                await work
            assert refused.value.missing
        assert r.company.ledger == []


async def test_what_one_provider_verified_another_has_to_verify_anew() -> None:
    async with rig() as r:
        await r.numbers.look()
        assert await r.sender() == BERLIN
        r.site = r.site.model_copy(update={"sms": r.site.sms.model_copy(update={"provider": "twilio"})})
        assert await r.sender() == GLOBAL
        assert (await r.state(BERLIN)).verified is not None


QUEUE = {
    "label": "Support",
    "wait_time_sms": {"requires_over_capacity": False},
    "sms_numbers": [VIENNA, BERLIN],
}


async def _allow(centre: Centre, number: str) -> str:
    """A caller waits and presses 1: where the SMS comes from."""
    caller = await centre.call(caller=number)
    await caller.hears_prompt("consent")
    caller.press("1")
    await caller.hears_prompt("sms_sent")
    [sms] = await centre.messages(caller)
    caller.hang_up()
    return sms.sender


@virtual
async def test_callers_get_the_text_from_their_queue_s_number_once_it_is_verified() -> None:
    non_domestic = {"text": {"en": "x"}, "non_domestic": True, "countries": ["AT"]}
    sms = {"sms": {"sender": GLOBAL}, "sms_numbers": OURS, "wait_time_sms": non_domestic}
    async with contact_centre(**sms, support=QUEUE, languages=["en"]) as centre:
        centre.engine()
        assert await _allow(centre, PHONE) == GLOBAL
        company = SimSms(centre.clock)
        numbers = OwnNumbers(
            store=centre.store, providers=[company], clock=centre.clock, site=lambda: centre.site
        )
        company.strangers = {VIENNA}
        await numbers.look()
        assert await _allow(centre, PHONE) == BERLIN
        company.strangers = set()
        await numbers.look()
        assert await _allow(centre, PHONE) == BERLIN  # known to the caller, and of their country
        assert await _allow(centre, "+436641234567") == VIENNA
