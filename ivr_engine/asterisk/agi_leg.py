"""A channel in the hands of another dialplan, lent to us by its ``AGI()``: the ``Leg`` port over FastAGI.

Keys count while a command is under way that listens for them; Asterisk forgets those between two commands,
also for a ``gather`` that goes on. So the last sound of a question is one command with the window behind it.
(A command that only listens cannot fill the gap: Asterisk overlooks what follows it too soon.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from ivr_engine.asterisk.agi_session import NORMAL_CLEARING, AgiSession, Reply
from ivr_engine.asterisk.alive import Life, WhileAlive
from ivr_engine.errors import CallEnded, Rejected
from ivr_engine.ports import (
    DialResult,
    Digit,
    Failed,
    Finished,
    GatherResult,
    PlayResult,
    Prompt,
    Timeout,
)

T = TypeVar("T")

KEYS: Final = "0123456789*#"
NO_KEYS: Final = ""
MARGIN_S: Final = 3.0
"""A sound may be longer than we think by this."""
_NOTHING: Final = "0"
_FAILED: Final = "-1"


class AgiLeg:
    """``sounds``: what Asterisk's name of our sound folder is, where that is not ``ivr/``."""

    def __init__(self, session: AgiSession, life: Life, channel_id: str, sounds: str) -> None:
        self._session = session
        self._life = life
        self._id = channel_id
        self._sounds = sounds

    @property
    def id(self) -> str:
        return self._id

    async def answer(self) -> None:
        async with WhileAlive(self._life):
            await self._settle()
            if (await self._session.command("ANSWER")).result == _FAILED:
                await self._still_there()
                raise Rejected("Asterisk could not answer the call")

    async def play(self, prompts: Sequence[Prompt]) -> PlayResult:
        async with WhileAlive(self._life):
            await self._settle()
            for prompt in prompts:
                reply = await self._played(prompt, "STREAM FILE", NO_KEYS)
                if reply.result == _FAILED:
                    return await self._not_played(prompt)
            return Finished()

    async def gather(
        self, prompts: Sequence[Prompt], *, window_s: float, go_on: bool = False
    ) -> GatherResult:
        async with WhileAlive(self._life):
            await self._settle()
            return await self._asked(prompts, window_s)

    async def _asked(self, prompts: Sequence[Prompt], window_s: float) -> GatherResult:
        for number, prompt in enumerate(prompts, 1):
            if number < len(prompts):
                reply = await self._played(prompt, "STREAM FILE", KEYS)
            else:
                reply = await self._played(prompt, "GET OPTION", KEYS, window_s)
            if reply.result == _FAILED:
                return await self._not_played(prompt)
            if reply.result != _NOTHING:
                return _digit(reply)
        if not prompts:
            reply = await self._session.answer(
                self._session.send("WAIT", "FOR", "DIGIT", _ms(window_s)), after_s=window_s
            )
            if reply.result not in (_NOTHING, _FAILED):
                return _digit(reply)
        await self._still_there()
        return Timeout()

    async def record(self, name: str, *, longest_s: int, silence_s: int) -> PlayResult:
        async with WhileAlive(self._life):
            return Failed("a caller in another dialplan is not recorded")

    async def mute(self, on: bool) -> None:
        raise Rejected("a caller in another dialplan is muted by nobody here")

    async def stop_playing(self) -> None:
        async with WhileAlive(self._life):
            await self._settle()

    async def until(self, awaitable: Awaitable[T]) -> T:
        async with WhileAlive(self._life, awaitable):
            return await awaitable

    async def rung(self, within_s: float) -> DialResult:
        return DialResult.ANSWERED

    async def hang_up(self) -> None:
        with suppress(CallEnded):
            async with WhileAlive(self._life):
                await self._settle()
                await self._session.command("HANGUP")
        self._life.end(NORMAL_CLEARING)
        self._session.close()  # Asterisk hangs up when AGI() is over

    async def give_to_fallback(self) -> None:
        """The dialplan goes on behind its ``AGI()``."""
        if self._life.cause is not None:
            raise self._life.over()
        self._session.close()

    async def _played(self, prompt: Prompt, command: str, keys: str, window_s: float | None = None) -> Reply:
        words = [*command.split(), self._sound(prompt), keys]
        if window_s is not None:
            words.append(_ms(window_s))
        sent = self._session.send(*words, plays=True)
        return await self._session.answer(sent, after_s=prompt.seconds + (window_s or 0.0) + MARGIN_S)

    async def _not_played(self, prompt: Prompt) -> Failed:
        await self._still_there()
        return Failed(f"Asterisk could not play {self._sound(prompt)}; is the file there?")

    async def _still_there(self) -> None:
        """A hang-up ends what plays first and is told after that, before the next answer."""
        await self._session.command("NOOP")

    async def _settle(self) -> None:
        """Stop what a cancelled verb left playing."""
        if self._session.playing:
            await self._session.command("NOOP")

    def _sound(self, prompt: Prompt) -> str:
        return self._sounds + prompt.media.removeprefix("sound:").removeprefix("ivr/")


_CODES: Final = frozenset(str(ord(key)) for key in KEYS)
"""A key as Asterisk names it."""


def _digit(reply: Reply) -> Digit:
    if reply.result not in _CODES:
        raise Rejected("Asterisk names a key that there is not")
    return Digit(chr(int(reply.result)))


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
