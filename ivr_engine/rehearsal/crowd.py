"""The people of a simulated day: callers with patience and habits, agents with shifts."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, cast

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from ivr_engine.domain.agents import AgentState
from ivr_engine.errors import Refused
from ivr_engine.rehearsal.centre import Centre
from ivr_engine.rehearsal.day import Agents, Answering, Callers, Day, span_of
from ivr_engine.rehearsal.line import prompt_name
from ivr_engine.rehearsal.pictures import PICTURE
from ivr_engine.sim.people import AgentPhone, Caller
from ivr_engine.sim.sms import Entry
from ivr_engine.sim.switch import PhoneCall
from ivr_engine.site.models import Site
from ivr_engine.site.texts import consent_prompts

REACTION_S: Final = (1.0, 4.0)
"""Shortest and longest time from a prompt's beginning to the key."""

AGAIN_S: Final = 5.0
"""How soon an agent tries again to sign out who was on a call."""

LOOK_S: Final = 300.0
"""How often agents in RONA are looked for."""

WRITES: Final = "It is about my order."

Start = Callable[[Coroutine[Any, Any, None]], object]
"""Runs something beside everything else."""


class Habits:
    """What callers of one number do; ``consent``: the prompts that offer a text."""

    def __init__(self, callers: Callers, site: Site) -> None:
        self.callers = callers
        self.consent = consent_prompts(site)
        self.keys = {
            prompt: (list(weights), list(weights.values())) for prompt, weights in callers.keys.items()
        }


class SimulatedCaller:
    """Lives from one sound to the next; nobody waits for them."""

    def __init__(self, caller: Caller, habits: Habits, chance: random.Random) -> None:
        self._caller = caller
        self._habits = habits
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._patience: asyncio.TimerHandle | None = None
        self._key: asyncio.TimerHandle | None = None
        self._answers = _answers(habits.callers.sms, chance)
        caller.speaks(0)
        caller.ears.listener = self._hears

    def _hears(self, sound: str) -> None:
        if sound == "music":
            if self._patience is None:
                wait = self._habits.callers.patience.draw(self._chance)
                self._patience = self._loop.call_later(wait, self._caller.hang_up)
        elif sound in ("agent", "end"):
            for timer in (self._patience, self._key):
                if timer is not None:
                    timer.cancel()
        elif name := prompt_name(sound):
            self._hears_prompt(name)

    def _hears_prompt(self, name: str) -> None:
        if self._key is not None and not self._key.cancelled() and self._key.when() > self._loop.time():
            return
        if name in self._habits.consent:
            key = next(self._answers, None)
        elif name in self._habits.keys:
            keys, weights = self._habits.keys[name]
            key = self._chance.choices(keys, weights)[0]
        else:
            return
        if key is not None:
            self._key = self._loop.call_later(self._chance.uniform(*REACTION_S), self._caller.press, key)


def _answers(sms: Answering, chance: random.Random) -> Iterator[str]:
    """Keys at the offers of a text, one an offer; none any more: silence."""
    if chance.random() < sms.wrong_key:
        yield "5"
    decision = chance.random()
    if decision < sms.allow:
        yield "1"
    elif decision < sms.allow + sms.refuse:
        yield "2"


class Numbers:
    """Numbers to call from, of the site's country: each once."""

    def __init__(self, country: str) -> None:
        self._numbers = itertools.count(1)
        self._mobile = _beginning(country, PhoneNumberType.MOBILE)
        self._landline = _beginning(country, PhoneNumberType.FIXED_LINE)

    def next(self, *, mobile: bool) -> str:
        return f"{self._mobile if mobile else self._landline}{next(self._numbers) % 1_000_000:06}"


def _beginning(country: str, kind: int) -> str:
    example = phonenumbers.example_number_for_type(country, kind)
    if example is None:
        raise Refused(f"no numbers of {country} are known")
    return phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-6]


def people(day: Day) -> dict[str, Agents]:
    """Everybody who works on that day, by a name of their own."""
    return {
        f"{group.like[:24]}-{number}-{one}": group
        for number, group in enumerate(day.agents, 1)
        for one in range(1, group.count + 1)
    }


def on_that_day(site: Site, day: Day) -> Site:
    """The site as it is on that day: with its people in place of the site's own agents, each of whom is like
    one of those; callers' numbers follow one another, so prefixes are not capped. Raises pydantic's
    ``ValidationError`` for settings that cannot be."""
    told = _merged(site.model_dump(by_alias=True), {"abuse": {"per_prefix": 0}})
    told = _merged(told, day.settings)
    told["agents"] = {name: told["agents"][group.like] for name, group in people(day).items()}
    return Site.model_validate(told)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _merged(below[key], cast(Mapping[str, Any], value)) if both else value
    return merged


class SimulatedAgent:
    """One person at a phone. Hold ``work``."""

    def __init__(self, name: str, group: Agents, centre: Centre, chance: random.Random) -> None:
        self.name = name
        self._group = group
        self._desk = centre.engine.desk
        self._chance = chance
        AgentPhone(centre.switch, name, self._rung)

    def _rung(self, call: PhoneCall) -> None:
        group, loop = self._group, asyncio.get_running_loop()
        if self._chance.random() < group.misses:
            return
        after = group.answers_after.draw(self._chance)
        talks = group.handling.draw(self._chance)
        loop.call_later(after, call.answer)
        loop.call_later(after + talks, lambda: call.end() if call.talking else None)

    @property
    def away_s(self) -> float:
        """How long this time, after an offer that was missed."""
        return self._group.away.draw(self._chance)

    async def work(self, now_s: Callable[[], float]) -> None:
        """Be at work in the shift, but for the breaks; ``now_s``: since midnight."""
        for begin, end in self._at_work():
            await asyncio.sleep(max(0.0, begin - now_s()))
            await self._desk.sign_in(self.name)
            await asyncio.sleep(max(0.0, end - now_s()))
            while not await self._signed_out():  # noqa: ASYNC110  the end of a call is told to nobody here
                await asyncio.sleep(AGAIN_S)

    async def back(self, after_s: float) -> None:
        """From RONA."""
        await asyncio.sleep(after_s)
        try:
            await self._desk.come_back(self.name)
        except Refused:
            return

    async def _signed_out(self) -> bool:
        try:
            await self._desk.sign_out(self.name)
        except Refused:
            return False
        return True

    def _at_work(self) -> Iterator[tuple[float, float]]:
        begin, end = span_of(self._group.shift)
        for away, again in sorted(map(span_of, self._group.breaks)):
            if begin < away < end:
                yield begin, away
                begin = again
        if begin < end:
            yield begin, end


async def bring_back(agents: dict[str, SimulatedAgent], centre: Centre, start: Start) -> None:
    """Everybody in RONA comes back after a while. Until cancelled."""
    awaited: dict[str, object] = {}
    while True:
        await asyncio.sleep(LOOK_S)
        for agent in await centre.store.run(lambda tx: tx.agents.all()):
            if agent.state is AgentState.RONA and awaited.get(agent.name) != agent.since:
                awaited[agent.name] = agent.since
                back = agent.since + timedelta(seconds=agents[agent.name].away_s)
                start(agents[agent.name].back(max(0.0, (back - centre.clock.now()).total_seconds())))


class Repliers:
    """Callers who answer the text they got."""

    def __init__(
        self, sms: Callable[[str], Answering], centre: Centre, start: Start, chance: random.Random
    ) -> None:
        self._sms = sms
        self._centre = centre
        self._start = start
        self._chance = chance

    def got(self, entry: Entry) -> None:
        sms = self._sms(entry.message.recipient)
        if self._chance.random() < sms.reply:
            self._start(self._reply(entry, sms))

    async def _reply(self, entry: Entry, sms: Answering) -> None:
        await asyncio.sleep(sms.reply_after.draw(self._chance))
        media = [("image/png", PICTURE)] if self._chance.random() < sms.picture else []
        await self._centre.post.write(entry.message.recipient, entry.message.sender, WRITES, media)
