"""Callers who are led through a flow: greeting, language, menus, and on into a queue."""

from __future__ import annotations

import asyncio

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import (
    CallAdopted,
    CallStarted,
    KeyChosen,
    LanguageChosen,
    MenuGivenUp,
    NodeReached,
    NothingPressed,
    QueueEntered,
    WrongKeyPressed,
)
from ivr_engine.errors import Unreachable
from ivr_engine.sim.people import answers
from tests.flow.centre import contact_centre, site, virtual
from tests.flow.crashes import restart
from tests.flow.menus import FLOW, NODES, SITE, changed, in_main_menu, prompts


@virtual
async def test_greeting_language_menu_queue_agent() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        centre.phone("anna", answers(2.0, talks_s=10.0))
        caller = await centre.call("100")
        await caller.hears_prompt("choose_language")
        caller.press("2")
        await caller.hears_prompt("main_menu")
        row = await centre.row(caller)
        assert (row.chapter, row.state, row.where.node, row.language) == (Chapter.MENU, "menu", "main", "de")
        caller.press("1")
        await caller.hears_prompt("music", within_s=1)
        row = await centre.row(caller)
        assert (row.chapter, row.queue, await centre.position(caller)) == (Chapter.WAITING, "support", 1)
        await engine.desk.sign_in("anna")
        await caller.hears_prompt("agent")
        await caller.ended()
        assert prompts(caller)[:3] == ["greeting", "choose_language", "main_menu"]
        assert (await centre.happened(caller))[:10] == [
            CallStarted(row.caller, "100"),
            NodeReached("main", "welcome"),
            NodeReached("main", "language"),
            KeyChosen("language", "2"),
            LanguageChosen("de"),
            NodeReached("main", "main"),
            KeyChosen("main", "1"),
            NodeReached("main", "support"),
            QueueEntered("support", 1),
            (await centre.happened(caller))[9],
        ]
        assert (await centre.row(caller)).end_reason is EndReason.AGENT_HUNG_UP
        await centre.nothing_left()


@virtual
async def test_the_language_is_asked_for_in_every_language_and_kept_for_the_next_call() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        first = await centre.call("100")
        await first.hears_times("choose_language", 2)
        first.press("2")
        await first.hears_prompt("main_menu")
        first.hang_up()
        again = await centre.call("100")
        await again.hears_prompt("main_menu")
        assert prompts(again) == ["greeting", "main_menu"]
        assert (await centre.row(again)).language == "de"
        again.press("8")
        await again.hears_prompt("choose_language")
        again.press("1")
        await again.hears_times("main_menu", 2)
        again.hang_up()
        assert (await centre.row(again)).language == "en"
        other = await centre.call("100", caller="+4915112345601")
        await other.hears_prompt("choose_language")


@virtual
async def test_of_a_hidden_number_nothing_is_kept() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        for _ in range(2):
            caller = await centre.call("100", caller="anonymous")
            await caller.hears_prompt("choose_language")
            caller.press("2")
            await caller.hears_prompt("main_menu")
            caller.hang_up()


@virtual
async def test_a_language_the_site_no_longer_speaks_is_asked_for_again() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        now = centre.clock.now()
        await centre.store.run(lambda tx: tx.callers.keep_language("+4915112345678", "xx", now))
        caller = await centre.call("100")
        await caller.hears_prompt("choose_language")
        assert (await centre.row(caller)).language == "en"


@virtual
async def test_a_wrong_key_is_said_and_the_prompt_comes_again_until_the_limit() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        for time in range(3):
            caller.press("7")
            await caller.hears_times("wrong_number", time + 1, within_s=1)
            await caller.hears_times("main_menu", time + 2)
        caller.press("5")
        await caller.hears_prompt("music", within_s=1)
        row = await centre.row(caller)
        assert (row.queue, row.priority) == ("support", 7)
        happened = await centre.happened(caller)
        assert happened.count(WrongKeyPressed("7")) == 3
        assert MenuGivenUp("main", "wrong_keys") in happened


@virtual
async def test_silence_brings_the_prompt_again_until_the_limit() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        begins = caller.ears.times("main_menu")[0]
        await caller.hears_prompt("music")
        assert len(caller.ears.times("main_menu")) == 3
        assert abs(caller.ears.times("music")[0] - begins - 3 * (2 + 5)) < 0.2
        happened = await centre.happened(caller)
        assert happened.count(NothingPressed("main")) == 3
        assert MenuGivenUp("main", "silences") in happened


@virtual
async def test_a_key_counts_after_the_prompt_as_well() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        await caller.hears_no_more("main_menu")
        await asyncio.sleep(4.5)
        caller.press("1")
        await caller.hears_prompt("music", within_s=1)


@virtual
async def test_nested_menus_and_back_one_by_one() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        for key, prompt in (("2", "sales_menu"), ("2", "deep_menu"), ("*", "sales_menu"), ("*", "main_menu")):
            caller.press(key)
            await caller.hears_no_more(caller.hears_now)
            await caller.hears_prompt(prompt, within_s=1)
        assert (await centre.row(caller)).where.trail == ()
        caller.press("*")  # nothing to go back to
        await caller.hears_prompt("wrong_number", within_s=1)
        await caller.hears_prompt("main_menu")
        caller.press("2")
        await caller.hears_prompt("sales_menu", within_s=1)
        caller.press("2")
        await caller.hears_prompt("deep_menu", within_s=1)
        caller.press("2")  # round to the main menu: what was behind is forgotten
        await caller.hears_prompt("main_menu", within_s=1)
        assert (await centre.row(caller)).where.trail == ()


@virtual
async def test_keys_pressed_in_one_go_lead_through_menus() -> None:
    """Also those that come while what the key before means is being stored."""
    async with contact_centre(**changed()) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        for key in "722":
            caller.press(key)
        await caller.hears_prompt("deep_menu")
        assert prompts(caller)[-1] == "deep_menu"
        assert caller.ears.times("sales_menu") == []


@virtual
async def test_something_is_told_and_the_menu_comes_again() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        caller.press("9")
        await caller.hears_prompt("opening_hours", within_s=1)
        caller.press("1")  # while something is told, keys count for nothing
        await caller.hears_times("main_menu", 2)
        caller.press("#")
        await caller.hears_times("main_menu", 3, within_s=1)
        assert "wrong_number" not in prompts(caller)
        row = await centre.row(caller)
        assert (row.where.menu.wrong_keys, row.where.trail) == (0, ())


@virtual
async def test_a_key_for_everywhere_and_one_the_menu_uses_itself() -> None:
    own = {"menu": {"prompt": "sales_menu", "keys": {"0": "sales"}, "otherwise": "bye"}}
    async with contact_centre(**changed(**{"sales-menu": own})) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("sales_menu", within_s=1)
        caller.press("0")
        await caller.hears_prompt("music", within_s=1)
        assert (await centre.row(caller)).queue == "sales"
        other = await in_main_menu(centre, caller="+4915112345601")
        other.press("0")
        await other.hears_prompt("music", within_s=1)
        assert (await centre.row(other)).priority == 7


@virtual
async def test_who_never_chooses_is_said_goodbye_to() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("goodbye")
        await caller.ended()
        assert (await centre.row(caller)).end_reason is EndReason.SAID_GOODBYE
        await centre.nothing_left()


@virtual
async def test_a_menu_whose_sound_is_missing_can_still_be_used() -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        centre.switch.missing.add("sound:sim/en/main_menu")
        caller = await centre.call("100")
        await caller.hears_prompt("choose_language")
        caller.press("1")
        await asyncio.sleep(2)
        caller.press("2")
        await caller.hears_prompt("sales_menu", within_s=1)


# ── an engine that dies ──────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_menu_goes_on_where_it_was_and_its_replay_counts_for_nothing() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        caller.press("2")
        await caller.hears_prompt("sales_menu", within_s=1)
        caller.press("7")
        await caller.hears_times("sales_menu", 2)
        before = (await centre.row(caller)).where
        await engine.crash()
        caller.press("1")  # heard by nobody
        await restart(centre, engine)
        await caller.hears_times("sales_menu", 3, within_s=0.5)
        assert (await centre.row(caller)).where == before
        assert CallAdopted("menu") in await centre.happened(caller)
        caller.press("*")
        await caller.hears_prompt("main_menu", within_s=1)


@virtual
async def test_a_node_that_left_the_configuration_meanwhile_means_beginning_anew() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        await engine.crash()
        fewer = NODES | {"top": NODES["main"], "language": {"language": {"keys": {"1": "en"}, "then": "top"}}}
        del fewer["main"]
        fewer["hours-told"] = {"play": {"prompt": "opening_hours", "then": "top"}}
        fewer["deeper"] = {"hang_up": {}}
        centre.site = site(**SITE | {"flows": {"main": FLOW | {"nodes": fewer}}})
        await restart(centre, engine)
        await caller.hears_times("greeting", 2, within_s=1)
        await caller.hears_times("main_menu", 2)
        assert (await centre.row(caller)).where.node == "top"


@virtual
async def test_a_fault_in_a_menu_sends_nobody_away_and_the_menu_goes_on() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        engine.store.faults.append(RuntimeError("a bug"))
        caller.press("2")
        await caller.hears_prompt("fallback")
        await caller.hears_times("main_menu", 2)
        assert len(await centre.rows(caller)) == 1


# ── the staff ends it ────────────────────────────────────────────────────────────────────────────


@virtual
async def test_the_staff_ends_a_call_in_a_menu() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        await engine.reception.hang_up((await centre.row(caller)).id)
        await caller.ended(within_s=1.0)
        await centre.nothing_left()
        assert (await centre.row(caller)).end_reason is EndReason.ENDED_BY_STAFF


@virtual
async def test_a_key_pressed_after_the_staff_has_ended_the_call_leads_nowhere() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await in_main_menu(centre)
        engine.telephony.faults["end_leg"] = [Unreachable("no answer") for _ in range(100)]
        await engine.reception.hang_up((await centre.row(caller)).id)
        caller.press("1")
        await caller.ended(within_s=1.0)
        row = await centre.row(caller)
        assert (row.chapter, row.end_reason) == (Chapter.ENDED, EndReason.ENDED_BY_STAFF)
        assert row.entered_at is None
        assert "fallback" not in caller.ears.sounds
