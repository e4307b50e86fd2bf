"""Synthetic people: callers who hear and press keys, agents' phones that ring and are answered, or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from ivr_engine.sim.channel import BUSY, DECLINED, NORMAL_CLEARING, Channel
from ivr_engine.sim.ears import PATIENCE_S, Ears, Heard
from ivr_engine.sim.switch import PhoneCall, SimSwitch


class Caller:
    """Somebody who called. Keys and hanging up take effect at once; waits are in virtual time."""

    def __init__(self, switch: SimSwitch, channel: Channel) -> None:
        self._switch = switch
        self._channel = channel

    @property
    def channel_id(self) -> str:
        return self._channel.id

    @property
    def ears(self) -> Ears:
        return self._channel.ears

    @property
    def hears(self) -> list[Heard]:
        """All that was heard, with the second at which it began."""
        return self.ears.timeline

    @property
    def hears_now(self) -> str:
        return self.ears.now

    @property
    def connected(self) -> bool:
        """Neither side has hung up."""
        return self._channel.cause is None

    def press(self, key: str) -> None:
        if self.connected:
            self._switch.key(self._channel, key)

    def speaks(self, seconds: float) -> None:
        """For so long from now on; silent otherwise."""
        self._switch.tapes.speak(self._channel, seconds)

    def hang_up(self) -> None:
        self._switch.gone(self._channel, NORMAL_CLEARING)

    async def hears_prompt(self, what: str, within_s: float = PATIENCE_S) -> None:
        """Return at once if ``what`` is being heard, else when it next begins."""
        await self.ears.until(lambda: self.hears_now == what, what, within_s)

    async def hears_no_more(self, what: str, within_s: float = PATIENCE_S) -> None:
        await self.ears.until(lambda: self.hears_now != what, f"end of {what}", within_s)

    async def hears_times(self, what: str, times: int, within_s: float = PATIENCE_S) -> None:
        """Return when ``what`` has begun for the ``times``-th time."""
        await self.ears.until(lambda: len(self.ears.times(what)) >= times, f"{what}, {times} times", within_s)

    async def ended(self, within_s: float = PATIENCE_S) -> None:
        """Return when the call is over, whoever hung up."""
        await self.ears.until(lambda: not self.connected, "end of the call", within_s)


async def call(switch: SimSwitch, caller: str, number: str) -> Caller:
    """Somebody with the number ``caller`` dials ``number``."""
    return Caller(switch, switch.call_in(caller, number))


Behaviour = Callable[[PhoneCall], None]
"""What whoever sits at a phone does when it rings."""


def _later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def answers(after_s: float = 2.0, talks_s: float | None = None) -> Behaviour:
    """Picks up, and hangs up ``talks_s`` seconds later (``None``: leaves that to the caller)."""

    def behave(ringing: PhoneCall) -> None:
        _later(after_s, ringing.answer)
        if talks_s is not None:
            _later(after_s + talks_s, lambda: ringing.end() if ringing.talking else None)

    return behave


def answers_and_hangs_up() -> Behaviour:
    """Picks up and hangs up in the same moment."""
    return answers(after_s=1.0, talks_s=0.001)


def declines(after_s: float = 1.0) -> Behaviour:
    return lambda ringing: _later(after_s, lambda: ringing.end(DECLINED) if ringing.ringing else None)


def busy() -> Behaviour:
    return lambda ringing: _later(0.05, partial(ringing.end, BUSY))


def does_not_answer(_ringing: PhoneCall) -> None:
    """Lets it ring."""


class AgentPhone:
    """A phone with an account. ``behaviours`` are used one a call, the last of them for ever.

    A phone that is in use is busy: two calls at once can never succeed.
    """

    def __init__(self, switch: SimSwitch, name: str, *behaviours: Behaviour) -> None:
        self.name = name
        self.registered = True
        self.behaviours: Sequence[Behaviour] = behaviours or (does_not_answer,)
        self.calls: list[PhoneCall] = []
        self.rang_at: list[float] = []
        self._rung = Ears()
        switch.phones[name] = self

    @property
    def call(self) -> PhoneCall | None:
        """The call that rings or is being talked on."""
        return next((c for c in self.calls if c.ringing or c.talking), None)

    @property
    def hears_now(self) -> str:
        return self.call.ears.now if self.call else "silence"

    def ring(self, call: PhoneCall) -> None:
        """By the telephone system."""
        in_use = self.call is not None
        number = len(self.calls)
        self.calls.append(call)
        self.rang_at.append(asyncio.get_running_loop().time())
        self._rung.hear(f"ring {number + 1}")
        if in_use:
            busy()(call)
        else:
            self.behaviours[min(number, len(self.behaviours) - 1)](call)

    async def rings(self, times: int = 1, within_s: float = PATIENCE_S) -> PhoneCall:
        """Wait for the ``times``-th call to this phone."""
        await self._rung.until(lambda: len(self.calls) >= times, f"ring {times} of {self.name}", within_s)
        return self.calls[times - 1]

    async def stops_ringing(self, within_s: float = PATIENCE_S) -> None:
        call = self.calls[-1]
        await call.ears.until(lambda: not call.ringing, f"{self.name} stops ringing", within_s)

    async def is_free(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the last call is over."""
        call = self.calls[-1]
        await call.ears.until(lambda: not (call.ringing or call.talking), f"{self.name} is free", within_s)
