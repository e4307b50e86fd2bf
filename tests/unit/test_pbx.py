"""The watch over a PBX's calls and queues against a manager interface of our own, which also misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from ivr_engine.asterisk import pbx
from ivr_engine.asterisk.ami_connection import AmiAccount
from ivr_engine.asterisk.pbx import PbxWatch
from ivr_engine.domain.dialplan import AppQueue
from tests.unit.test_ami import FakeAmi, until


@dataclass
class FakePbxAmi(FakeAmi):
    channels: list[str] = field(default_factory=list[str])
    queues: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def _answer(self, action: dict[str, str]) -> str:
        self.asked.append(action)
        ours = f"ActionID: {action['ActionID']}\r\n"
        match action["Action"]:
            case "CoreShowChannels":
                kind, lines = "CoreShowChannel", [f"Uniqueid: {one}" for one in self.channels]
            case "QueueSummary":
                kind = "QueueSummary"
                lines = [text for name, text in self.queues.items() if name == action["Queue"]]
            case "Ping":
                return f"Response: Success\r\n{ours}Ping: Pong\r\n\r\n"
            case _:
                return super()._answer(action)
        events = "".join(f"Event: {kind}\r\n{ours}{line}\r\n\r\n" for line in lines)
        head = f"Response: Success\r\n{ours}EventList: start\r\nMessage: will follow\r\n\r\n"
        return f"{head}{events}Event: {kind}Complete\r\n{ours}EventList: Complete\r\n\r\n"

    def says(self, event: str, unique_id: str, more: str = "") -> None:
        self.writers[-1].write(f"Event: {event}\r\nUniqueid: {unique_id}\r\n{more}\r\n".encode())


@dataclass
class Calls:
    """``ports.PbxCalls``: what it was told."""

    there: list[frozenset[str]] = field(default_factory=list[frozenset[str]])
    gone: list[str] = field(default_factory=list[str])
    taken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def connected(self, channels: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self.there.append(await channels())

    async def answered(self, channel_id: str, by: str) -> None:
        self.taken.append((channel_id, by))

    async def hung_up(self, channel_id: str) -> None:
        self.gone.append(channel_id)


@asynccontextmanager
async def watching(ami: FakePbxAmi, calls: Calls, *, deadline_s: float = 0.2) -> AsyncGenerator[PbxWatch]:
    server = await asyncio.start_server(ami.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    watch = PbxWatch(AmiAccount(port=port, user="ivr", password="hush", deadline_s=deadline_s))
    task = asyncio.create_task(watch.run(calls))
    try:
        yield watch
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        server.close()
        for writer in ami.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pbx, "RETRY_S", 0.01)
    monkeypatch.setattr(pbx, "PING_S", 0.1)


async def test_the_ends_of_those_it_knows_are_told() -> None:
    ami, calls = FakePbxAmi(channels=["1.1", "1.2"]), Calls()
    async with watching(ami, calls) as watch:
        await until(lambda: bool(calls.there))
        assert calls.there == [frozenset({"pbx/1.1", "pbx/1.2"})]
        watch.knows("pbx/1.1")
        ami.says("Hangup", "1.2")
        ami.says("AgentConnect", "1.1", "MemberName: Anna\r\nInterface: PJSIP/anna\r\n")
        ami.says("AgentConnect", "1.1", "Interface: PJSIP/ben\r\n")
        ami.says("Hangup", "1.1")
        await until(lambda: bool(calls.gone))
        assert calls.gone == ["pbx/1.1"]
        assert calls.taken == [("pbx/1.1", "Anna"), ("pbx/1.1", "PJSIP/ben")]


async def test_a_queue_is_asked_for() -> None:
    summary = "Queue: support\r\nLoggedIn: 3\r\nAvailable: 1\r\nCallers: 4\r\nHoldTime: 61\r\nTalkTime: 200"
    odd = "Queue: odd\r\nLoggedIn: x\r\nAvailable: -1\r\nCallers: 99999999999999\r\nHoldTime: "
    ami, calls = FakePbxAmi(queues={"support": summary, "odd": odd}), Calls()
    async with watching(ami, calls) as watch:
        assert await watch.queue("support") is None, "not connected yet"
        await until(lambda: watch.connected)
        assert await watch.queue("support") == AppQueue(waiting=4, agents=3, idle=1, hold_time_s=61)
        assert await watch.queue("odd") == AppQueue(waiting=0, agents=0, idle=0, hold_time_s=0)
        assert await watch.queue("sales") is None
        asked = len(ami.asked)
        assert await watch.queue("x\r\nAction: Originate") is None
        assert await watch.queue("") is None
        assert len(ami.asked) == asked


@pytest.mark.parametrize("mood", ["hang", "close", "garbage", "endless"])
async def test_whatever_the_other_side_does_it_connects_again(mood: str) -> None:
    ami, calls = FakePbxAmi(), Calls()
    async with watching(ami, calls) as watch:
        await until(lambda: watch.connected)
        ami.mood = mood
        assert await watch.queue("support") is None
        await until(lambda: not watch.connected)
        ami.mood = ""
        await until(lambda: watch.connected)
        assert len(calls.there) == ami.connections or mood != "close"


async def test_a_connection_that_falls_silent_is_noticed() -> None:
    ami, calls = FakePbxAmi(), Calls()
    async with watching(ami, calls) as watch:
        await until(lambda: watch.connected)
        ami.mood = "hang"
        await until(lambda: ami.connections > 1)
        assert not watch.connected


async def test_a_connection_lost_is_made_again_and_everything_asked_for() -> None:
    ami, calls = FakePbxAmi(channels=["1.1"]), Calls()
    async with watching(ami, calls) as watch:
        await until(lambda: watch.connected)
        ami.channels = []
        ami.drop()
        await until(lambda: len(calls.there) == 2)
        assert calls.there[1] == frozenset()
