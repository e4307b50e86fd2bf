"""A crash at every step of a way through menus: whoever presses their keys again gets where they wanted."""

from __future__ import annotations

import asyncio

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.events import KeyChosen, QueueEntered
from ivr_engine.sim.people import Caller, answers
from tests.flow.centre import Centre, contact_centre
from tests.flow.crashes import failures_at_each_step, successor
from tests.flow.menus import SITE, presses_when_asked


async def _tell(last_step: int | None) -> list[str]:
    """German, into the menu for sales, back, support; returns the steps the first engine took."""
    async with contact_centre(**SITE) as centre:
        centre.phone("anna", answers(1.0, talks_s=3.0), answers(1.0, talks_s=3.0))
        engine = centre.engine(last_step=last_step)
        caller = await centre.call("100")
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            pressing = group.create_task(presses_when_asked(caller, _key))
            await caller.hears_prompt("music")
            await _served(centre, caller)
            pressing.cancel()
            next_one.cancel()
        await asyncio.sleep(4.0)
        await _got_there(centre, caller)
        return engine.life.steps


def _key(question: str, caller: Caller) -> str:
    been_in_sales = "sales_menu" in caller.ears.sounds
    return {"choose_language": "2", "main_menu": "1" if been_in_sales else "2", "sales_menu": "*"}[question]


async def _served(centre: Centre, caller: Caller) -> None:
    while caller.connected:
        living = [e for e in centre.engines if not e.life.dead.is_set()]
        agent = await centre.store.run(lambda tx: tx.agents.get("anna"))
        if living and (agent is None or agent.state in ("offline", "rona")):
            try:
                await living[-1].desk.sign_in("anna")
            except asyncio.CancelledError:
                if not living[-1].life.dead.is_set():
                    raise
        await asyncio.sleep(0.5)


async def _got_there(centre: Centre, caller: Caller) -> None:
    assert "agent" in caller.ears.sounds, str(caller.ears)
    assert "sales_menu" in caller.ears.sounds, str(caller.ears)
    [row] = await centre.rows(caller)
    assert (row.queue, row.language, row.end_reason) == ("support", "de", EndReason.AGENT_HUNG_UP)
    happened = await centre.happened(caller)
    assert len([h for h in happened if isinstance(h, QueueEntered)]) == 1
    assert [h for h in happened if isinstance(h, KeyChosen)][-1] == KeyChosen("main", "1")
    assert "fallback" not in caller.ears.sounds[caller.ears.sounds.index("greeting") :], str(caller.ears)
    await centre.nothing_left()


def test_a_crash_at_every_step_of_the_menus() -> None:
    failures = failures_at_each_step(_tell, at_least=40)
    assert not failures, "\n".join(failures)
