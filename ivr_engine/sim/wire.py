"""What travels between the simulated telephone system and an engine: events one way, requests the other.

Both take a little time, by chance within ``DELAY_S``, and stay in order, as on one socket. A request that
was sent is carried out even when nobody waits for its answer any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ivr_engine.sim.clock import chance

T = TypeVar("T")

DELAY_S: Final = (0.0005, 0.003)
"""Shortest and longest time that something needs for one way."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A caller is on offer; the first engine that claims the channel has them."""

    channel: str
    caller: str
    number: str


@dataclass(frozen=True, slots=True)
class KeyPressed:
    channel: str
    key: str


@dataclass(frozen=True, slots=True)
class PlayingEnded:
    """``whole``: to its end, or stopped on request; false: it could not be played."""

    channel: str
    playback: str
    whole: bool


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    channel: str
    name: str


@dataclass(frozen=True, slots=True)
class PhoneAnswered:
    channel: str


@dataclass(frozen=True, slots=True)
class ChannelLeft:
    """The channel is gone (``cause`` is Q.850), or alive but ``moved`` out of our hands."""

    channel: str
    cause: int
    moved: bool = False


WireEvent = Offered | KeyPressed | PlayingEnded | RecordingEnded | PhoneAnswered | ChannelLeft


class Way:
    """One direction: things arrive in the order in which they were sent."""

    def __init__(self) -> None:
        self._under_way: deque[Callable[[], None]] = deque()
        self._last = 0.0

    def send(self, arrive: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._last = max(self._last, loop.time() + chance().uniform(*DELAY_S))
        self._under_way.append(arrive)
        loop.call_at(self._last, self._arrive)

    def _arrive(self) -> None:
        self._under_way.popleft()()


class Connection:
    """An application's socket. After ``close`` nothing arrives at the engine any more; requests that
    were under way still reach the telephone system. ``instant``: nothing takes time on its way."""

    def __init__(
        self,
        app: str,
        deliver: Callable[[WireEvent], None],
        lost: Callable[[], None],
        *,
        instant: bool = False,
    ) -> None:
        self.app = app
        self._instant = instant
        self.open = True
        self._deliver = deliver
        self._lost = lost
        self._there = Way()
        self._back = Way()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._lost()

    def tell(self, event: WireEvent) -> None:
        if not self._instant:
            self._to_engine(lambda: self._deliver(event))
        elif self.open:
            self._deliver(event)

    def _to_engine(self, arrive: Callable[[], None]) -> None:
        self._back.send(lambda: arrive() if self.open else None)

    async def ask(self, act: Callable[[], T]) -> T:
        """Have ``act`` done over there and return its result, or raise what it raised."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def carry_out() -> None:
            try:
                result = act()
            except Exception as error:
                failure = error
                self._to_engine(lambda: None if answer.done() else answer.set_exception(failure))
            else:
                self._to_engine(lambda: None if answer.done() else answer.set_result(result))

        self._there.send(carry_out)
        return await answer
