"""Plays a caller script step by step, and says where it went another way than written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from ivr_engine.errors import IvrError, Refused
from ivr_engine.rehearsal.line import Item, Line, NotHeard, is_prompt
from ivr_engine.rehearsal.script import Dialling, Expects, Step, TalkExpected, TicketExpected
from ivr_engine.rehearsal.script_files import ScriptFile
from ivr_engine.rehearsal.staff import Staff

LOOK_AGAIN_S: Final = 0.1
BETWEEN_KEYS_S: Final = 0.3
CALLED_BACK_S: Final = 60.0
"""Within this the phone of a caller rings who is called back."""

_AS_SAID: Final = ("queue", "node", "language", "position", "priority", "agent", "state")
"""Expectations that are fields of the call, by the same name."""

T = TypeVar("T")


class Unmet(IvrError):
    """A step did not go as written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failure``: where, what was expected and what came instead; ``None`` when all went as written."""

    file: ScriptFile
    failure: str | None
    heard: tuple[str, ...]


async def play(file: ScriptFile, line: Line) -> Outcome:
    """From the first step to the last, or to the first that goes wrong."""
    for step, at in zip(file.script.steps, file.lines, strict=True):
        try:
            await _Playing(file, line).step(step)
        except (NotHeard, IvrError) as error:
            failure = f"{file.path}:{at}: {error}; heard: {_story(line)}"
            return Outcome(file, failure, tuple(line.heard()))
    return Outcome(file, None, tuple(line.heard()))


@dataclass(frozen=True, slots=True)
class _Playing:
    file: ScriptFile
    line: Line

    async def step(self, step: Step) -> None:
        line = self.line
        match step.kind:
            case "dials" if step.dials is not None:
                await self._dial(step.dials)
            case "says":
                await line.say(step.says or "")
            case "presses":
                await self._press(step.presses or "")
            case "waits":
                await line.wait(step.waits or 0.0)
            case "hangs":
                await line.hang_up()
            case "picks":
                await line.pick_up(within_s=CALLED_BACK_S)
            case "writes" if step.writes is not None:
                await line.write(step.writes.text, picture=step.writes.picture)
            case "agent_sends" if step.agent_sends is not None:
                await line.agent_sends(step.agent_sends)
            case "signs_in":
                await line.sign_in(step.signs_in or "")
            case "signs_out":
                await line.sign_out(step.signs_out or "")
            case "staff" if step.staff is not None:
                await self._staff(step.staff)
            case _:
                await self._meet(step.expects or Expects())

    async def _dial(self, how: Dialling) -> None:
        script = self.file.script
        company, first = script.company, next(step.dials for step in script.steps if step.dials is not None)
        if company is not None and how is first:
            await self.line.company(company.dials or how.number, company.callers)
        await self.line.dial(how)

    async def _staff(self, what: Staff) -> None:
        try:
            await self.line.staff(what)
        except Refused as refused:
            if what.refused is None or what.refused not in str(refused):
                raise
        else:
            if what.refused is not None:
                raise Unmet(f"'{what.does}' was to be refused, and was not")

    async def _press(self, keys: str) -> None:
        for count, key in enumerate(keys):
            if count:
                await self.line.wait(BETWEEN_KEYS_S)
            await self.line.press(key)

    async def _meet(self, expects: Expects) -> None:
        await self._hear(expects)
        self._look_back(expects)
        if wanted := dict(_call_fields(expects)):
            await self._until(
                self.line.call, lambda call: _has(call, wanted), f"a call with {_said(wanted)}", expects
            )
        if expects.sms is not None:
            text = expects.sms
            await self._until(
                self.line.texts, lambda texts: text in (texts or [""])[-1], f"a text with '{text}'", expects
            )
        if expects.sms_count is not None:
            count = expects.sms_count
            await self._until(
                self.line.texts, lambda texts: len(texts) == count, f"{count} text(s) on the phone", expects
            )
        if expects.ticket is not None:
            ticket = expects.ticket
            await self._until(
                self.line.ticket, lambda t: _fits(t, ticket), f"a ticket with {_said_of(ticket)}", expects
            )
        for name, state in expects.agents.items():
            await self._until(
                lambda name=name: self.line.agent(name),
                lambda agent, state=state: agent["state"] == state,
                f"agent {name} {state}",
                expects,
            )

    async def _hear(self, expects: Expects) -> None:
        if expects.prompt is not None:
            await self._wait_for(f"prompt '{expects.prompt}'", is_prompt(expects.prompt), expects)
        if expects.sound is not None:
            await self._wait_for(expects.sound, lambda sound: sound == expects.sound, expects)

    async def _wait_for(self, what: str, wanted: Callable[[str], bool], expects: Expects) -> None:
        try:
            await self.line.hears(wanted, within_s=expects.within, whole=expects.whole)
        except NotHeard:
            end = " to its end" if expects.whole else ""
            raise Unmet(f"{what}{end} was not heard within {expects.within:g} s") from None

    def _look_back(self, expects: Expects) -> None:
        heard = self.line.heard()
        if expects.not_heard is not None and any(map(is_prompt(expects.not_heard), heard)):
            raise Unmet(f"prompt '{expects.not_heard}' was heard")
        if expects.heard is not None:
            count = sum(map(is_prompt(expects.heard), heard))
            if count != expects.times if expects.times is not None else not count:
                wanted = f" {expects.times} times" if expects.times is not None else ""
                raise Unmet(f"prompt '{expects.heard}' was to be heard{wanted}, and was {count} times")
        silence = self.line.longest_silence_s()
        if expects.silence_below is not None and silence >= expects.silence_below:
            raise Unmet(f"there was silence for {silence:.1f} s")

    async def _until(
        self, look: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str, expects: Expects
    ) -> None:
        """Look again and again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + expects.within
        while not good(seen := await look()):
            if loop.time() > deadline:
                raise Unmet(f"not within {expects.within:g} s: {what}; there is {_seen(seen)}")
            await self.line.wait(LOOK_AGAIN_S)


def _call_fields(expects: Expects) -> Iterator[tuple[str, object]]:
    for name in _AS_SAID:
        value = getattr(expects, name)
        if value is not None:
            yield name, value
    if expects.consent is not None:
        yield "wait_time_sms_status", None if expects.consent == "none" else expects.consent
    if expects.end is not None:
        yield "end_reason", expects.end
    if expects.dialled_back is not None:
        yield "dialled back", expects.dialled_back
    if expects.talk is not None:
        yield from expects.talk.model_dump(exclude_none=True).items()


def _has(call: Item | None, wanted: Item) -> bool:
    if call is None:
        return False
    callback: Item | None = call["callback"]
    seen: Item = call | _talk_of(call) | {"dialled back": callback and callback["attempts"]}
    return all(seen[name] == value for name, value in wanted.items())


def _talk_of(call: Item) -> Item:
    """As scripts say it."""
    talk: Item = call["talk"] or dict.fromkeys(TalkExpected.model_fields)
    third, listener = talk["third_party"], talk["listener"]
    return talk | {
        "third_party": third["stage"] if third else "none",
        "listener": "none" if not listener else listener["mode"] if listener["there"] else "ringing",
    }


def _fits(ticket: Item | None, expected: TicketExpected) -> bool:
    if ticket is None:
        return False
    texts = [comment["text"] for comment in ticket["comments"]]
    return (
        _as_many(len(texts), expected.comments, expected.exactly)
        and _as_many(len(ticket["files"]), expected.files, expected.exactly)
        and (expected.text is None or any(expected.text in text for text in texts))
    )


def _as_many(there: int, wanted: int | None, exactly: bool) -> bool:
    return wanted is None or there == wanted or (there > wanted and not exactly)


def _said(wanted: Item) -> str:
    return ", ".join(f"{name} {value}" for name, value in wanted.items())


def _said_of(ticket: TicketExpected) -> str:
    return _said(ticket.model_dump(exclude_defaults=True)) or "anything"


def _seen(seen: object) -> str:
    """What was there instead, short: of an item what a script can expect of it."""
    if not isinstance(seen, dict):
        return str(seen)[:300]
    shown = {**dict.fromkeys(_AS_SAID), "wait_time_sms_status": None, "end_reason": None, "comments": None}
    return _said({name: value for name, value in seen.items() if name in shown})[:400] or "none"  # pyright: ignore


def _story(line: Line) -> str:
    heard = list(line.heard())
    return " → ".join(heard[-12:]) or "nothing"
