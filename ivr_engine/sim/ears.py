"""What somebody on the line hears, and when: the evidence of every test about callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

PATIENCE_S: Final = 300.0
"""How long, in virtual seconds, a wait for a sound lasts before it fails."""


class Heard(NamedTuple):
    """From second ``t`` on: ``ringing``, ``music``, ``silence``, ``fallback``, ``agent``, ``caller``, the
    name of a prompt, or ``end``."""

    t: float
    what: str


class NeverHeard(AssertionError):
    """What was waited for did not come; says what was heard instead."""


class Ears:
    def __init__(self) -> None:
        self.timeline: list[Heard] = []
        self.listener: Callable[[str], None] | None = None
        """Told of each sound as it begins; must not act at once, only later."""
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def now(self) -> str:
        return self.timeline[-1].what if self.timeline else "silence"

    @property
    def sounds(self) -> list[str]:
        """All that was heard, in order, without the times."""
        return [heard.what for heard in self.timeline]

    def times(self, what: str) -> list[float]:
        """When ``what`` began, each time."""
        return [heard.t for heard in self.timeline if heard.what == what]

    def ends(self, what: str) -> list[float]:
        """When ``what`` gave way to something else, each time."""
        pairs = zip(self.timeline, self.timeline[1:], strict=False)
        return [following.t for heard, following in pairs if heard.what == what]

    def hear(self, what: str, *, anew: bool = False) -> None:
        """``anew``: it begins from its start, even if the same was heard before."""
        if what == self.now and self.timeline and not anew:
            return
        self.timeline.append(Heard(asyncio.get_running_loop().time(), what))
        self._waiting = [entry for entry in self._waiting if not _served(*entry)]
        if self.listener is not None:
            self.listener(what)

    async def until(self, true: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Return once ``true()`` holds; looked at whenever the sound changes."""
        if true():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((true, waiter))
        try:
            async with asyncio.timeout(within_s):
                await waiter
        except TimeoutError:
            raise NeverHeard(f"{what}: not within {within_s} s; heard {self}") from None

    def __str__(self) -> str:
        return " → ".join(f"{heard.t:.3f} {heard.what}" for heard in self.timeline)


def _served(true: Callable[[], bool], waiter: asyncio.Future[None]) -> bool:
    if not waiter.done() and true():
        waiter.set_result(None)
    return waiter.done()
