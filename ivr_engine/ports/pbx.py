"""A PBX beside us, in whose dialplan callers are: it hands them over for one conversation at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ivr_engine.domain.dialplan import AppQueue
from ivr_engine.ports.legs import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A caller whom the dialplan has handed over. ``caller`` and ``number`` are as signalled, not validated;
    an empty ``language`` leaves it to the site."""

    leg: Leg
    caller: str
    number: str
    queue: str
    """Of our site: its settings count."""
    app_queue: str
    """Where the dialplan will send the caller."""
    language: str = ""
    announce: bool = False
    """Place and wait are to be told too."""


class PbxCalls(Protocol):
    """Told by the ``Pbx`` what becomes of callers in its hands."""

    async def connected(self, channels: Callable[[], Awaitable[frozenset[str]]]) -> None:
        """We hear of every end from now on; ``channels`` asks for all that there are."""
        ...

    async def answered(self, channel_id: str, by: str) -> None:
        """An agent of the PBX talks to the caller."""
        ...

    async def hung_up(self, channel_id: str) -> None:
        """The channel is no more."""
        ...


class Pbx(Protocol):
    @property
    def connected(self) -> bool:
        """Its ends are told of at this moment."""
        ...

    def knows(self, channel_id: str) -> None:
        """From now on ``PbxCalls`` is told of that channel, until the connection is lost; of others it is
        not."""
        ...

    async def queue(self, name: str) -> AppQueue | None:
        """How its queue stands; ``None`` when it cannot say, or has none of that name."""
        ...
