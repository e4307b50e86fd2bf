"""Engines that die, whoever comes after them, and the crash at every step of a story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ivr_engine.sim import clock
from tests.flow.centre import Centre, Engine

OUTAGE_S = 1.0
"""From the crash to the next engine."""


async def restart(centre: Centre, dead: Engine, after_s: float = OUTAGE_S) -> Engine:
    await dead.stop()
    await asyncio.sleep(after_s)
    return centre.engine()


async def successor(centre: Centre, engine: Engine) -> Engine:
    """Once ``engine`` has died, the next one."""
    await engine.life.dead.wait()
    return await restart(centre, engine)


def failures_at_each_step(
    story: Callable[[int | None], Coroutine[Any, Any, list[str]]], *, at_least: int, every: int = 1
) -> list[str]:
    """``story`` with an engine that dies after each step in turn (each ``every``-th), and what went wrong
    then. It takes the last step of the first engine, and returns the steps that one took: with ``None`` they
    must be ``at_least`` so many."""
    steps = clock.run(story(None), limit_s=3600)
    assert len(steps) >= at_least
    failures: list[str] = []
    for step in range(0, len(steps), every):
        try:
            clock.run(story(step), limit_s=3600)
        except (AssertionError, ExceptionGroup) as error:
            failures.append(f"step {step} ({steps[step]}): {str(error).splitlines()[0]}")
    return failures
