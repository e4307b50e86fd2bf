"""A ticket for a call that nobody took: always, never, or only when the caller wrote."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.events import CallFinished, TicketOpened
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms
from ivr_engine.sim.people import Caller, answers
from tests.flow.centre import MOBILE, Centre, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, successor
from tests.flow.databases import on_both

SENDER = "+4930123456"


async def writes(centre: Centre, text: str, media: tuple[tuple[str, str], ...] = ()) -> None:
    """From the caller's phone, to the number that wrote to it."""
    sms = InboundSms(provider_id=text, sender=MOBILE, recipient=SENDER, text=text, media=media)
    rules = InboundRules.of("simulator", centre.site)
    await centre.store.run(lambda tx: received(tx, sms, rules, centre.clock.now()))


async def waits(centre: Centre, *, writing: bool) -> Caller:
    """Allows the SMS, answers it or not, and hangs up in the music."""
    caller = await centre.call()
    await caller.hears_prompt("consent")
    caller.press("1")
    await caller.hears_prompt("sms_sent")
    await caller.hears_prompt("music")
    if writing:
        await writes(centre, "the lamp", (("https://x/1", "image/png"),))
    caller.hang_up()
    await asyncio.sleep(1)
    return caller


@pytest.mark.parametrize(
    ("rule", "writing", "tickets"),
    [
        ("always", True, 1),
        ("always", False, 1),
        ("never", True, 0),
        ("never", False, 0),
        ("only_with_sms", True, 1),
        ("only_with_sms", False, 0),
    ],
)
@pytest.mark.parametrize("of_the_queue", [True, False])
@virtual
async def test_by_the_rule_of_the_site_or_the_queue(
    rule: str, writing: bool, tickets: int, of_the_queue: bool
) -> None:
    other = "never" if rule == "always" else "always"
    settings: dict[str, Any] = {"abandoned_tickets": other if of_the_queue else rule}
    if of_the_queue:
        settings["support"] = {"abandoned_tickets": rule}
    async with contact_centre(**settings) as centre:
        centre.engine()
        caller = await waits(centre, writing=writing)
        made = await centre.tickets()
        assert len(made) == tickets
        row = await centre.row(caller)
        assert row.end_reason is EndReason.CALLER_HUNG_UP
        assert row.ticket_id == (made[0].id if made else None)
        happened = await centre.happened(caller)
        assert [h for h in happened if isinstance(h, TicketOpened)] == [TicketOpened(t.id) for t in made]


@on_both
@virtual
async def test_it_holds_the_texts_and_names_no_agent() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await waits(centre, writing=True)
        [ticket] = await centre.tickets()
        assert (ticket.agent, ticket.caller, ticket.queue) == (None, MOBILE, "support")
        assert [(c.author, c.text) for c in ticket.comments] == [
            ("system", "Example: answer here"),
            ("customer", "the lamp"),
        ]
        assert {m.ticket_id for m in await centre.messages(caller)} == {ticket.id}


@pytest.mark.parametrize(("rule", "tickets"), [("always", 1), ("never", 0), ("only_with_sms", 1)])
@virtual
async def test_who_writes_only_after_hanging_up(rule: str, tickets: int) -> None:
    async with contact_centre(abandoned_tickets=rule) as centre:
        centre.engine()
        caller = await waits(centre, writing=False)
        for text in ("the lamp", "and the door"):
            await writes(centre, text)
        made = await centre.tickets()
        assert len(made) == tickets
        for ticket in made:
            assert [c.text for c in ticket.comments][1:] == ["the lamp", "and the door"]
            assert (await centre.row(caller)).ticket_id == ticket.id


@virtual
async def test_a_call_that_was_taken_has_its_one_ticket() -> None:
    async with contact_centre(abandoned_tickets="always") as centre:
        centre.phone("anna", answers(1.0, talks_s=5.0))
        engine = centre.engine()
        await centre.call()
        await engine.desk.sign_in("anna")
        await asyncio.sleep(20)
        [ticket] = await centre.tickets()
        assert ticket.agent == "anna"


@virtual
async def test_who_was_never_in_a_queue_abandoned_nothing() -> None:
    flows: dict[str, Any] = {"bye": {"start": "bye", "nodes": {"bye": {"hang_up": {}}}}}
    numbers = {"700": {"flow": "bye"}, "701": {"queue": "support"}}
    async with contact_centre(abandoned_tickets="always", flows=flows, numbers=numbers) as centre:
        centre.engine()
        await centre.call()
        await asyncio.sleep(30)
        assert await centre.tickets() == []


@virtual
async def test_who_is_led_out_of_the_line_with_last_words_too() -> None:
    async with contact_centre(abandoned_tickets="always", support={"maximum_wait": {"after": 3}}) as centre:
        centre.engine()
        caller = await centre.call()
        await asyncio.sleep(30)
        assert (await centre.row(caller)).end_reason is EndReason.SAID_GOODBYE
        assert len(await centre.tickets()) == 1


@virtual
async def test_who_hung_up_while_no_engine_was_there() -> None:
    async with contact_centre(abandoned_tickets="always") as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        await engine.crash()
        caller.hang_up()
        centre.engine()
        await asyncio.sleep(5)
        assert (await centre.row(caller)).end_reason is EndReason.GONE_DURING_OUTAGE
        assert len(await centre.tickets()) == 1


async def _tell(last_step: int | None) -> list[str]:
    """Allows, writes, hangs up; whichever engine is there makes one ticket of it."""
    async with contact_centre() as centre:
        engine = centre.engine(last_step=last_step)
        caller = await centre.call()
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            while "sms_sent" not in caller.ears.sounds:
                await asyncio.sleep(0.5)
                if caller.hears_now == "consent":
                    caller.press("1")
            await caller.hears_prompt("music")
            await writes(centre, "the lamp")
            caller.hang_up()
            await asyncio.sleep(10)
            next_one.cancel()
        [ticket] = await centre.tickets()
        assert [c.author for c in ticket.comments] == ["system", "customer"]
        happened = await centre.happened(caller)
        ends = [h for h in happened if isinstance(h, CallFinished | TicketOpened)]
        assert sorted(type(h).__name__ for h in ends) == ["CallFinished", "TicketOpened"]
        return engine.life.steps


def test_a_crash_at_every_step() -> None:
    failures = failures_at_each_step(_tell, at_least=20)
    assert not failures, "\n".join(failures)
