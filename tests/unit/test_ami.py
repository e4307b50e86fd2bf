"""The watch over trunks against a manager interface of our own, which also misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from ivr_engine.asterisk.ami import AmiSettings, TrunkWatch
from ivr_engine.domain.trunks import TrunkState, judged

SOON_S = 5.0
WITHIN_S = 0.2


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class FakeAmi:
    """Answers like Asterisk: ``registrations`` and ``devices`` by name, ``mood`` for what goes wrong."""

    registrations: dict[str, str] = field(default_factory=dict[str, str])
    devices: dict[str, str] = field(default_factory=dict[str, str])
    mood: str = ""
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
                if self.mood == "hang":
                    continue
                if self.mood == "close":
                    break
                if self.mood == "garbage":
                    writer.write(
                        b"\xff\x00Event\r\n\r\nResponse: \xfe\r\n\r\nEvent: a\r\nEvent: b\r\n\r\n" * 9
                    )
                elif self.mood == "endless":
                    writer.write(b"x" * 1_200_000)
                else:
                    writer.write(self._answer(action).encode())
                await writer.drain()
        writer.close()

    def _answer(self, action: dict[str, str]) -> str:
        ours = f"ActionID: {action['ActionID']}\r\n"
        if action["Action"] == "Login":
            good = action["Secret"] == "hush"
            text = "Success\r\nMessage: Authentication accepted" if good else "Error\r\nMessage: no"
            return f"Response: {text}\r\n{ours}\r\n"
        if action["Action"] == "DeviceStateList":
            kind, end = "DeviceStateChange", "DeviceStateListComplete"
            lines = [f"Device: PJSIP/{name}\r\nState: {state}" for name, state in self.devices.items()]
        else:
            kind, end = "OutboundRegistrationDetail", "OutboundRegistrationDetailComplete"
            lines = [f"ObjectName: {name}\r\nStatus: {how}" for name, how in self.registrations.items()]
        events = "".join(f"Event: {kind}\r\n{ours}{line}\r\n\r\n" for line in lines)
        head = f"Response: Success\r\n{ours}EventList: start\r\nMessage: Following are Events\r\n\r\n"
        return f"{head}{events}Event: {end}\r\n{ours}EventList: Complete\r\n\r\n"

    def tell(self, event: str) -> None:
        self.writers[-1].write(f"Event: {event}\r\nStatus: x\r\n\r\n".encode())

    def drop(self) -> None:
        self.writers[-1].transport.abort()


@asynccontextmanager
async def watching(
    ami: FakeAmi, *, password: str = "hush", interval_s: float = 60
) -> AsyncGenerator[TrunkWatch]:
    server = await asyncio.start_server(ami.serve, "127.0.0.1", 0)
    settings = AmiSettings(
        port=server.sockets[0].getsockname()[1],
        user="ivr",
        password=password,
        trunks=("sipgate", "pbx"),
        deadline_s=WITHIN_S,
        interval_s=interval_s,
        retry_s=0.01,
    )
    watch = TrunkWatch(settings, Noon())
    task = asyncio.create_task(watch.run())
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


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # between two looks at real sockets


def states(watch: TrunkWatch) -> dict[str, str]:
    return {trunk.name: str(trunk.state) for trunk in watch.trunks()}


WELL = {"sipgate": "up", "pbx": "up"}
UNSEEN = {"sipgate": "unknown", "pbx": "unknown"}


def good() -> FakeAmi:
    return FakeAmi({"sipgate": "Registered"}, {"sipgate": "NOT_INUSE", "pbx": "INUSE"})


async def test_trunks_go_down_and_come_back() -> None:
    ami = good()
    with capture_logs() as lines:
        async with watching(ami) as watch:
            await until(lambda: states(watch) == WELL)
            assert watch.up() == {"sipgate": True, "pbx": True}
            ami.registrations["sipgate"] = "Rejected"
            ami.tell("Registry")
            await until(lambda: states(watch)["sipgate"] == "down")
            assert watch.up() == {"sipgate": False, "pbx": True}
            assert "Rejected" in watch.trunks()[0].why
            ami.registrations["sipgate"] = "Registered"
            ami.devices["pbx"] = "UNAVAILABLE"
            ami.tell("ContactStatus")
            await until(lambda: states(watch) == {"sipgate": "up", "pbx": "down"})
            assert ami.connections == 1
    said = [(line["event"], line["trunk"]) for line in lines if line["event"].startswith("trunk.")]
    assert said[2:] == [("trunk.down", "sipgate"), ("trunk.up", "sipgate"), ("trunk.down", "pbx")]


async def test_without_events_it_is_asked_again() -> None:
    ami = good()
    async with watching(ami, interval_s=0.02) as watch:
        await until(lambda: states(watch) == WELL)
        ami.devices.clear()
        await until(lambda: states(watch)["pbx"] == "down")
        assert "knows no endpoint" in watch.trunks()[1].why


@pytest.mark.parametrize("mood", ["hang", "close", "garbage", "endless"])
async def test_whatever_the_other_side_does_it_is_asked_anew(mood: str) -> None:
    ami = good()
    async with watching(ami, interval_s=0.02) as watch:
        await until(lambda: states(watch) == WELL)
        ami.mood = mood
        await until(lambda: states(watch) == UNSEEN)
        assert watch.up() == {}
        before = ami.connections
        await until(lambda: ami.connections > before)
        ami.mood = ""
        await until(lambda: states(watch) == WELL)


async def test_a_lost_connection_is_noticed_at_once() -> None:
    ami = good()
    async with watching(ami) as watch:
        await until(lambda: states(watch) == WELL)
        ami.drop()
        await until(lambda: ami.connections == 2)
        await until(lambda: states(watch) == WELL)


async def test_a_wrong_password_is_said_once_and_never_shown() -> None:
    ami = good()
    with capture_logs() as lines:
        async with watching(ami, password="wrong-secret") as watch:
            await until(lambda: ami.connections > 3)
            assert states(watch) == UNSEEN
    said = [line for line in lines if line["event"] == "trunks.unseen"]
    assert len(said) == 1
    assert "refuses the user 'ivr'" in said[0]["error"]
    assert "wrong-secret" not in str(lines)


async def test_nobody_there_is_waited_for() -> None:
    settings = AmiSettings(port=1, user="ivr", password="x", trunks=("pbx",), retry_s=0.01)
    watch = TrunkWatch(settings, Noon())
    waiting: Awaitable[None] = watch.run()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, 0.1)
    assert watch.trunks()[0].state is TrunkState.UNKNOWN


@pytest.mark.parametrize(
    ("registrations", "device", "state"),
    [
        (["Registered"], None, "up"),
        (["Registered"], "NOT_INUSE", "up"),
        (["Registered"], "UNAVAILABLE", "down"),
        (["Registered", "Rejected"], "NOT_INUSE", "down"),
        ([], "INUSE", "up"),
        ([], "INVALID", "down"),
        ([], None, "down"),
    ],
)
def test_what_the_statuses_mean(registrations: list[str], device: str | None, state: str) -> None:
    assert judged(registrations, device)[0] == state
