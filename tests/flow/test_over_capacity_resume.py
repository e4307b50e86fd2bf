"""A crash at every step of a call that finds its queue over capacity, and goes to another line."""

from __future__ import annotations

import asyncio
from typing import Any

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.events import AgentConnected, LineLeft, OverCapacityChosen, QueueEntered
from ivr_engine.sim.people import Caller, answers
from tests.flow.centre import Centre, contact_centre
from tests.flow.crashes import failures_at_each_step, successor
from tests.flow.test_over_capacity import over

SITE: dict[str, Any] = over(waiting=None, nobody_signed_in=True)


async def _tell(last_step: int | None) -> list[str]:
    """Over to sales by key 3, whose agent answers; returns the steps the first engine took."""
    async with contact_centre(**SITE) as centre:
        centre.phone("ben", answers(1.0, talks_s=3.0))
        engine = centre.engine(last_step=last_step)
        caller = await centre.call()
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            pressing = group.create_task(_presses(caller))
            await _in_sales(centre, caller)
            pressing.cancel()
            await _served(centre, caller)
            next_one.cancel()
        await asyncio.sleep(4.0)
        await _got_there(centre, caller)
        return engine.life.steps


async def _presses(caller: Caller) -> None:
    """As people do: whenever the question begins, its key, half a second later."""
    answered = 0
    while True:
        asked = len(caller.ears.times("over_capacity"))
        if asked > answered:
            answered = asked
            await asyncio.sleep(0.5)
            caller.press("3")
        await asyncio.sleep(0.05)


async def _in_sales(centre: Centre, caller: Caller) -> None:
    async def there() -> bool:
        rows = await centre.rows(caller)
        return bool(rows) and rows[0].queue == "sales"

    await centre.until(there, "in the line of sales")


async def _served(centre: Centre, caller: Caller) -> None:
    while caller.connected:
        living = [e for e in centre.engines if not e.life.dead.is_set()]
        agent = await centre.store.run(lambda tx: tx.agents.get("ben"))
        if living and (agent is None or agent.state in ("offline", "rona")):
            try:
                await living[-1].desk.sign_in("ben")
            except asyncio.CancelledError:
                if not living[-1].life.dead.is_set():
                    raise
        await asyncio.sleep(0.5)


async def _got_there(centre: Centre, caller: Caller) -> None:
    row = await centre.row(caller)
    assert (row.chapter, row.end_reason, row.queue) == (Chapter.ENDED, EndReason.AGENT_HUNG_UP, "sales")
    happened = await centre.happened(caller)
    assert [h for h in happened if isinstance(h, OverCapacityChosen)] == [OverCapacityChosen("queue", "3")]
    assert [h for h in happened if isinstance(h, LineLeft)] == [LineLeft("support", "over_capacity")]
    assert [h.queue for h in happened if isinstance(h, QueueEntered)] == ["support", "sales"]
    assert [h for h in happened if isinstance(h, AgentConnected)]
    await centre.nothing_left()


def test_a_crash_at_every_step() -> None:
    failures = failures_at_each_step(_tell, at_least=40)
    assert not failures, "\n".join(failures)
