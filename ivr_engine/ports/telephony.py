"""The telephone system: calls that come, legs that are dialled, bridges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ivr_engine.ports.legs import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A call that was offered and that this engine won, or found in its hands after a restart."""

    leg: Leg
    caller: str
    """As signalled, not validated."""
    number: str
    """The number dialled."""
    trunk: str = ""
    """The endpoint it came through; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the telephone system holds right now.

    ``mine``: channel ids in this engine's application; ``all``: every channel id there is;
    ``bridges``: members by bridge id.
    """

    mine: frozenset[str]
    all: frozenset[str]
    bridges: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """A SIP account for an agent's phone."""

    name: str
    password: str


class Telephony(Protocol):
    """The telephone system as one engine sees it."""

    @property
    def name(self) -> str:
        """The application name of this engine; the ``engine`` column of its calls."""
        ...

    @property
    def connected(self) -> bool:
        """The application socket is active: events arrive and calls can be taken."""
        ...

    def arrivals(self, wanted: Callable[[int], bool] = lambda _coming: True) -> AsyncIterator[Arrival]:
        """New calls, each already claimed by this engine.

        ``wanted`` is asked before a call is claimed, and told how many are claimed and not given out yet;
        it must not block. A call not wanted is left to other engines and the fallback.
        """
        ...

    def connections(self) -> AsyncIterator[Snapshot]:
        """One item each time the connection (again) stands, before any later event is delivered for
        a leg not adopted yet. The consumer reconciles, then asks for the next."""
        ...

    async def snapshot(self) -> Snapshot:
        """What the telephone system holds right now; ``ExternalError`` when it cannot say."""
        ...

    async def adopt(self, channel_id: str) -> Leg:
        """The leg of a channel that was in our hands before; raises ``Gone`` if it is not there."""
        ...

    async def stray(self, channel_id: str) -> Arrival | None:
        """An inbound channel in our application that no stored call knows: as if it arrived now.
        ``None`` when it is gone or was not inbound."""
        ...

    async def header(self, leg: Leg, name: str) -> str:
        """What the other side sent in that SIP header, whatever it is; empty when there is none."""
        ...

    async def park(self, leg: Leg, music: str) -> None:
        """Put the leg where music of class ``music`` plays by itself, also without an engine."""
        ...

    async def unpark(self, leg: Leg) -> None:
        """Take the leg out of where it was parked, if it is: silence, but for what is played to it."""
        ...

    async def dial(
        self, phone: str, *, leg_id: str, caller: str | None, timeout_s: float, trunk: str | None = None
    ) -> Leg:
        """Start ringing the phone account ``phone`` or, with a ``trunk``, the number ``phone`` (E.164)
        through it; ``leg_id`` is the id the new leg gets, ``caller`` what the other side is shown.

        The telephone system itself stops ringing after ``timeout_s``. Raises ``Rejected`` when the
        phone is not reachable.
        """
        ...

    async def connect(self, bridge_id: str, legs: Sequence[Leg]) -> None:
        """Let ``legs`` hear each other in a bridge of that id (made if missing)."""
        ...

    async def overhear(
        self, leg: Leg, by: Leg, *, bridge_id: str, snoop_id: str, whisper: bool = False
    ) -> None:
        """Let ``by`` hear all that ``leg`` says and hears, unnoticed; with ``whisper`` what they say is heard
        by ``leg`` alone. ``snoop_id`` is a channel made for it, in the bridge of that id with ``by``; it ends
        with ``leg``. Asked for again, also by another engine, it goes on."""
        ...

    async def record(self, bridge_id: str, name: str, *, longest_s: int) -> None:
        """Record everybody in the bridge as ``name``, until ``end_recording``, the end of the bridge, or
        ``longest_s`` seconds. It goes on without an engine; asked for again it is never begun anew.
        ``ExternalError``: it cannot be recorded. See ``Recordings`` for what was recorded."""
        ...

    async def end_recording(self, name: str) -> None:
        """What was recorded until now is kept; fine when it is over, or never was."""
        ...

    async def end_bridge(self, bridge_id: str) -> None:
        """Take the bridge away; fine when it is gone."""
        ...

    async def end_leg(self, leg_id: str) -> None:
        """Hang up a leg known by id only; fine when it is gone."""
        ...

    async def phones(self) -> frozenset[str]:
        """The phone accounts that can be rung now."""
        ...

    async def put_account(self, account: PhoneAccount) -> None:
        """Make the phone account known, so that the phone can register."""
        ...

    async def remove_account(self, name: str) -> None:
        """The phone can neither register nor be rung any more; who talks on it goes on. Fine when there is no
        such account."""
        ...
