"""A key of a menu is pressed for a text: with a link, and the call goes on, or in place of the call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import SmsWithheld
from ivr_engine.sim.people import Caller
from tests.flow.centre import MOBILE, Centre, cannot_be_written_to, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, restart, successor
from tests.flow.databases import on_both
from tests.flow.menus import NODES, changed, in_main_menu, presses_when_asked

LINK: dict[str, Any] = {
    "app_link": {
        "queue": "support",
        "link": "https://app.example.com/start?call={call}&to={number}&in={language}",
        "text": {"en": "{brand}: {link}", "de": "{brand}: Hier ist sie: {link}"},
        "then": "sales-menu",
        "otherwise": "main",
    }
}
BY_SMS: dict[str, Any] = {
    "sms": {
        "queue": "support",
        "text": {"en": "{brand}: write to us", "de": "{brand}: schreiben Sie uns"},
        "otherwise": "main",
    }
}


PURPOSES = {"4": "app_link", "5": "deflection"}


def offering(**more: Any) -> dict[str, Any]:
    """4 in the main menu is for the link, 5 for going on by SMS."""
    menu = NODES["main"]["menu"]
    main = {"menu": menu | {"keys": menu["keys"] | {"4": "link", "5": "by-sms"}}}
    return changed(main=main, link=LINK, **{"by-sms": BY_SMS}) | more


async def presses(centre: Centre, key: str, number: str = MOBILE) -> Caller:
    caller = await in_main_menu(centre, caller=number)
    caller.press(key)
    return caller


@on_both
@virtual
async def test_the_link_is_sent_and_the_call_goes_on() -> None:
    async with contact_centre(**offering()) as centre:
        engine = centre.engine()
        caller = await presses(centre, "4")
        await caller.hears_prompt("link_sent")
        assert engine.wakes > 0
        await caller.hears_prompt("sales_menu")
        call = await centre.row(caller)
        [sms] = await centre.messages(caller)
        link = f"https://app.example.com/start?call={call.id}&to=100&in=en"
        assert (sms.text, sms.purpose, sms.recipient) == (f"Example: {link}", "app_link", MOBILE)
        [proof] = await centre.ledger(caller)
        assert (proof.key, proof.outcome, proof.purpose) == ("4", WaitTimeSmsStatus.ALLOWED, "app_link")
        assert (proof.queue, proof.wording) == ("support", centre.prompts.wording("en", "main_menu"))
        caller.press("1")
        await caller.hears_prompt("music")
        assert (await centre.row(caller)).queue == "sales"


@virtual
async def test_whoever_comes_by_again_gets_no_second_one() -> None:
    async with contact_centre(**offering()) as centre:
        centre.engine()
        caller = await presses(centre, "4")
        await caller.hears_prompt("sales_menu")
        caller.press("*")
        await caller.hears_times("main_menu", 2)
        caller.press("4")
        await caller.hears_times("link_sent", 2)
        assert len(await centre.messages(caller)) == 1


@virtual
async def test_keys_pressed_while_it_is_said_lead_nowhere() -> None:
    async with contact_centre(**offering()) as centre:
        centre.engine()
        caller = await presses(centre, "4")
        await caller.hears_prompt("link_sent")
        caller.press("1")
        await caller.hears_no_more("link_sent")
        await caller.hears_prompt("sales_menu", within_s=1)


@virtual
async def test_the_call_ends_politely_and_goes_on_by_sms() -> None:
    async with contact_centre(**offering(abandoned_tickets="always")) as centre:
        centre.engine()
        caller = await presses(centre, "5")
        await caller.hears_prompt("deflected", within_s=1)
        await caller.ended()
        row = await centre.row(caller)
        assert (row.queue, row.end_reason, row.entered_at) == ("support", EndReason.SAID_GOODBYE, None)
        [sms] = await centre.messages(caller)
        assert (sms.text, sms.purpose) == ("Example: write to us", "deflection")
        assert row.ticket_id is not None, "for whoever answers"
        await centre.nothing_left()


@virtual
async def test_of_who_only_got_a_link_no_ticket_is_made() -> None:
    async with contact_centre(**offering(abandoned_tickets="always")) as centre:
        centre.engine()
        caller = await presses(centre, "4")
        await caller.hears_prompt("link_sent")
        caller.hang_up()
        await asyncio.sleep(1)
        assert (await centre.row(caller)).ticket_id is None
        assert len(await centre.messages(caller)) == 1


@pytest.mark.parametrize("key", ["4", "5"])
@cannot_be_written_to
@virtual
async def test_who_cannot_be_written_to_is_told_so_and_goes_on(
    key: str, number: str, settings: dict[str, Any], why: str
) -> None:
    async with contact_centre(**offering(**settings)) as centre:
        centre.engine()
        caller = await presses(centre, key, number)
        await caller.hears_prompt("text_not_sent")
        await caller.hears_times("main_menu", 2)
        assert SmsWithheld(why, "support", "en", PURPOSES[key]) in await centre.happened(caller)
        assert await centre.messages(caller) == []
        assert await centre.ledger(caller) == []


@virtual
async def test_a_cap_holds_for_these_too() -> None:
    async with contact_centre(**offering(abuse={"per_number": 1})) as centre:
        centre.engine()
        first = await presses(centre, "4")
        await first.hears_prompt("link_sent")
        second = await centre.call("100", caller=MOBILE)
        await second.hears_prompt("main_menu")
        second.press("5")
        await second.hears_prompt("text_not_sent")
        assert await centre.messages(second) == []
        assert SmsWithheld("number_cap", "support", "en", "deflection") in await centre.happened(second)


@virtual
async def test_a_new_engine_says_it_again_and_sends_nothing_again() -> None:
    async with contact_centre(**offering()) as centre:
        engine = centre.engine()
        caller = await presses(centre, "4")
        await caller.hears_prompt("link_sent")
        row = await centre.row(caller)
        assert (row.chapter, row.state) == (Chapter.TEXTING, "menu")
        await engine.crash()
        await restart(centre, engine)
        await caller.hears_times("link_sent", 2)
        await caller.hears_prompt("sales_menu")
        assert len(await centre.messages(caller)) == 1


async def _tell(last_step: int | None) -> list[str]:
    """4 for the link, back, 5 to go on by SMS: whatever engine hears it."""
    async with contact_centre(**offering()) as centre:
        engine = centre.engine(last_step=last_step)
        caller = await centre.call("100")
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            pressing = group.create_task(presses_when_asked(caller, _key))
            async with asyncio.timeout(120):
                while caller.connected:  # noqa: ASYNC110  a phone tells nobody
                    await asyncio.sleep(0.5)
            pressing.cancel()
            next_one.cancel()
        await asyncio.sleep(5)
        purposes = [sms.purpose for sms in await centre.messages(caller)]
        assert purposes == ["app_link", "deflection"]
        assert [record.key for record in await centre.ledger(caller)] == ["4", "5"]
        assert (await centre.row(caller)).end_reason is EndReason.SAID_GOODBYE
        return engine.life.steps


def _key(question: str, caller: Caller) -> str:
    been_in_sales = "sales_menu" in caller.ears.sounds
    return {"choose_language": "1", "main_menu": "5" if been_in_sales else "4", "sales_menu": "*"}[question]


def test_a_crash_at_every_step() -> None:
    failures = failures_at_each_step(_tell, at_least=30)
    assert not failures, "\n".join(failures)
