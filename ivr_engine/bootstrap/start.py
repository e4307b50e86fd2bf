"""From settings to a running engine, and to its exit code."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import uvloop

from ivr_engine.bootstrap.engine import Engine
from ivr_engine.bootstrap.parts import Parts, load
from ivr_engine.observability.lag import LagStore
from ivr_engine.observability.metrics import Metrics
from ivr_engine.settings import Settings

GARBAGE_AFTER: Final = 20_000
"""Objects made and not freed before the garbage collector looks; Python's own 700 are a few calls."""


def run(settings: Settings) -> int:
    """Run the engine until SIGTERM or SIGINT. Returns the exit code; raises ``IvrError`` for what an
    admin has to mend before it can start."""
    return uvloop.run(_main(settings))


async def _main(settings: Settings) -> int:
    metrics = Metrics()
    loaded = await asyncio.to_thread(load, settings)
    _spare_garbage_collector()
    try:
        await loaded.store.check()
        parts = Parts(settings, loaded, LagStore(loaded.store, metrics.store_latency.observe), metrics)
        return await Engine(parts).run()
    finally:
        await loaded.store.close()


def _spare_garbage_collector() -> None:
    """What is loaded stays: never look through it again. Calls leave little behind in cycles, so looking
    rarely is enough, and no look is long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
    gc.enable()
