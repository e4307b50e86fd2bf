"""The wait estimates of a running engine: fed by what happens, and not lost with the engine."""

from __future__ import annotations

import asyncio

import pytest

from ivr_engine.domain.wait_watch import Of
from ivr_engine.sim.people import answers
from tests.flow.centre import Centre, Engine, contact_centre, virtual


async def some_calls(centre: Centre, engine: Engine) -> None:
    """One agent, three callers a minute apart, each of whom takes a minute and a half."""
    centre.phone("anna", answers(2.0, talks_s=90.0))
    await engine.desk.sign_in("anna")
    callers = [await centre.call(caller=f"+49151123456{n:02}") for n in range(3)]
    for caller in callers:
        await caller.ended(within_s=600.0)


@virtual
async def test_what_callers_waited_is_learnt_and_the_estimates_are_held_against_it() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        await engine.estimates.refresh()
        before = engine.estimates.waits("support")
        assert before is not None
        assert before.newcomer(0) is None
        await some_calls(centre, engine)
        await engine.estimates.refresh()
        waits, accuracy = engine.estimates.waits("support"), engine.estimates.accuracy("support", Of.ENTRY)
        assert waits is not None
        assert accuracy is not None
        assert waits.newcomer(0) is not None
        assert waits.rates.taken > before.rates.taken  # 92 s, not the 240 s of the site
        assert accuracy.callers == pytest.approx(2, rel=0.01)  # the first one found an agent free
        assert accuracy.waited == pytest.approx(94 + 188, rel=0.03)


@virtual
async def test_signing_out_makes_the_wait_unknown_at_once() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        for act, known in ((engine.desk.sign_in, True), (engine.desk.sign_out, False)):
            await act("anna")
            await asyncio.sleep(0.5)
            await engine.estimates.refresh()
            waits = engine.estimates.waits("support")
            assert waits is not None
            assert (waits.newcomer(0) is not None) is known


@virtual
async def test_a_crash_loses_nothing_of_it() -> None:
    async with contact_centre() as centre:
        first = centre.engine()
        await some_calls(centre, first)
        await first.crash()
        second = centre.engine("ivr-2")
        await second.estimates.refresh()
        accuracy = second.estimates.accuracy("support", Of.ENTRY)
        assert accuracy is not None
        assert accuracy.callers == pytest.approx(2, rel=0.01)
        waits = second.estimates.waits("support")
        assert waits is not None
        assert waits.agents == 1
