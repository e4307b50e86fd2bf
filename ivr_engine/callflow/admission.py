"""Who decides, for each call on offer, whether this engine wants it: asked before the call is claimed, so
that another engine or the fallback has it at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from ivr_engine.domain.overload import Entrance, Limits, Load, NotTaken
from ivr_engine.observability.rationed import RationedLog


class Admission:
    """``store_lag`` tells the seconds that the store makes its users wait now."""

    def __init__(self, store_lag: Callable[[], float]) -> None:
        self._store_lag = store_lag
        self._entrance = Entrance()
        self._draining = asyncio.Event()
        self._last: NotTaken | None = None
        self._left = Counter[str]({why: 0 for why in NotTaken})
        self._rationed_log = RationedLog()

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    @property
    def left(self) -> Mapping[str, int]:
        """Offers not taken, by reason; a caller in the fallback is offered again and again."""
        return self._left

    @property
    def overloaded(self) -> NotTaken | None:
        """Why the last call on offer was not taken; ``None`` when it was."""
        return self._last

    def drain(self) -> None:
        """Take no call from now on."""
        self._draining.set()

    async def until_draining(self) -> None:
        await self._draining.wait()

    def wants(self, limits: Limits, *, calls: int, coming: int) -> bool:
        """Whether to claim a call on offer; ``calls`` are held, ``coming`` claimed and not here yet."""
        why = NotTaken.DRAINING if self.draining else self._overload(limits, calls, coming)
        self._last = why
        if why is None:
            return True
        self._left[why] += 1
        if why is not NotTaken.DRAINING:
            self._rationed_log.warning(
                "calls.left",
                cause=why,
                limit=f"limits.{why}",
                calls=calls,
                store_lag_s=round(self._store_lag(), 2),
                meaning="new callers are left to other engines or the fallback, which offers them again",
            )
        return False

    def took(self, limits: Limits) -> None:
        """A call has come in."""
        self._entrance = self._entrance.took(limits, asyncio.get_running_loop().time())

    def _overload(self, limits: Limits, calls: int, coming: int) -> NotTaken | None:
        load = Load(calls=calls, coming=coming, store_lag_s=self._store_lag())
        now = asyncio.get_running_loop().time()
        self._entrance, why = self._entrance.offered(limits, load, now)
        return why
