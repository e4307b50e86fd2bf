"""A channel of Asterisk: what is told of its life, and what is done with it besides talking to the caller.

The reading task tells and never waits; the end of the channel wakes every verb at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from ivr_engine.asterisk.alive import Life, WhileAlive
from ivr_engine.asterisk.ari_client import AriClient
from ivr_engine.asterisk.ari_operations import Bridges, Channels
from ivr_engine.asterisk.causes import of_cause
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.errors import CallEnded, Gone, NotInStasis, Rejected, Unreachable
from ivr_engine.ports import DialResult

T = TypeVar("T")

NORMAL_CLEARING = 16
STASIS = frozenset({"Stasis", "StasisBroadcast"})
"""What the dialplan runs on a channel that is in an application. The ``channel_ids`` of an application
would not do: Asterisk keeps channels there that it was subscribed to after they went on."""
_RUNG_STATES = frozenset({"Down", "Rsrvd", "Ringing"})
"""States of a channel we ring; one that calls us is ``Ring``, then ``Up``."""


class AriChannel:
    """One that is in our application, or was, or is being made."""

    def __init__(self, client: AriClient, settings: AriSettings, channel_id: str) -> None:
        self._client = client
        self._settings = settings
        self._id = channel_id
        self._up = False
        self._life = Life()
        self._entered = asyncio.Event()
        self._ringing_over: asyncio.Future[DialResult] = asyncio.get_running_loop().create_future()
        self.expected = False
        """Being made by us: not missed when it is not there yet."""
        self.ringing = False
        """Rung by us and not answered yet."""
        self.hanging_up = False
        """Somebody hung up: the end of the channel follows."""
        self.bridge: str | None = None
        """The bridge the channel was put into last, as far as we know."""

    @property
    def id(self) -> str:
        return self._id

    @property
    def ended(self) -> bool:
        return self._life.cause is not None

    @property
    def cause(self) -> int:
        """Why it ended; normal clearing while it did not."""
        return NORMAL_CLEARING if self._life.cause is None else self._life.cause

    def over(self) -> CallEnded:
        """What its verbs raise now that it ended."""
        return self._life.over()

    # ── called by the reading task ───────────────────────────────────────────────────────────────

    def entered(self, state: str) -> None:
        """The channel is in our application; ``state`` is what it was then."""
        self._entered.set()
        if state == "Up":
            self.answered()
        elif state in _RUNG_STATES and not self._up:
            # Asked before it was answered, the state may be told after.
            self.ringing = True

    def answered(self) -> None:
        self._up, self.ringing = True, False
        self._ring_ends(DialResult.ANSWERED)

    def dialled(self, result: DialResult) -> None:
        self._ring_ends(result)

    def end(self, cause: int = NORMAL_CLEARING, *, moved: bool = False) -> None:
        """The channel is gone, or (``moved``) no longer ours. Wakes every verb with ``CallEnded``."""
        self._life.end(cause, moved=moved)
        self._entered.set()
        self._ring_ends(of_cause(cause))

    def _ring_ends(self, result: DialResult) -> None:
        if not self._ringing_over.done():
            self._ringing_over.set_result(result)

    # ── the verbs ────────────────────────────────────────────────────────────────────────────────

    async def answer(self) -> None:
        async with self._while_alive():
            if not self._up:
                # Over HTTP: Asterisk waits for the channel's thread, and on the socket all others would too.
                await self._on_channel(Channels(self._client.slow).answer(channel_id=self._id))
                self._up = True

    async def leave_bridge(self) -> None:
        """Fine when it is in none."""
        if self.bridge is None:
            return
        with suppress(Gone, NotInStasis, Rejected):
            await Bridges(self._client.slow).remove_channel(bridge_id=self.bridge, channel=[self._id])
        self.bridge = None

    async def mute(self, on: bool) -> None:
        async with self._while_alive():
            do = self._client.channels.mute if on else self._client.channels.unmute
            await self._on_channel(do(channel_id=self._id, direction="in"))

    async def rung(self, within_s: float) -> DialResult:
        await asyncio.wait((self._ringing_over,), timeout=within_s)
        return self._ringing_over.result() if self._ringing_over.done() else DialResult.NO_ANSWER

    async def hang_up(self) -> None:
        if self.ended:
            return
        with suppress(Gone):
            await self._client.channels.hangup(channel_id=self._id)
        self.end()

    async def give_to_fallback(self) -> None:
        if self.ended:
            raise self._life.over()
        # Not interrupted by the leg's end: that it left may be told before the request is answered.
        try:
            await self._on_channel(self._continue())
        except Unreachable:
            if not self._life.moved:
                raise
        self.end(moved=True)

    async def release(self) -> None:
        """Let go of the channel, whether or not it counts as ended here already."""
        with suppress(Gone, NotInStasis):
            await self._continue()
        self.end()

    async def _continue(self) -> None:
        await self._client.channels.continue_in_dialplan(
            channel_id=self._id, context=self._settings.fallback_context, extension="s", priority=1
        )

    async def check(self) -> None:
        """Raise ``CallEnded`` when the channel is gone, or not ours, although no event said so."""
        channel = await self._on_channel(self._client.channels.get(channel_id=self._id))
        if channel.dialplan.app_name not in STASIS:
            self.end(moved=True)
        if self.ended:
            raise self._life.over()

    async def in_application(self) -> None:
        """Wait until the channel has entered our application, or has ended."""
        await self._entered.wait()

    # ── how they do it ───────────────────────────────────────────────────────────────────────────

    def _while_alive(self, awaitable: Awaitable[object] | None = None) -> WhileAlive:
        return WhileAlive(self._life, awaitable)

    async def _on_channel(self, request: Awaitable[T]) -> T:
        """A request on the channel itself: when Asterisk says it is gone or not ours, the leg ended."""
        try:
            return await request
        except (Gone, NotInStasis) as error:
            self.end(moved=isinstance(error, NotInStasis))
            raise self._life.over() from error
