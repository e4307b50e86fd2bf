"""What a branch of the journey is played on: a number to call, its queue's agents, and people to call it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from ivr_engine.rehearsal import voices
from ivr_engine.rehearsal.voices import AGENT_VOICE, CALLER_VOICE
from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE, Ear
from ivr_engine.sipp.process import Logged, Server, Sipp
from ivr_engine.sipp.sounds import Library, Segment
from ivr_engine.site.loader import load
from ivr_engine.site.prompts import render
from ivr_engine.speech.espeak import Espeak
from tests.sipp import scenarios
from tests.sipp.api import Api, Item, until

LED: Final = "led"
"""The scenario of callers who do what they are told here."""
SMS_S: Final = 20.0
"""Within this an SMS is at the handset (the simulator's own pace included)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a branch is played. ``agents`` serve only this queue while the branch lasts.

    ``by_hand``: nobody presses or hangs up but SIPp itself, by the times in its scenario.
    """

    server: Server
    api: Api
    library: Library
    folder: Path
    number: str
    agents: Sequence[str]
    language: str = "en"
    by_hand: bool = False

    @asynccontextmanager
    async def caller(self, scenario: str, *, signalled: str | None = None) -> AsyncGenerator[Caller]:
        """Somebody calls. ``signalled``: the number as signalled, where it is not the caller's own."""
        number = new_number()
        calling = sipp.calls(
            scenarios.file(scenario if self.by_hand else LED),
            self.server,
            number=self.number,
            callers=[signalled or number],
            library=self.library,
            folder=self.folder,
        )
        async with calling as process:
            yield Caller(self, process, 1, number)

    @asynccontextmanager
    async def crowd(self, size: int, *, rate: float = 20.0) -> AsyncGenerator[list[Caller]]:
        """Many callers who wait, of one SIPp."""
        numbers = [new_number() for _ in range(size)]
        calling = sipp.calls(
            scenarios.file(LED),
            self.server,
            number=self.number,
            callers=numbers,
            library=self.library,
            folder=self.folder,
            rate=rate,
        )
        async with calling as process:
            yield [Caller(self, process, each + 1, number) for each, number in enumerate(numbers)]

    @asynccontextmanager
    async def phone(self, scenario: str, agent: str) -> AsyncGenerator[AgentPhone]:
        """An agent's phone, registered."""
        ringing = sipp.phone(
            scenarios.file(scenario),
            self.server,
            account=agent,
            password=await self.api.phone_password(agent),
            library=self.library,
            folder=self.folder,
        )
        async with ringing as process:
            yield AgentPhone(self, process, agent)

    @asynccontextmanager
    async def signed_in(self, *agents: str) -> AsyncGenerator[None]:
        """Agents at work, in this order; signed out when the branch is over."""
        for agent in agents:
            await self.api.sign_in(agent)
        try:
            yield
        finally:
            for agent in agents:
                await self._sign_out(agent)

    async def _sign_out(self, agent: str) -> None:
        async def out() -> str:
            """Why not yet: refused while a call is at hand; the next one may be offered any moment."""
            try:
                await self.api.sign_out(agent)
            except AssertionError as refused:
                return str(refused)
            return ""

        await until(out, lambda why: not why, what=f"{agent} is signed out")


@dataclass(frozen=True, slots=True)
class Caller:
    """One call: the ``index``-th (from 1) of a SIPp."""

    stage: Stage
    sipp: Sipp
    index: int
    number: str

    @property
    def ear(self) -> Ear:
        return self.sipp.ears[self.index - 1]

    async def hears(self, *what: str, within: float = 15.0, whole: bool = False) -> Segment:
        """The next of these: prompts by their plain name, or ``MUSIC``."""
        kinds = (MUSIC, SILENCE, NOTHING)
        names = [one if one in kinds else f"{self.stage.language}/{one}" for one in what]
        return await self.ear.hears(*names, within=within, whole=whole)

    async def hears_position(self, *, within: float = 15.0) -> int:
        """The position said next, to its end."""
        said = await self.hears(*(f"position.{n}" for n in range(1, 21)), within=within, whole=True)
        return int(min(said.names).rpartition(".")[2])

    async def presses(self, key: str) -> None:
        if not self.stage.by_hand:
            await self.ear.presses(key)

    async def hangs_up(self) -> None:
        """Hang up, and see that the call comes to its end."""
        self.leaves()
        await self.call_is(state="ended", end_reason="caller_hung_up")

    def leaves(self) -> None:
        """Hang up, and look at nothing."""
        if not self.stage.by_hand:
            self.sipp.cue(self.sipp.call_id(self.index))

    async def is_hung_up_on(self, *, within: float = 15.0) -> Logged:
        return await self.sipp.logs("hung-up-on", call_id=self.sipp.call_id(self.index), within=within)

    async def call_is(self, *, within: float = 45.0, **wanted: object) -> Item:
        """The API's view of the call, once it is this."""
        return await self.stage.api.call_with(self.number, within=within, **wanted)

    async def gets_one_sms(self) -> Item:
        """The SMS, at the handset and in the API; never a second one."""

        async def arrived() -> list[Item]:
            return await self.stage.api.texts_at_handset(self.number)

        await until(arrived, what=f"an SMS at {self.number}", within=SMS_S)
        await self._sms_counts(1)
        return (await self.stage.api.messages(self.number, "outbound"))[0]

    async def got_no_sms(self) -> None:
        await self._sms_counts(0)

    async def _sms_counts(self, wanted: int) -> None:
        accepted = await self.stage.api.texts_at_handset(self.number)
        stored = await self.stage.api.messages(self.number, "outbound")
        assert len(accepted) == len(stored) == wanted, (accepted, stored)


@dataclass(frozen=True, slots=True)
class AgentPhone:
    """An agent's phone that will be rung once."""

    stage: Stage
    sipp: Sipp
    agent: str

    @property
    def ear(self) -> Ear:
        return self.sipp.ears[0]

    async def rings(self, *, within: float = 10.0) -> Logged:
        return await self.sipp.logs("rings", within=within)

    async def never_rang(self) -> None:
        assert not self.sipp.log(), self.sipp.log()

    async def answers(self) -> None:
        await self.sipp.logs("answered")

    async def stops_ringing(self, *, within: float = 15.0) -> Logged:
        return await self.sipp.logs("cancelled", within=within)

    async def is_hung_up_on(self, *, within: float = 15.0) -> Logged:
        return await self.sipp.logs("hung-up-on", within=within)

    async def hangs_up(self) -> None:
        if not self.stage.by_hand:
            self.sipp.cue((await self.rings()).call_id)


async def both_hear_each_other(caller: Caller, phone: AgentPhone) -> None:
    """Each speaks, and the other hears exactly that. The caller begins: the phone learns from it where to."""
    caller.ear.speaks(CALLER_VOICE)
    await phone.ear.hears(CALLER_VOICE)
    phone.ear.speaks(AGENT_VOICE)
    await caller.ear.hears(AGENT_VOICE)


def new_number() -> str:
    """A German mobile number nobody has called from yet."""
    return f"+49151{random.randrange(10_000_000, 99_999_999)}"


async def library_of(
    config: Path, prompts: Path, sounds: Path, others: Mapping[str, Path] | None = None
) -> Library:
    """Everything the site can say, as rendered into ``sounds``, by ``language/name``; two voices, and
    ``others`` by name. Whoever asks for the same as the last one is given the same."""
    files = await asyncio.to_thread(sound_files, config, prompts, sounds)
    return await asyncio.to_thread(_library, tuple((files | dict(others or {})).items()))


def sound_files(config: Path, prompts: Path, sounds: Path) -> dict[str, Path]:
    """By ``language/name``. Renders what is missing, so that it does not matter who comes first."""
    site = load(config)
    return voices.sound_files(site, prompts, render(site, prompts, sounds, Espeak()), sounds)


@lru_cache(maxsize=1)
def _library(files: tuple[tuple[str, Path], ...]) -> Library:
    return voices.library_with(dict(files))
