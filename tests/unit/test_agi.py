"""FastAGI against an Asterisk of our own, which also misbehaves; real time, short sounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ivr_engine.asterisk.agi import FastAgi
from ivr_engine.asterisk.agi_request import LONGEST_LINE, AgiRequest, read_headers, understood
from ivr_engine.asterisk.agi_settings import AgiSettings, agi_settings
from ivr_engine.domain.dialplan import AppQueue, VisitOutcome, VisitStatus
from ivr_engine.domain.records import replace
from ivr_engine.errors import CallEnded, CallMoved, ConfigError, Refused, Unreachable
from ivr_engine.ports import Digit, Failed, Finished, Prompt, Timeout
from ivr_engine.ports.pbx import Visit
from tests.unit.fake_agi import HEADERS, FakeAgi

DENIED = VisitOutcome(status=VisitStatus.DENIED, call_id="c1")
LOOPBACK = AgiSettings(port=0, deadline_s=0.5)

Do = Callable[[Visit], Awaitable[Any]]


def prompt(seconds: float) -> Prompt:
    return Prompt("some", f"sound:ivr/seconds-{seconds}", seconds)


@asynccontextmanager
async def listening(
    receive: Callable[[Visit], Awaitable[VisitOutcome]], settings: AgiSettings = LOOPBACK
) -> AsyncGenerator[FastAgi]:
    server = FastAgi(settings, receive)
    task = asyncio.create_task(server.run())
    while not server.port:  # noqa: ASYNC110
        await asyncio.sleep(0)
    try:
        yield server
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def visited(do: Do, asterisk: FakeAgi, settings: AgiSettings = LOOPBACK) -> Any:
    """What ``do`` returned or raised, with the caller in ``asterisk``."""
    results: list[Any] = []

    async def receive(visit: Visit) -> VisitOutcome:
        try:
            results.append(await do(visit))
        except Exception as error:
            results.append(error)
            raise
        return DENIED

    async with asyncio.timeout(10), listening(receive, settings) as server:
        await asterisk.run(server.port)
    return results[0] if results else None


async def after(seconds: float, do: Callable[[], object]) -> None:
    await asyncio.sleep(seconds)
    do()


async def test_the_visit_says_who_calls_and_where_they_are_going() -> None:
    asterisk = FakeAgi()
    seen: list[Visit] = []

    async def look(visit: Visit) -> None:
        seen.append(visit)

    await visited(look, asterisk)
    [visit] = seen
    assert (visit.caller, visit.number, visit.queue, visit.app_queue) == (
        "+4915112345678",
        "700",
        "support",
        "support",
    )
    assert (visit.language, visit.leg.id) == ("en", "pbx/1790000000.1")


async def test_the_answer_stands_in_variables_the_status_last() -> None:
    asterisk = FakeAgi()
    await visited(lambda visit: visit.leg.answer(), asterisk)
    assert asterisk.up
    assert asterisk.variables == {
        "IVR_WAIT_SMS_STATUS": "denied",
        "IVR_WAIT_SMS_REASON": "",
        "IVR_WAIT_SMS_CALL_ID": "c1",
        "IVR_WAIT_SMS_MESSAGE_ID": "",
        "IVR_WAIT_SMS_POSITION": "",
        "IVR_WAIT_SMS_HOLD_TIME": "",
    }
    assert asterisk.commands[-1] == "SET VARIABLE IVR_WAIT_SMS_STATUS denied"


@pytest.mark.parametrize("key", ["1", "0", "*", "#"])
async def test_a_key_stops_the_message_and_is_the_answer(key: str) -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        async with asyncio.TaskGroup() as group:
            group.create_task(after(0.05, lambda: asterisk.press(key)))
            return await visit.leg.gather([prompt(8), prompt(8)], window_s=8)

    assert await visited(ask, asterisk) == Digit(key)


async def test_the_window_is_part_of_the_last_command() -> None:
    asterisk = FakeAgi()
    assert await visited(lambda visit: visit.leg.gather([prompt(0.01)], window_s=0.25), asterisk) == Timeout()
    assert "GET OPTION ivr/seconds-0.01 0123456789*# 250" in asterisk.commands


async def test_a_sound_that_is_missing_is_no_hang_up() -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        lost = Prompt("missing", "sound:ivr/missing", 1.0)
        assert isinstance(await visit.leg.play([lost]), Failed)
        assert isinstance(await visit.leg.gather([lost], window_s=1), Failed)
        return await visit.leg.play([prompt(0.01)])

    assert await visited(ask, asterisk) == Finished()


@pytest.mark.parametrize("verb", ["play", "message", "window", "until"])
async def test_a_hang_up_ends_every_verb(verb: str) -> None:
    asterisk = FakeAgi()
    verbs: dict[str, Do] = {
        "play": lambda visit: visit.leg.play([prompt(8)]),
        "message": lambda visit: visit.leg.gather([prompt(8)], window_s=8),
        "window": lambda visit: visit.leg.gather([], window_s=8),
        "until": lambda visit: visit.leg.until(asyncio.sleep(8)),
    }

    async def ask(visit: Visit) -> object:
        hang_up = asyncio.create_task(after(0.05, asterisk.hang_up))
        try:
            return await verbs[verb](visit)
        finally:
            await hang_up

    gone = await visited(ask, asterisk)
    assert isinstance(gone, CallEnded)
    assert not isinstance(gone, CallMoved)


async def test_one_command_at_a_time() -> None:
    """Asterisk overlooks a command that comes together with the one before."""
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        async with asyncio.TaskGroup() as group:
            group.create_task(after(0.05, lambda: asterisk.press("7")))
            assert await visit.leg.gather([prompt(8)], window_s=8) == Digit("7")
        return await visit.leg.gather([prompt(0.01)], window_s=0.01, go_on=True)

    assert await visited(ask, asterisk) == Timeout()
    assert not asterisk.interrupted


async def test_what_is_cancelled_is_stopped_by_the_next_verb() -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        for verb in (visit.leg.play([prompt(8)]), visit.leg.gather([prompt(8)], window_s=8)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(verb, 0.05)
        return await visit.leg.play([prompt(0.01)])

    assert await visited(ask, asterisk) == Finished()
    assert asterisk.variables["IVR_WAIT_SMS_STATUS"] == "denied"


async def test_an_asterisk_that_answers_nothing_is_let_go() -> None:
    asterisk = FakeAgi(mute=True)
    assert await visited(lambda visit: visit.leg.answer(), asterisk) is None
    assert len(asterisk.commands) == 1


async def test_one_that_falls_silent_in_mid_prompt_ends_the_visit() -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        asterisk.mute = True
        return await visit.leg.answer()

    assert isinstance(await visited(ask, asterisk), Unreachable)
    assert asterisk.variables["IVR_WAIT_SMS_STATUS"] == "failed"
    assert asterisk.variables["IVR_WAIT_SMS_REASON"] == "engine_gone"


async def test_a_connection_that_ends_is_a_caller_who_went_on() -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        async with asyncio.TaskGroup() as group:
            group.create_task(after(0.05, asterisk.drop))
            return await visit.leg.play([prompt(8)])

    error = await visited(ask, asterisk)
    assert isinstance(error, ExceptionGroup | CallMoved)


@pytest.mark.parametrize(
    "line",
    [b"200 result=49\n" * 3, b"\xff\xfe\n", b"x" * 9000 + b"\n", b"999 what\n", b"200 result=7 endpos=1\n"],
)
async def test_garbage_in_place_of_an_answer_ends_the_visit(line: bytes) -> None:
    asterisk = FakeAgi()

    async def ask(visit: Visit) -> object:
        asterisk.mute = True
        asterisk.say(line)
        return await visit.leg.gather([prompt(1)], window_s=1)

    with capture_logs():
        assert isinstance(await visited(ask, asterisk), Exception)


async def test_a_fault_is_told_and_the_dialplan_goes_on() -> None:
    asterisk = FakeAgi()

    async def fault(_visit: Visit) -> object:
        raise KeyError("own")

    with capture_logs() as logs:
        await visited(fault, asterisk)
    assert asterisk.variables["IVR_WAIT_SMS_STATUS"] == "failed"
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["agi.fault"]


# ── who may come in ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("key", "status"), [("key=abc", "denied"), ("key=abd", "failed"), ("", "failed")])
async def test_the_secret_is_asked_for(key: str, status: str) -> None:
    script = f"wait-sms?queue=support&{key}"
    asterisk = FakeAgi({**HEADERS, "agi_network_script": script})
    with capture_logs():
        await visited(lambda visit: visit.leg.answer(), asterisk, replace(LOOPBACK, secret="abc"))
    assert asterisk.variables["IVR_WAIT_SMS_STATUS"] == status
    assert asterisk.up is (status == "denied")


async def test_another_script_is_told_that_there_is_none() -> None:
    asterisk = FakeAgi({**HEADERS, "agi_network_script": "wait-smss?queue=support"})
    with capture_logs():
        await visited(lambda visit: visit.leg.answer(), asterisk)
    assert asterisk.variables["IVR_WAIT_SMS_REASON"] == "no_such_script"


async def test_an_engine_that_stops_lets_the_caller_go_on() -> None:
    asterisk = FakeAgi()
    began = asyncio.Event()

    async def receive(visit: Visit) -> VisitOutcome:
        began.set()
        await visit.leg.gather([prompt(8)], window_s=8)
        return DENIED

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        async with listening(receive) as server:
            visit = group.create_task(asterisk.run(server.port))
            await began.wait()
            await asyncio.sleep(0.05)
        await visit
    assert asterisk.variables["IVR_WAIT_SMS_REASON"] == "engine_gone"


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"IVR_AGI_PORT.*{port}"):
            FastAgi(replace(LOOPBACK, port=port), _nobody).check()
    FastAgi(LOOPBACK, _nobody).check()


async def _nobody(_visit: Visit) -> VisitOutcome:
    return DENIED


async def test_an_address_that_is_not_named_is_not_heard() -> None:
    asterisk = FakeAgi()
    with capture_logs() as logs:
        await visited(
            lambda visit: visit.leg.answer(),
            asterisk,
            replace(LOOPBACK, allow=(ip_network("192.0.2.7"),)),
        )
    assert not asterisk.variables
    assert [line["event"] for line in logs] == ["agi.listening", "agi.turned_away"]


async def test_who_says_nothing_is_cut_off_and_does_not_keep_others_out() -> None:
    async def receive(visit: Visit) -> VisitOutcome:
        await visit.leg.answer()
        return DENIED

    settings = replace(LOOPBACK, connections=20, deadline_s=0.3)
    with capture_logs():
        async with asyncio.timeout(5), listening(receive, settings) as server:
            silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
            asterisk = FakeAgi()
            await asterisk.run(server.port)
    assert asterisk.variables["IVR_WAIT_SMS_STATUS"] == "denied"


async def parsed(text: bytes) -> AgiRequest:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    reader.feed_data(text)
    reader.feed_eof()
    return understood(await read_headers(reader))


GOOD = b"agi_network_script: wait-sms?queue=support\nagi_uniqueid: 1.2\n"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        GOOD,
        GOOD + b"agi_calleridname: x\nagi_uniqueid: 3.4\n\n",
        GOOD + b"agi_calleridname: x\nagi_dnid\n\n",
        GOOD + b"agi_calleridname: " + b"x" * 5000 + b"\n\n",
        GOOD + b"".join(b"agi_arg_%d: x\n" % n for n in range(70)) + b"\n",
        b"agi_network_script: wait-sms\nagi_uniqueid: ../../etc\n\n",
        b"agi_network_script: wait-sms?a=1&a=2\nagi_uniqueid: 1.2\n\n",
        b"agi_network_script: wait-sms?"
        + b"&".join(b"a%d=1" % n for n in range(20))
        + b"\nagi_uniqueid: 1.2\n\n",
    ],
)
async def test_what_no_asterisk_writes_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        await parsed(text)


async def test_a_plus_in_a_parameter_is_a_plus() -> None:
    request = await parsed(
        b"agi_network_script: wait-sms?number=+4930123456&queue=a%20b\nagi_uniqueid: 1.2\n\n"
    )
    assert request.parameters == {"number": "+4930123456", "queue": "a b"}


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        (b"agi_callerid: 0151 12345678\n", "0151 12345678"),
        (b"agi_callerid: unknown\n", ""),
        (b"agi_callerid: 4711\nagi_callingpres: 32\n", ""),
        (b"agi_callerid: 4711\nagi_callingpres: 35\n", ""),
        (b"agi_callerid: 4711\nagi_callingpres: 3\n", "4711"),
        (b"agi_callerid: 4711\nagi_callingpres: 99999999999999999999\n", "4711"),
    ],
)
async def test_a_number_that_is_withheld_is_unknown_to_us_too(lines: bytes, caller: str) -> None:
    assert (await parsed(GOOD + lines + b"\n")).caller == caller


@settings(max_examples=300)
@given(
    text=st.one_of(
        st.binary(max_size=400), st.binary(max_size=80).map(lambda x: GOOD + b"agi_dnid: " + x + b"\n\n")
    )
)
def test_whatever_comes_is_understood_or_refused(text: bytes) -> None:
    with suppress(Refused):
        asyncio.run(parsed(text))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


def test_without_a_port_there_is_none_and_with_one_it_is_this_machine_alone() -> None:
    assert agi_settings({}) is None
    ours = agi_settings({"IVR_AGI_PORT": "4573"})
    assert ours is not None
    assert (ours.host, ours.port, ours.pbx, ours.sounds) == ("127.0.0.1", 4573, None, "ivr/")
    assert ours.hears("127.0.0.1")
    assert ours.hears("::ffff:127.0.0.1")
    assert not ours.hears("192.0.2.1")
    assert not ours.hears("")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"IVR_AGI_PORT": "0"}, "IVR_AGI_PORT"),
        ({"IVR_AGI_HOST": "pbx.example"}, "IVR_AGI_HOST"),
        ({"IVR_AGI_HOST": "0.0.0.0"}, "IVR_AGI_ALLOW"),
        ({"IVR_AGI_HOST": "0.0.0.0", "IVR_AGI_ALLOW": "192.0.2.7"}, "IVR_AGI_SECRET"),
        ({"IVR_AGI_HOST": "::", "IVR_AGI_ALLOW": "192.0.2.7", "IVR_AGI_SECRET": "short"}, "IVR_AGI_SECRET"),
        ({"IVR_AGI_SECRET": "a b)&"}, "IVR_AGI_SECRET"),
        ({"IVR_AGI_ALLOW": "0.0.0.0/0"}, "IVR_AGI_ALLOW"),
        ({"IVR_AGI_ALLOW": "192.0.2.7/24"}, "IVR_AGI_ALLOW"),
        ({"IVR_AGI_SOUNDS": "a&b"}, "IVR_AGI_SOUNDS"),
        ({"IVR_AGI_AMI_PORT": "5038"}, "IVR_AGI_AMI_PASSWORD"),
        ({"IVR_AGI_AMI_PORT": "5038", "IVR_AGI_AMI_PASSWORD": "x\r\nAction: x"}, "IVR_AGI_AMI_PASSWORD"),
    ],
)
def test_what_would_be_unsafe_or_useless_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        agi_settings({"IVR_AGI_PORT": "4573", **given})


def test_beyond_this_machine_with_addresses_and_a_secret() -> None:
    ours = agi_settings(
        {
            "IVR_AGI_PORT": "4573",
            "IVR_AGI_HOST": "0.0.0.0",
            "IVR_AGI_ALLOW": "192.0.2.7, 198.51.100.0/24",
            "IVR_AGI_SECRET": "a" * 16,
            "IVR_AGI_AMI_PORT": "5038",
            "IVR_AGI_AMI_PASSWORD": "hush",
            "IVR_AGI_SOUNDS": "/srv/ivr/sounds/",
        }
    )
    assert ours is not None
    assert ours.pbx is not None
    assert ours.hears("198.51.100.9")
    assert not ours.hears("127.0.0.1")
    assert ours.sounds == "/srv/ivr/sounds/"
    assert "hush" not in repr(ours)
    assert "aaaa" not in repr(ours)


# ── how app_queue's wait is taken ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("agents", "idle", "waiting", "hold_s", "expected"),
    [(0, 0, 3, 60, None), (2, 1, 0, 60, 0.0), (2, 0, 0, 60, 60.0), (2, 1, 2, 90, 90.0), (2, 0, 1, 0, None)],
)
def test_the_wait_in_app_queue(
    agents: int, idle: int, waiting: int, hold_s: float, expected: float | None
) -> None:
    queue = AppQueue(waiting=waiting, agents=agents, idle=idle, hold_time_s=hold_s)
    estimate = queue.estimate()
    assert (estimate and estimate.expected_s) == expected
    assert queue.position == waiting + 1
    if estimate and expected:
        assert estimate.probability_over(expected) == pytest.approx(0.368, abs=0.02)
