"""Caller scripts in virtual time: no Asterisk, no waiting, every run the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr_engine.callflow.in_call_sms import FromPreset, InCallSmsCommands, OwnText
from ivr_engine.domain.calls import Call
from ivr_engine.ports import Prompts, Tx
from ivr_engine.rehearsal.centre import Centre, open_centre
from ivr_engine.rehearsal.line import NO_CALL, Item, NotHeard
from ivr_engine.rehearsal.operations import carry_out
from ivr_engine.rehearsal.pictures import PICTURE
from ivr_engine.rehearsal.player import Outcome, play
from ivr_engine.rehearsal.script import HIDDEN, Dialling, Phone, Script, Sent
from ivr_engine.rehearsal.script_files import ScriptFile
from ivr_engine.rehearsal.staff import Staff
from ivr_engine.rehearsal.written_prompts import seconds_to_say
from ivr_engine.sim import clock
from ivr_engine.sim.ears import NeverHeard
from ivr_engine.sim.people import (
    AgentPhone,
    Behaviour,
    Caller,
    answers,
    busy,
    call,
    declines,
    does_not_answer,
)
from ivr_engine.sim.switch import PhoneCall
from ivr_engine.site.models import Site
from ivr_engine.web.shapes import AgentItem, CallItem, TicketItem

ANYBODY: Final = "+4915112345678"
"""Who calls where a script does not say."""

NO_SOUNDS: Final = frozenset({"ringing", "end"})

TRUNK: Final = "ivr-trunk"
"""Where calls come through, as in the dialplan that comes with the product."""

RING_S: Final = 1.0
"""How long a caller's own phone rings before it is picked up."""

NOTICED_S: Final = 0.1
"""Less silence than this nobody notices."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the caller did, ``at`` seconds after the first call was answered."""

    at: float
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Played:
    outcome: Outcome
    seconds: float
    """Virtual ones."""
    acts: Sequence[Act]


def play_headless(file: ScriptFile, site: Site, prompts: Prompts, *, reaction_s: float = 0.0) -> Played:
    """One script in a contact centre of its own. ``reaction_s``: how long people take to act on what they
    hear."""
    with tempfile.TemporaryDirectory(prefix="ivr-rehearsal-") as folder:
        return clock.run(_play(file, site, prompts, Path(folder), reaction_s), inline=True)


async def _play(file: ScriptFile, site: Site, prompts: Prompts, folder: Path, reaction_s: float) -> Played:
    start = file.script.begins or clock.START
    async with open_centre(site, prompts, folder, start=start) as centre:
        line = HeadlessLine(centre, file.script, reaction_s)
        outcome = await play(file, line)
        line.leave()
        return Played(outcome, asyncio.get_running_loop().time(), line.acts)


class HeadlessLine:
    """``Line`` on the simulated telephone system."""

    def __init__(self, centre: Centre, script: Script, reaction_s: float) -> None:
        self._centre = centre
        self._reaction_s = reaction_s
        self._signalled = "anonymous" if script.caller == HIDDEN else script.caller or ANYBODY
        self._caller: Caller | None = None
        self._others: list[Caller] = []
        self._own = OwnPhone()
        if script.is_called_back:
            centre.switch.phones[self._signalled] = self._own
        self._cursor = -1
        self.acts: list[Act] = []
        # Whoever is not named does not answer.
        phones = {name: Phone(does="does_not_answer") for name in centre.site.agents} | script.phones
        for name, phone in phones.items():
            AgentPhone(centre.switch, name, _behaviour(phone)).registered = phone.does != "is_gone"
        for url, answer in script.answers.items():
            if answer == "too_late":
                centre.lookup.too_late.add(url)
            else:
                centre.lookup.answers[url] = answer

    def leave(self) -> None:
        for caller in [*self._others, *([self._caller] if self._caller else [])]:
            caller.hang_up()

    # ── what the caller does ─────────────────────────────────────────────────────────────────────

    async def company(self, number: str, size: int) -> None:
        for other in range(size):
            self._others.append(await call(self._centre.switch, f"+49151200{other:05}", number))
            await self._others[-1].hears_prompt("music")

    async def dial(self, how: Dialling) -> None:
        self.acts.append(Act(self._since_answer(), "dials", how.number))
        channel = self._centre.switch.call_in(
            self._signalled, how.number, trunk=how.trunk or TRUNK, headers=how.headers
        )
        self._caller = Caller(self._centre.switch, channel)
        self._caller.speaks(0)
        self._cursor = -1

    async def press(self, key: str) -> None:
        self.acts.append(Act(self._since_answer(), "presses", key))
        self._phone.press(key)

    async def say(self, words: str) -> None:
        seconds = seconds_to_say(words)
        self.acts.append(Act(self._since_answer(), "says", words))
        self._phone.speaks(seconds)
        await asyncio.sleep(seconds)

    async def hang_up(self) -> None:
        self.acts.append(Act(self._since_answer(), "hangs", "up"))
        self._phone.hang_up()

    async def pick_up(self, *, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                ringing = await self._own.ringing.get()
        except TimeoutError:
            raise NotHeard(f"the caller's phone did not ring within {within_s:g} s") from None
        await asyncio.sleep(RING_S)
        self._caller = Caller(self._centre.switch, self._centre.switch.channels[ringing.channel_id])
        self._caller.speaks(0)
        self._cursor = -1
        ringing.answer()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def write(self, text: str, *, picture: bool) -> None:
        last = self._centre.post.read(self._signalled)
        to = last[-1].message.sender if last else self._centre.site.sms.sender
        media = [("image/png", PICTURE)] if picture else []
        await self._centre.post.write(self._signalled, to, text, media)

    async def agent_sends(self, what: Sent) -> None:
        call = await self.call()
        if call is None:
            raise NotHeard(NO_CALL)
        content = FromPreset(what.preset) if what.preset is not None else OwnText(what.text or "")
        await InCallSmsCommands(self._centre.engine.house).send(call["id"], content)

    async def staff(self, what: Staff) -> None:
        call = await self.call() if what.on_call else None
        if what.on_call and call is None:
            raise NotHeard(NO_CALL)
        self.acts.append(Act(self._since_answer(), "staff", str(what)))
        await carry_out(what, self._centre.engine, call["id"] if call else "")

    async def sign_in(self, agent: str) -> None:
        await self._centre.engine.desk.sign_in(agent)

    async def sign_out(self, agent: str) -> None:
        await self._centre.engine.desk.sign_out(agent)

    # ── what the caller hears ────────────────────────────────────────────────────────────────────

    async def hears(self, wanted: Callable[[str], bool], *, within_s: float, whole: bool) -> None:
        ears = self._phone.ears

        def place() -> int | None:
            return next(
                (n for n in range(self._cursor + 1, len(ears.timeline)) if wanted(ears.timeline[n].what)),
                None,
            )

        try:
            await ears.until(lambda: place() is not None, "it", within_s)
            self._cursor = place() or 0
            if whole:
                await ears.until(lambda: len(ears.timeline) > self._cursor + 1, "its end", within_s)
        except NeverHeard:
            raise NotHeard from None
        await asyncio.sleep(self._reaction_s)

    def heard(self) -> Sequence[str]:
        if self._caller is None:
            return []
        timeline = self._caller.ears.timeline
        ends = [following.t for following in timeline[1:]] + [asyncio.get_running_loop().time()]
        return [
            heard.what
            for heard, end in zip(timeline, ends, strict=True)
            if heard.what not in NO_SOUNDS and (heard.what != "silence" or end - heard.t >= NOTICED_S)
        ]

    def longest_silence_s(self) -> float:
        ears = self._phone.ears
        return max(
            (end - begin for begin, end in zip(ears.times("silence"), ears.ends("silence"), strict=False)),
            default=0.0,
        )

    # ── what the API would show ──────────────────────────────────────────────────────────────────

    async def call(self) -> Item | None:
        channel, caller = self._phone.channel_id, self._signalled

        def find(tx: Tx) -> tuple[Call, int | None] | None:
            # Whoever is called back has a call with another channel.
            found = [c for c in tx.calls.search(limit=1000) if c.channel_id == channel]
            found = found or tx.calls.search(caller=caller, limit=1)
            return (found[0], tx.calls.ahead(found[0]) + 1 if found[0].in_line else None) if found else None

        found = await self._centre.store.run(find)
        return CallItem.of(*found).model_dump(mode="json") if found else None

    async def texts(self) -> Sequence[str]:
        return [entry.message.text for entry in self._centre.post.read(self._signalled)]

    async def ticket(self) -> Item | None:
        found = await self._centre.store.run(lambda tx: tx.tickets.search(caller=self._signalled, limit=1))
        return TicketItem.of(found[0]).model_dump(mode="json") if found else None

    async def agent(self, name: str) -> Item:
        found = await self._centre.store.run(lambda tx: tx.agents.get(name))
        site = self._centre.site
        return AgentItem.of(name, site.agents[name], site.capacity(name), found).model_dump(mode="json")

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _phone(self) -> Caller:
        if self._caller is None:
            raise NotHeard("nobody has dialled yet")
        return self._caller

    def _since_answer(self) -> float:
        """0 before."""
        heard = self._caller.hears if self._caller else []
        answered = next((h.t for h in heard if h.what not in NO_SOUNDS), None)
        return 0.0 if answered is None else asyncio.get_running_loop().time() - answered


class OwnPhone:
    """``sim.switch.Phone`` of a caller who is called back."""

    registered = True

    def __init__(self) -> None:
        self.ringing: asyncio.Queue[PhoneCall] = asyncio.Queue()

    def ring(self, call: PhoneCall) -> None:
        self.ringing.put_nowait(call)


def _behaviour(phone: Phone) -> Behaviour:
    match phone.does:
        case "answers":
            return answers(phone.after, talks_s=phone.talks)
        case "declines":
            return declines(phone.after)
        case "is_busy":
            return busy()
        case "does_not_answer" | "is_gone":
            return does_not_answer
