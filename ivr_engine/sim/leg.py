"""``ports.Leg`` over the simulated telephone system."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from ivr_engine.errors import CallEnded, CallMoved, ExternalError, Gone, NotInStasis
from ivr_engine.ports import DialResult, Digit, Failed, Finished, GatherResult, PlayResult, Prompt, Timeout
from ivr_engine.sim.channel import BUSY, DECLINED, NORMAL_CLEARING, Channel, Playback
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.wire import ChannelLeft

T = TypeVar("T")

PLAYING_SLACK_S: Final = 10.0
"""How long after its length the end of a prompt is waited for before it counts as lost."""

DIAL_RESULTS: Final = {BUSY: DialResult.BUSY, DECLINED: DialResult.DECLINED}


class Desk(Protocol):
    """What a leg needs of its telephony."""

    @property
    def switch(self) -> SimSwitch: ...

    def held(self, channel_id: str) -> Channel: ...

    async def request(self, verb: str, act: Callable[[], T]) -> T: ...


class SimLeg:
    """One party's connection, by channel id."""

    def __init__(self, channel_id: str, desk: Desk) -> None:
        self._id = channel_id
        self._desk = desk
        loop = asyncio.get_running_loop()
        self._left: asyncio.Future[ChannelLeft] = loop.create_future()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._key: asyncio.Future[str] | None = None
        self._typed: deque[str] | None = None
        """Keys nobody waited for since the last ``gather`` began; ``None``: something else was done since."""
        self._playbacks: dict[str, asyncio.Future[bool]] = {}
        self._recordings: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)

    # ── what the telephone system tells ──────────────────────────────────────────────────────────

    def on_key(self, key: str) -> None:
        if self._key is not None and not self._key.done():
            self._key.set_result(key)
        elif self._typed is not None:
            self._typed.append(key)

    def on_playing_ended(self, playback: str, *, whole: bool) -> None:
        end = self._playbacks.get(playback)
        if end is not None and not end.done():
            end.set_result(whole)

    def on_recording_ended(self, name: str) -> None:
        end = self._recordings.get(name)
        if end is not None and not end.done():
            end.set_result(None)

    def on_answered(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)

    def on_left(self, event: ChannelLeft) -> None:
        if not self._left.done():
            self._left.set_result(event)

    def catch_up(self, *, up: bool, playing: frozenset[str], recording: str | None) -> None:
        """The connection is back; events in between were lost."""
        if up:
            self.on_answered()
        for playback in self._playbacks.keys() - playing:
            self.on_playing_ended(playback, whole=True)
        for name in self._recordings.keys() - {recording}:
            self.on_recording_ended(name)

    # ── ports.Leg ────────────────────────────────────────────────────────────────────────────────

    @property
    def id(self) -> str:
        return self._id

    async def answer(self) -> None:
        await self._do("answer", self._desk.switch.answer)

    async def play(self, prompts: Sequence[Prompt]) -> PlayResult:
        self._check()
        self._typed = None
        if not prompts:
            return Finished()
        return await self._play(prompts, asyncio.get_running_loop().create_future())

    async def gather(
        self, prompts: Sequence[Prompt], *, window_s: float, go_on: bool = False
    ) -> GatherResult:
        self._check()
        self._typed = self._typed if go_on and self._typed else deque()
        if self._typed:
            return Digit(self._typed.popleft())
        key = self._key = asyncio.get_running_loop().create_future()
        try:
            if prompts:
                result = await self._play(prompts, key)
                if isinstance(result, Failed):
                    return result
            await self._either(key, within_s=window_s)
        finally:
            self._key = None
        return Digit(key.result()) if key.done() else Timeout()

    async def record(self, name: str, *, longest_s: int, silence_s: int) -> PlayResult:
        self._typed = None
        end = self._recordings[name] = asyncio.get_running_loop().create_future()
        try:
            await self._do(
                "record", lambda channel: self._desk.switch.tapes.record(channel, name, longest_s, silence_s)
            )
            await self._either(end, within_s=longest_s + PLAYING_SLACK_S)
        finally:
            del self._recordings[name]
        return Finished()

    async def mute(self, on: bool) -> None:
        await self._do("mute", lambda channel: self._desk.switch.rooms.mute(channel, on))

    async def stop_playing(self) -> None:
        await self._do("stop", self._desk.switch.stop)

    async def until(self, awaitable: Awaitable[T]) -> T:
        self._typed = None
        task = asyncio.ensure_future(awaitable)
        try:
            self._check()
            await self._either(task)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

    async def rung(self, within_s: float) -> DialResult:
        await asyncio.wait(
            [self._answered, self._left], timeout=within_s, return_when=asyncio.FIRST_COMPLETED
        )
        if self._answered.done():
            return DialResult.ANSWERED
        if self._left.done():
            return DIAL_RESULTS.get(self._left.result().cause, DialResult.NO_ANSWER)
        return DialResult.NO_ANSWER

    async def hang_up(self) -> None:
        with contextlib.suppress(Gone, NotInStasis):
            await self._desk.request(
                "hang_up", lambda: self._desk.switch.gone(self._desk.held(self._id), NORMAL_CLEARING)
            )

    async def give_to_fallback(self) -> None:
        await self._do("give_to_fallback", self._desk.switch.give_to_fallback)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    def _check(self) -> None:
        if self._left.done():
            left = self._left.result()
            raise CallMoved(left.cause) if left.moved else CallEnded(left.cause)

    async def _do(self, verb: str, act: Callable[[Channel], None]) -> None:
        self._check()
        try:
            await self._desk.request(verb, lambda: act(self._desk.held(self._id)))
        except Gone:
            raise CallEnded from None
        except NotInStasis:
            raise CallMoved from None

    async def _either(self, *futures: asyncio.Future[T], within_s: float | None = None) -> None:
        """Until one of ``futures`` is done, or that time has passed; what came first counts."""
        await asyncio.wait([*futures, self._left], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not any(future.done() for future in futures):
            self._check()

    async def _play(self, prompts: Sequence[Prompt], key: asyncio.Future[str]) -> PlayResult:
        """Play to the end, or until a key is pressed."""
        playback = Playback(f"{self._id}-play-{next(self._numbers)}", list(prompts))
        end = self._playbacks[playback.id] = asyncio.get_running_loop().create_future()
        try:
            await self._do("play", lambda channel: self._desk.switch.play(channel, playback))
            await self._either(key, end, within_s=sum(p.seconds for p in prompts) + PLAYING_SLACK_S)
            if key.done():
                with contextlib.suppress(CallEnded, ExternalError):
                    await self.stop_playing()
                return Finished()
        except ExternalError as error:
            return Failed(str(error))
        finally:
            del self._playbacks[playback.id]
        if not end.done():
            return Failed("the end of playing was never reported")
        return Finished() if end.result() else Failed("could not be played")
