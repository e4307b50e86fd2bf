"""The promises of ``ports.Leg``, kept over FastAGI in the dialplan of a real Asterisk.

All scenarios are played at the same time, each with a caller and a script of its own; each is then a test.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from ivr_engine.asterisk.agi import FastAgi
from ivr_engine.asterisk.agi_settings import AgiSettings
from ivr_engine.domain.dialplan import VisitOutcome, VisitStatus
from ivr_engine.errors import CallEnded
from ivr_engine.ports import Arrival, Leg, Prompt, Recordings, Snapshot, Telephony
from ivr_engine.ports.pbx import Visit
from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.process import Server
from ivr_engine.sipp.sounds import Library
from scripts.stack import Asterisk
from scripts.stack.asterisk import FOLDERS
from tests.contract.test_leg import Caller, Phone, VerbsContract, World
from tests.integration.pbx import Pbx, pbx
from tests.integration.test_leg_ari import SippCaller, tone
from tests.sipp.scenarios import file

TOGETHER_S = 60.0
STAGGER_S = 0.05
CALLER = "+4915112345678"
DIALPLAN = """
exten => _[+0-9]!,1,Set(IVR_NUMBER=${{EXTEN}})
 same => n,Answer()
 same => n,Playback(ivr/tone-0.5)
 same => n,AGI(agi://127.0.0.1:{port}/wait-sms?queue=${{CALLERID(num):-4}}&number=700)
 same => n,Wait(60)
"""
"""The caller hears something first, so that SIPp knows where to send keys. Their last digits say which
scenario they are in."""

Scenario = Callable[[World], Awaitable[None]]


class NoRooms:
    """Who is in another dialplan is put nowhere."""

    async def park(self, leg: Leg, _music: str) -> None:
        await leg.until(asyncio.sleep(0))


@dataclass
class AgiWorld:
    tolerance_s = 1.0
    late_s = 2.0

    which: str
    asterisk: Asterisk
    folder: Path
    stack: AsyncExitStack
    calls: int = 0
    visits: asyncio.Queue[Visit] = field(default_factory=asyncio.Queue[Visit])
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def telephony(self) -> Telephony:
        return cast("Telephony", NoRooms())

    @property
    def recordings(self) -> Recordings:
        raise NotImplementedError

    def prompt(self, seconds: float) -> Prompt:
        return Prompt(f"tone-{seconds:g}", f"sound:ivr/tone-{seconds:g}", seconds)

    def missing_prompt(self) -> Prompt:
        return Prompt("missing", "sound:ivr/no-such-file", 1.0)

    async def call(self) -> tuple[Caller, Arrival]:
        self.folder.mkdir(exist_ok=True)
        call = await self.stack.enter_async_context(
            sipp.calls(
                file("led"),
                Server(self.asterisk.sip_port),
                number="700",
                callers=[f"+491511234{self.which}"],
                library=Library(),
                folder=self.folder,
            )
        )
        async with asyncio.timeout(20):
            visit = await self.visits.get()
        return SippCaller(call), Arrival(leg=visit.leg, caller=visit.caller, number=visit.number)

    async def phone(self, behaviour: str) -> Phone:
        raise NotImplementedError

    async def restart(self) -> Snapshot:
        raise NotImplementedError

    async def watchdog_moves(self, channel_id: str) -> None:
        unique = channel_id.partition("/")[2]
        cli = self.asterisk.cli
        for line in (await asyncio.to_thread(cli, "core show channels concise")).splitlines():
            if line.endswith(unique):
                where = f"{line.partition('!')[0]} ivr-in,away,1"
                await asyncio.to_thread(cli, f"channel redirect {where}")


class AgiContract(VerbsContract):
    def test_a_key_between_two_questions_counts_for_the_next_that_goes_on(self, rig: Any) -> None:
        """AGI forgets it: the gap is as long as one transaction, shorter than a key is pressed."""

    def test_a_caller_moved_to_the_fallback_by_others_is_not_gone(self, rig: Any) -> None:
        """AGI says of one who is sent elsewhere what it says of one who hung up."""

        async def scenario(world: World) -> None:
            _, arrival = await world.call()
            await arrival.leg.answer()
            moving = asyncio.ensure_future(world.watchdog_moves(arrival.leg.id))
            with pytest.raises(CallEnded):
                await arrival.leg.until(asyncio.sleep(10))
            await moving

        rig.run(scenario)


def _scenarios() -> Mapping[str, Scenario]:
    """Every test of the contract, with each of its parameters, as what it would run."""
    found: dict[str, Scenario] = {}

    class Collects:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, scenario: Scenario) -> None:
            found[self.name] = scenario

    for name in dir(AgiContract):
        if name.startswith("test_"):
            test = getattr(AgiContract(), name)
            for given in _parameters(test):
                test(rig=Collects("-".join((name.removeprefix("test_"), *given.values()))), **given)
    return found


def _parameters(test: Any) -> Iterator[dict[str, str]]:
    marks = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for values in itertools.product(*(values for _, values in marks)):
        yield dict(zip((name for name, _ in marks), values, strict=True))


SCENARIOS = _scenarios()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, BaseException | None]:
    folder = tmp_path_factory.mktemp("pbx")
    with pbx(folder, "") as own:
        for seconds in (0.5, 2, 10):
            tone(own.asterisk.sounds_dir / f"tone-{seconds:g}.wav", seconds)
        return asyncio.run(_play_all(own, folder))


@pytest.mark.parametrize("name", SCENARIOS)
def test_leg(outcomes: Mapping[str, BaseException | None], name: str) -> None:
    error = outcomes[name]
    if error is not None:
        raise error


async def _play_all(own: Pbx, folder: Path) -> Mapping[str, BaseException | None]:
    worlds: dict[str, AgiWorld] = {}

    async def receive(visit: Visit) -> VisitOutcome:
        world = worlds[visit.queue]
        world.visits.put_nowait(visit)
        await world.over.wait()
        return VisitOutcome(status=VisitStatus.DENIED)

    async def play(number: int, scenario: Scenario) -> None:
        which = f"{number:04}"
        await asyncio.sleep(number * STAGGER_S)
        async with AsyncExitStack() as stack, asyncio.timeout(TOGETHER_S):
            world = worlds[which] = AgiWorld(which, own.asterisk, folder / which, stack)
            try:
                await scenario(world)
            finally:
                world.over.set()

    # A whole path here; the tests of the engine have the short name.
    server = FastAgi(AgiSettings(port=0, sounds=f"{FOLDERS['data']}/sounds/ivr/"), receive)
    serving = asyncio.create_task(server.run())
    while not server.port:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    own.dialplan(DIALPLAN.format(port=server.port) + "exten => away,1,Wait(60)\n")
    ended = await asyncio.gather(
        *(play(number, scenario) for number, scenario in enumerate(SCENARIOS.values())),
        return_exceptions=True,
    )
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return dict(zip(SCENARIOS, ended, strict=True))
