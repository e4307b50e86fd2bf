"""Another configuration comes into force while callers are on the line: their next step reads it."""

from __future__ import annotations

from typing import Any

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce
from tests.flow.centre import Centre, Engine, contact_centre, site, virtual


def exchange(centre: Centre, engine: Engine, to: Site) -> None:
    engine.in_force.current = InForce(to, centre.prompts)


def led(**nodes: Any) -> Site:
    """Number 700 leads into a flow of these nodes, which begins at ``first``."""
    return site(numbers={"700": {"flow": "main"}}, flows={"main": {"start": "first", "nodes": nodes}})


@virtual
async def test_a_new_number_answers_at_once() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        exchange(centre, engine, site(numbers={"702": {"queue": "support"}}))
        caller = await centre.call("702")
        await caller.hears_prompt("position.1")


@virtual
async def test_who_waits_in_a_queue_taken_out_is_told_at_the_next_announcement() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("position.1")
        other = site(queues={"sales": {"label": "Sales"}}, numbers={"700": {"queue": "sales"}}, agents={})
        exchange(centre, engine, other)
        await caller.hears_prompt("apology", within_s=60)
        await caller.ended(within_s=5)
        await centre.nothing_left()
        assert (await centre.row(caller)).end_reason is EndReason.QUEUE_REMOVED


@virtual
async def test_a_step_under_way_ends_as_it_began_and_the_next_one_is_of_the_new_configuration() -> None:
    async with contact_centre() as centre:
        old = led(first={"play": {"prompt": "old", "then": "last"}}, last={"hang_up": {"prompt": "bye"}})
        new = led(first={"play": {"prompt": "new", "then": "line"}}, line={"queue": {"name": "support"}})
        centre.site = old
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("old")
        exchange(centre, engine, new)
        # Its node ``last`` is gone when the prompt is over: the flow begins anew.
        await caller.hears_prompt("new")
        await caller.hears_prompt("position.1", within_s=30)
        assert (await centre.row(caller)).chapter is not Chapter.ENDED
        assert "fallback" not in caller.ears.sounds


@virtual
async def test_an_agent_added_is_offered_who_waits() -> None:
    async with contact_centre() as centre:
        centre.site = site(agents={})
        engine, phone = centre.engine(), centre.phone("anna")
        caller = await centre.call()
        await caller.hears_prompt("position.1")
        exchange(centre, engine, site())
        await engine.desk.sign_in("anna")
        await phone.rings()


@virtual
async def test_an_agents_phone_account_comes_and_goes_with_the_agent() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        before = engine.in_force.current.site.agents
        await engine.desk.push_accounts(engine.telephony)
        exchange(centre, engine, site(agents={name: before[name] for name in ("ben", "cleo")}))
        await engine.desk.push_accounts(engine.telephony, known=before)
        assert centre.switch.accounts.keys() == {"ben", "cleo"}
