"""One party's connection: what can be said on it and heard from it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: ``media`` as the telephone system names it, ``seconds`` its length."""

    name: str
    media: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything was played."""


@dataclass(frozen=True, slots=True)
class Digit:
    """The first key the caller pressed: ``0``-``9``, ``*``, ``#``."""

    key: str


@dataclass(frozen=True, slots=True)
class Timeout:
    """Nothing was pressed in time."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The prompt could not be played (missing file, no answer from the telephone system)."""

    why: str


PlayResult = Finished | Failed
GatherResult = Digit | Timeout | Failed


class DialResult(StrEnum):
    """How ringing an agent's phone ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"


class Leg(Protocol):
    """One party's connection. Every verb raises ``CallEnded`` once the leg is gone.

    Cancelling a verb means the engine is stopping: nothing is touched in the telephone system.
    """

    @property
    def id(self) -> str:
        """The channel id."""
        ...

    async def answer(self) -> None:
        """Answer if not answered yet."""
        ...

    async def play(self, prompts: Sequence[Prompt]) -> PlayResult:
        """Play to the end. Keys pressed meanwhile are ignored."""
        ...

    async def gather(
        self, prompts: Sequence[Prompt], *, window_s: float, go_on: bool = False
    ) -> GatherResult:
        """Play ``prompts`` and return the first key pressed since they began; a key stops them.

        Without a key: ``Timeout`` when ``window_s`` seconds have passed since the end of the prompts.
        Keys pressed before this call are forgotten; with ``go_on`` those count that were pressed since the
        ``gather`` before, if the leg did nothing else in between: then nothing is played.
        """
        ...

    async def record(self, name: str, *, longest_s: int, silence_s: int) -> PlayResult:
        """Record what is heard on the leg as ``name`` until ``#``, ``silence_s`` seconds of silence, or
        ``longest_s`` seconds.

        The recording goes on without an engine. Asked again for the same name, also by another engine: waits
        for its end, or finds it over; it is never begun anew. See ``Recordings`` for what was recorded.
        """
        ...

    async def mute(self, on: bool) -> None:
        """Whether nobody hears this party; they hear the others as before. Asked for twice is fine."""
        ...

    async def stop_playing(self) -> None:
        """Stop whatever prompt is being played now, also one that an engine before this one began; fine
        when there is none."""
        ...

    async def until(self, awaitable: Awaitable[T]) -> T:
        """Await something else; if the leg ends first, cancel that and raise ``CallEnded``."""
        ...

    async def rung(self, within_s: float) -> DialResult:
        """For a leg made by ``Telephony.dial``: how the ringing ended. Never raises ``CallEnded``:
        an end before the answer *is* the result. After ``within_s`` seconds: ``NO_ANSWER``."""
        ...

    async def hang_up(self) -> None:
        """End the leg. Succeeds when it is gone already; never raises ``CallEnded``."""
        ...

    async def give_to_fallback(self) -> None:
        """Send the caller on in the dialplan, to the fallback: they hear a sentence and music."""
        ...
