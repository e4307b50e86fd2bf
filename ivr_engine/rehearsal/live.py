"""Caller scripts on a real Asterisk: SIPp does the SIP, ears hear and press keys, the API tells the rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ivr_engine.errors import IvrError, Refused
from ivr_engine.rehearsal.line import NO_CALL, Item, NotHeard
from ivr_engine.rehearsal.pictures import PICTURE
from ivr_engine.rehearsal.player import Outcome, play
from ivr_engine.rehearsal.script import HIDDEN, Dialling, Phone, Script, Sent
from ivr_engine.rehearsal.script_files import ScriptFile
from ivr_engine.rehearsal.staff import Staff
from ivr_engine.rehearsal.voices import AGENT_VOICE, CALLER_VOICE, QUIET
from ivr_engine.rehearsal.written_prompts import seconds_to_say
from ivr_engine.sipp import ears, process, scenarios
from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE, Ear
from ivr_engine.sipp.process import Server, Sipp
from ivr_engine.sipp.sounds import Library
from ivr_engine.site.models import Site

API: Final = "/api/v1"

SLACK_S: Final = 5.0
"""A busy machine may be so much later than written."""

RELEASED_S: Final = 10.0
"""Within this an agent whose caller has hung up is free."""


class Asked(Protocol):
    """The running engine's API; blocking."""

    def get(self, path: str, **query: str | int | None) -> Item: ...

    def post(self, path: str, body: Item | None = None) -> Item: ...

    def send(
        self, path: str, fields: Mapping[str, str], pictures: Sequence[tuple[str, bytes, str]]
    ) -> Item: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running engine with its Asterisk. ``folder``: for what SIPp writes."""

    site: Site
    server: Server
    api: Asked
    library: Library
    folder: Path


async def play_live(file: ScriptFile, system: System) -> Outcome:
    """One script. Its agents must be signed out, and nobody else may use its queues."""
    outcome: Outcome | None = None
    try:
        async with _line(system, file.script) as line:
            outcome = await play(file, line)
    except IvrError:
        # What goes wrong on leaving is often but what came of the step that went wrong.
        if outcome is None or outcome.failure is None:
            raise
    return outcome


@asynccontextmanager
async def _line(system: System, script: Script) -> AsyncGenerator[LiveLine]:
    async with AsyncExitStack() as opened:
        line = LiveLine(system, script, opened)
        for name, phone in script.phones.items():
            await line.open_phone(name, phone)
        if script.is_called_back:
            await line.open_own_phone()
        try:
            yield line
        finally:
            await line.leave()


class LiveLine:
    """``Line`` on a real Asterisk."""

    def __init__(self, system: System, script: Script, opened: AsyncExitStack) -> None:
        self._system = system
        self._opened = opened
        self._hidden = script.caller == HIDDEN
        given = None if self._hidden else script.caller
        self._number = given or f"+49151{random.randrange(10_000_000, 99_999_999)}"  # noqa: S311
        self._dialled = ""
        self._call: Sipp | None = None
        self._call_id = ""
        self._rings = script.rings
        self._picked_up = 0
        self._others: Sipp | None = None
        self._own: Sipp | None = None
        self._at_work: list[str] = []

    async def open_phone(self, name: str, phone: Phone) -> None:
        """A number outside rings at the account that stands in for the trunk."""
        if phone.does == "is_gone":
            return
        account = name if name in self._system.site.agents else self._trunk_account()
        for ear in (await self._open(account, phone)).ears:
            ear.speaks(AGENT_VOICE)

    async def open_own_phone(self) -> None:
        """Of a caller who is called back: a number outside as well."""
        self._own = await self._open(self._trunk_account(), Phone(does="answers"))
        for ear in self._own.ears:
            ear.speaks(QUIET)

    async def _open(self, account: str, phone: Phone) -> Sipp:
        details = await asyncio.to_thread(self._system.api.get, f"{API}/agents/{account}/phone")
        scenario = self._scenario(f"phone-{account}", scenarios.agent(_agent_does(phone)))
        ringing = process.phone(
            scenario,
            self._system.server,
            account=account,
            password=details["password"],
            library=self._system.library,
            folder=self._system.folder,
            calls=self._rings,
        )
        return await self._opened.enter_async_context(ringing)

    async def leave(self) -> None:
        await self.hang_up()
        if self._others is not None:
            self._others.hang_up_all()
        for agent in self._at_work:
            await self._sign_out_when_free(agent)

    # ── what the caller does ─────────────────────────────────────────────────────────────────────

    async def company(self, number: str, size: int) -> None:
        others = [f"+49152{random.randrange(10_000_000, 99_999_999)}" for _ in range(size)]  # noqa: S311
        self._others = calls = await self._opened.enter_async_context(self._calls(number, others))
        for each in range(size):
            await calls.logs("answered", call_id=calls.call_id(each + 1))
            await calls.ears[each].hears(MUSIC)

    async def dial(self, how: Dialling) -> None:
        if how.trunk is not None:
            raise Refused("through which trunk a call comes is Asterisk's to say: play it with `script run`")
        self._dialled = how.number
        signalled = "anonymous" if self._hidden else self._number
        self._call = await self._opened.enter_async_context(self._calls(how.number, [signalled], how.headers))
        self._call_id = self._call.call_id(1)
        self._ear.speaks(QUIET)

    async def press(self, key: str) -> None:
        await self._ear.presses(key)

    async def say(self, words: str) -> None:
        self._ear.speaks(CALLER_VOICE)
        await asyncio.sleep(seconds_to_say(words))
        self._ear.speaks(QUIET)

    async def hang_up(self) -> None:
        if self._call is not None:
            self._call.hang_up(self._call_id)

    async def pick_up(self, *, within_s: float) -> None:
        if self._own is None:
            raise NotHeard("this caller has no phone to be called back at")
        try:
            answered = await self._own.logs("answered", within=within_s + SLACK_S, times=self._picked_up + 1)
        except process.SippFailed:
            raise NotHeard(f"the caller's phone did not ring within {within_s:g} s") from None
        self._call, self._call_id = self._own, answered.call_id
        self._picked_up += 1

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def write(self, text: str, *, picture: bool) -> None:
        pictures = [("picture.png", PICTURE, "image/png")] if picture else []
        path = f"{API}/handset/{self._number}/messages"
        to = {} if await self.texts() else {"to": self._system.site.sms.sender}
        await asyncio.to_thread(self._system.api.send, path, {"text": text} | to, pictures)

    async def agent_sends(self, what: Sent) -> None:
        call = await self.call()
        if call is None:
            raise NotHeard(NO_CALL)
        path = f"{API}/calls/{call['id']}/sms"
        await asyncio.to_thread(self._system.api.post, path, what.model_dump(exclude_none=True))

    async def staff(self, what: Staff) -> None:
        call = await self.call() if what.on_call else None
        if what.on_call and call is None:
            raise NotHeard(NO_CALL)
        path = API + what.path(call["id"] if call else "")
        await asyncio.to_thread(self._system.api.post, path, what.body())

    async def sign_in(self, agent: str) -> None:
        self._at_work.append(agent)
        await asyncio.to_thread(self._system.api.post, f"{API}/agents/{agent}/sign-in")

    async def sign_out(self, agent: str) -> None:
        await asyncio.to_thread(self._system.api.post, f"{API}/agents/{agent}/sign-out")
        self._at_work.remove(agent)

    # ── what the caller hears ────────────────────────────────────────────────────────────────────

    async def hears(self, wanted: Callable[[str], bool], *, within_s: float, whole: bool) -> None:
        kinds = {"music": (MUSIC,), "silence": (SILENCE, NOTHING), "agent": (AGENT_VOICE,)}
        names = [name for name in self._system.library.clips if wanted(name)]
        names += [name for sound, those in kinds.items() if wanted(sound) for name in those]
        if AGENT_VOICE in names:
            self._ear.speaks(CALLER_VOICE)  # a phone speaks to whom it hears
        try:
            await self._ear.hears(*names, within=within_s + SLACK_S, whole=whole)
        except ears.NotHeard as error:
            raise NotHeard(str(error)) from None

    def heard(self) -> Sequence[str]:
        if self._call is None:
            return []
        said = {str(MUSIC): "music", str(SILENCE): "silence", str(NOTHING): "silence", AGENT_VOICE: "agent"}
        return [said.get(label, label) for label in self._ear.heard()]

    def longest_silence_s(self) -> float:
        return self._ear.longest(SILENCE, NOTHING)

    # ── what the API shows ───────────────────────────────────────────────────────────────────────

    async def call(self) -> Item | None:
        caller = None if self._hidden else self._number
        found = await asyncio.to_thread(self._system.api.get, f"{API}/calls", caller=caller)
        mine = [c for c in found["items"] if c["number"] == self._dialled]
        if self._hidden:
            mine = [c for c in mine if c["caller"] is None]
        return mine[0] if mine else None

    async def texts(self) -> Sequence[str]:
        found = await asyncio.to_thread(self._system.api.get, f"{API}/handset/{self._number}/messages")
        return [text["text"] for text in found["items"]]

    async def ticket(self) -> Item | None:
        found = await asyncio.to_thread(self._system.api.get, f"{API}/tickets", caller=self._number)
        return found["items"][0] if found["items"] else None

    async def agent(self, name: str) -> Item:
        return await asyncio.to_thread(self._system.api.get, f"{API}/agents/{name}")

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _ear(self) -> Ear:
        if self._call is None:
            raise NotHeard("nobody has dialled yet")
        return self._call.ears[self._picked_up - 1 if self._call is self._own else 0]

    def _calls(  # noqa: ANN202  a context manager, as process.calls
        self, number: str, callers: Sequence[str], headers: Mapping[str, str] | None = None
    ):
        return process.calls(
            self._scenario("caller", scenarios.caller(scenarios.LED, headers=headers)),
            self._system.server,
            number=number,
            callers=callers,
            library=self._system.library,
            folder=self._system.folder,
        )

    def _scenario(self, name: str, text: str) -> Path:
        file = self._system.folder / f"{name}-{random.getrandbits(32):08x}.xml"
        file.write_text(text)
        return file

    def _trunk_account(self) -> str:
        transfers = self._system.site.transfers
        if transfers is None or transfers.trunk not in self._system.site.agents:
            raise Refused(
                "a number outside rings only where 'transfers.trunk' names an agent's account, which then "
                "stands in for the trunk"
            )
        return transfers.trunk

    async def _sign_out_when_free(self, agent: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RELEASED_S
        while True:
            try:
                # Refused while a call is at hand; whoever is free may be offered the next one any moment.
                await asyncio.to_thread(self._system.api.post, f"{API}/agents/{agent}/sign-out")
            except Refused:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


def _agent_does(phone: Phone) -> scenarios.AgentDoes:
    ring_ms = round(phone.after * 1000)
    match phone.does:
        case "answers":
            talk_ms = scenarios.LONG_MS if phone.talks is None else round(phone.talks * 1000)
            return scenarios.AgentDoes("answers", "200 OK", ring_ms=max(1, ring_ms), talk_ms=talk_ms)
        case "declines":
            return scenarios.AgentDoes("declines", "603 Decline", ring_ms=max(1, ring_ms))
        case "is_busy":
            return scenarios.AgentDoes("is busy", "486 Busy Here", ring_ms=0)
        case "does_not_answer" | "is_gone":
            return scenarios.AgentDoes("does not answer", None, ring_ms=scenarios.LONG_MS)
