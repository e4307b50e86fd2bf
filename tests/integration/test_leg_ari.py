"""The promises of ``ports.Leg`` and ``ports.Telephony``, kept by ARI on a real Asterisk."""

from __future__ import annotations

import array
import asyncio
import math
import sys
import wave
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from ivr_engine.ports import Arrival, PhoneAccount, Prompt, Recordings, Snapshot, Telephony
from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.process import Server, Sipp
from ivr_engine.sipp.sounds import Library
from scripts.stack import Asterisk
from tests.contract.test_leg import Caller, LegContract, Phone, Rig, World
from tests.integration.test_ari_calls import CALLER, Engine, engine
from tests.sipp.scenarios import file

SCENARIO_S = 45.0
RATE = 8000
LENGTHS_S = (0.5, 2, 10)
SCENARIOS = {
    "answers": "agent-answers",
    "busy": "agent-busy",
    "declines": "agent-declines",
    "silent": "agent-no-answer",
}


class SippCaller:
    def __init__(self, call: Sipp) -> None:
        self._call = call

    async def press(self, key: str) -> None:
        """Returns when the key has been sent."""
        await self._call.ears[0].presses(key)

    async def hang_up(self) -> None:
        await self._call.logs("answered")
        self._call.cue(self._call.call_id(1))

    async def connected(self) -> bool:
        ends = {"hangs-up", "hung-up-on"} & {line.what for line in self._call.log()}
        return not ends and self._call.process.returncode is None


class AriCaller(SippCaller):
    def __init__(self, call: Sipp, world: AriWorld) -> None:
        super().__init__(call)
        self._world = world

    async def press(self, key: str) -> None:
        """Returns when the engine has been told."""
        await self._world.engine.told_of_key(super().press(key))


class SippPhone:
    def __init__(self, name: str, phone: Sipp | None) -> None:
        self.name = name
        self._phone = phone

    async def ringing(self) -> bool:
        lines = self._phone.log() if self._phone else []
        return bool(lines) and lines[-1].what == "rings" and await self._still_there()

    async def _still_there(self) -> bool:
        return self._phone is not None and self._phone.process.returncode is None

    async def hang_up(self) -> None:
        assert self._phone is not None
        answered = await self._phone.logs("answered")
        self._phone.cue(answered.call_id)


class AriWorld:
    tolerance_s = 1.0
    late_s = 2.0

    def __init__(self, asterisk: Asterisk, folder: Path, stack: AsyncExitStack) -> None:
        self._asterisk = asterisk
        self._folder = folder
        self._stack = stack
        self._server = Server(asterisk.sip_port)
        self._name = f"ivr-{uuid4().hex[:6]}"
        self._library = Library()
        self.engine: Engine
        self._life = AsyncExitStack()

    async def start(self) -> None:
        self._life = AsyncExitStack()
        self.engine = await self._life.enter_async_context(engine(self._asterisk, self._name))

    async def stop(self) -> None:
        left = await self.telephony.snapshot()
        for channel in left.mine:
            await self.telephony.end_leg(channel)
        for bridge in left.bridges:
            if "-music-" not in bridge:
                await self.telephony.end_bridge(bridge)
        await self._life.aclose()

    async def restart(self) -> Snapshot:
        await self._life.aclose()
        await self.start()
        return self.engine.snapshots[0]

    async def watchdog_moves(self, channel_id: str) -> None:
        url = f"{self._asterisk.ari_url}/channels/{channel_id}/continue"
        where = {"context": "ivr-fallback", "extension": "s", "priority": "1"}
        login = aiohttp.encode_basic_auth(self._asterisk.ari_user, self._asterisk.ari_password)
        headers = {"Authorization": login}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(url, params=where) as answer:
            assert answer.status == 204

    @property
    def telephony(self) -> Telephony:
        return self.engine.telephony

    @property
    def recordings(self) -> Recordings:
        return self.engine.telephony.recordings

    def prompt(self, seconds: float) -> Prompt:
        name = f"tone-{seconds:g}"
        file = self._asterisk.sounds_dir / f"{name}.wav"
        if not file.exists():
            tone(file, seconds)
        return Prompt(name, f"sound:ivr/{name}", seconds)

    def missing_prompt(self) -> Prompt:
        return Prompt("missing", "sound:ivr/no-such-file", 1.0)

    async def call(self) -> tuple[Caller, Arrival]:
        call = await self._stack.enter_async_context(
            sipp.calls(
                file("led"),
                self._server,
                number="700",
                callers=[CALLER],
                library=self._library,
                folder=self._folder,
            )
        )
        try:
            return AriCaller(call, self), await self.engine.arrives()
        except TimeoutError:
            raise AssertionError(f"nobody arrived; the caller: {call.log()} {call.errors()}") from None

    async def phone(self, behaviour: str) -> Phone:
        account = PhoneAccount(f"phone-{uuid4().hex[:6]}", "secret")
        await self.telephony.put_account(account)
        if behaviour == "absent":
            return SippPhone(account.name, None)
        phone = await self._stack.enter_async_context(
            sipp.phone(
                file(SCENARIOS[behaviour]),
                self._server,
                account=account.name,
                password=account.password,
                library=self._library,
                folder=self._folder,
            )
        )
        return SippPhone(account.name, phone)


def tone(file: Path, seconds: float) -> None:
    """16-bit PCM, little-endian as WAV wants it."""
    tone = (round(8000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(round(RATE * seconds)))
    samples = array.array("h", tone)
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


class AriRig:
    def __init__(self, asterisk: Asterisk, folder: Path) -> None:
        self._asterisk = asterisk
        self._folder = folder

    def run(self, scenario: Callable[[World], Awaitable[None]]) -> None:
        async def in_fresh_world() -> None:
            async with asyncio.timeout(SCENARIO_S), AsyncExitStack() as stack:
                world = AriWorld(self._asterisk, self._folder, stack)
                await world.start()
                try:
                    await scenario(world)
                finally:
                    await world.stop()

        asyncio.run(in_fresh_world())


class TestAri(LegContract):
    @pytest.fixture
    def rig(self, asterisk: Asterisk, tmp_path: Path) -> Rig:
        return AriRig(asterisk, tmp_path)
