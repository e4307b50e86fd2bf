"""What the promises of a leg are tried in: people at the far end of the line, and how to wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from ivr_engine.errors import CallEnded, ExternalError
from ivr_engine.ports import Arrival, Leg, Prompt, Recordings, Snapshot, Telephony


class Caller(Protocol):
    """Somebody at the far end of the line."""

    async def press(self, key: str) -> None: ...

    async def hang_up(self) -> None: ...

    async def connected(self) -> bool:
        """Neither side has hung up."""
        ...


class Phone(Protocol):
    """An agent's phone that behaves as asked for."""

    @property
    def name(self) -> str: ...

    async def ringing(self) -> bool: ...

    async def hang_up(self) -> None: ...


class World(Protocol):
    @property
    def telephony(self) -> Telephony:
        """Of the engine that runs now."""
        ...

    @property
    def recordings(self) -> Recordings: ...

    @property
    def tolerance_s(self) -> float:
        """By how much times may differ from what was asked for."""
        ...

    @property
    def late_s(self) -> float:
        """How much later all may be, where a busy machine keeps us waiting."""
        ...

    def prompt(self, seconds: float) -> Prompt:
        """A sound of that length (0.5, 2 and 10 are asked for)."""
        ...

    def missing_prompt(self) -> Prompt:
        """A sound that is not there."""
        ...

    async def call(self) -> tuple[Caller, Arrival]:
        """Somebody calls; this engine has won the call and not answered it yet."""
        ...

    async def phone(self, behaviour: str) -> Phone:
        """A registered phone that ``answers`` (after about a second), is ``busy``, ``declines`` or is
        ``silent``; or the name of one that is ``absent``."""
        ...

    async def restart(self) -> Snapshot:
        """The engine is killed, another of the same name connects; what it finds."""
        ...

    async def watchdog_moves(self, channel_id: str) -> None:
        """Somebody else sends the caller to the fallback."""
        ...


class Rig(Protocol):
    def run(self, scenario: Callable[[World], Awaitable[None]]) -> None:
        """In a fresh world; anything left running fails."""
        ...


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    """The last look is when the time is over, also of who was kept waiting until then."""
    deadline = now() + within_s
    while not await true():
        if now() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)  # the far end tells nobody


def now() -> float:
    return asyncio.get_running_loop().time()


def near(seconds: float, world: World) -> object:
    earliest, latest = seconds - world.tolerance_s, seconds + world.tolerance_s + world.late_s
    return pytest.approx((earliest + latest) / 2, abs=(latest - earliest) / 2)


async def answered(world: World) -> tuple[Caller, Leg]:
    caller, arrival = await world.call()
    await arrival.leg.answer()
    return caller, arrival.leg


async def left(world: World, leg: Leg) -> None:
    """Wait until the engine knows that the far end is gone."""

    async def known() -> bool:
        try:
            await leg.until(asyncio.sleep(0))
        except CallEnded:
            return True
        return False

    await eventually(known)


@asynccontextmanager
async def in_half_a_second(act: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    async def later() -> None:
        await asyncio.sleep(0.5)
        await act()

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        yield


async def not_(answer: Awaitable[bool]) -> bool:
    return not await answer


async def is_held(world: World, channel_id: str) -> bool:
    try:
        return channel_id in (await world.telephony.snapshot()).all
    except ExternalError:
        return True
