"""One leg as the simulated telephone system holds it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ivr_engine.ports import Prompt
from ivr_engine.sim.ears import Ears

NORMAL_CLEARING: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
DECLINED: Final = 21


@dataclass(slots=True)
class Playback:
    id: str
    prompts: list[Prompt]


@dataclass(slots=True, eq=False)
class Channel:
    """``app``: the application it is in, if any."""

    id: str
    caller: str
    number: str
    inbound: bool
    up: bool = False
    app: str | None = None
    bridge: str | None = None
    playing: deque[Playback] = field(default_factory=deque[Playback])
    recording: tuple[str, float] | None = None
    """What is being recorded, and since when."""
    muted: bool = False
    snoops: tuple[str, bool] | None = None
    """For a channel that only listens in: on whom, and whether it is heard by them."""
    speaks_until: float | None = None
    """When the caller falls silent; ``None``: never."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trunk: str = ""
    cause: int | None = None
    fallback_since: float | None = None
    ears: Ears = field(default_factory=Ears)
    timer: asyncio.TimerHandle | None = None

    def later(self, seconds: float, act: Callable[[Channel], None]) -> None:
        """Its one timer: what happens to it next by itself."""
        self.no_timer()
        self.timer = asyncio.get_running_loop().call_later(seconds, act, self)

    def no_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
