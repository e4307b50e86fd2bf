"""The engine's services: each runs until the engine stops, and comes back with backoff when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

log = structlog.get_logger()

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0
"""A service that ran this long before it failed starts again with the first pause."""


class Services:
    """Keeps services running inside one task group; ``failing`` is what ``/health`` shows."""

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    @property
    def failing(self) -> Mapping[str, str]:
        """Name → last error, of services that are down at this moment."""
        return self._failing

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run the service for ever. Only cancellation ends it: the engine is stopping."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        while True:
            started = loop.time()
            self._failing.pop(name, None)
            try:
                await run()
                self._failing[name] = "it returned"
                log.error("service.returned", service=name, again_in_s=pause_s)
            except Exception as error:
                self._failing[name] = f"{type(error).__name__}: {error}"
                log.exception("service.failed", service=name, again_in_s=pause_s)
            if loop.time() - started > STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
