from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from ivr_engine.sipp.ears import EVENT, MUSIC, NOTHING, PHONE_EVENT, Ear, NotHeard, Sender
from ivr_engine.sipp.sounds import Clip, Library
from tests.sipp.test_sounds import CONSENT, HELLO
from tests.sipp.test_sounds import MUSIC as SOME_MUSIC


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Ear, Ear]]:
    """Two ears that send to each other."""
    library = Library({"hello": HELLO, "consent": CONSENT})
    library.add(Clip("voice", SOME_MUSIC[:1600], loop=True))
    one, other = await Ear.open(library), await Ear.open(library)
    one.sends_to(("127.0.0.1", other.port))
    yield one, other
    one.close()
    other.close()


async def test_what_one_says_the_other_hears(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("hello")
    await other.hears("hello", whole=True)
    other.speaks("voice")  # it knows where to from the packets it got
    await one.hears("voice")


async def test_keys_arrive_each_once_also_the_same_one_twice(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("voice")
    for key in "112#":
        await one.presses(key)
    await other.hears("voice")
    await other.hears_keys("112#")


async def test_what_was_not_heard_is_an_error_that_tells_the_story(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("hello")
    await other.hears("hello")
    with pytest.raises(NotHeard, match=r"consent within 0\.1 s; heard: hello"):
        await other.hears("consent", within=0.1)


async def test_each_hearing_goes_on_where_the_last_one_was(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("hello")
    await other.hears("hello")
    with pytest.raises(NotHeard):
        await other.hears("hello", within=0.1)


async def test_nothing_at_all_is_noticed(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("hello")
    hello = await other.hears("hello")
    one.hushes()
    await other.hears(NOTHING)
    await other.hears_past(hello)
    assert other.longest(NOTHING) >= 0.25
    assert MUSIC not in other.heard()


async def test_it_falls_silent_when_nobody_is_at_the_other_end_any_more(pair: tuple[Ear, Ear]) -> None:
    one, other = pair
    one.speaks("voice")
    await other.hears("voice")
    other.close()
    await asyncio.sleep(0.1)
    next_there = await Ear.open(Library({}), other.port)
    try:
        await asyncio.sleep(0.2)
        assert next_there.packets == 0
    finally:
        next_there.close()


async def test_an_ear_that_is_closed_presses_nothing(pair: tuple[Ear, Ear]) -> None:
    one, _ = pair
    one.close()
    with pytest.raises(TimeoutError):
        await one.presses("1", within=0.3)


async def test_other_datagrams_are_ignored(pair: tuple[Ear, Ear]) -> None:
    one, _ = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        for datagram in (b"", b"\x80", b"x" * 50, b"\x80\x65" + b"\0" * 11):
            somebody.sendto(datagram, ("127.0.0.1", one.port))
    await one.listens(0)
    assert one.segments == []


async def test_a_program_that_was_busy_hears_no_gap(pair: tuple[Ear, Ear]) -> None:
    """A packet came when it came, however late it is read."""
    one, _ = pair
    sent: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        for number in range(25):
            rtp = struct.pack("!BBHII", 0x80, 8, number, number * 160, 7)
            somebody.sendto(rtp + SOME_MUSIC[number * 160 :][:160], ("127.0.0.1", one.port))
            sent.append(time.monotonic())
            time.sleep(0.02)  # the loop stands still  # noqa: ASYNC251
    await one.listens(0)
    pause = max(later - earlier for earlier, later in pairwise(sent))
    assert one.longest(NOTHING) in (0, pytest.approx(pause, abs=0.05)), "only what was sent late"
    assert one.segments[-1].end - one.segments[0].start >= 24 * 0.02


def test_a_phone_that_is_rung_sends_keys_as_it_was_offered() -> None:
    sender = Sender(ssrc=7, event=PHONE_EVENT)
    sender.press("5", packets=2)
    assert [packet[1] for packet in sender.frames(0.0)] == [0x80 | PHONE_EVENT]


def test_the_packets_of_a_key_follow_rfc_4733() -> None:
    sender = Sender(ssrc=7)
    sender.press("5", packets=3)
    packets = [packet for tick in range(4) for packet in sender.frames(float(tick))]
    assert [p[1] for p in packets] == [0x80 | EVENT, EVENT, EVENT, EVENT, EVENT], "the marker is on the first"
    assert len({p[4:8] for p in packets}) == 1, "one time stamp"
    assert [p[12] for p in packets] == [5] * 5
    assert [p[13] >> 7 for p in packets] == [0, 0, 1, 1, 1], "the end three times"
    assert [int.from_bytes(p[14:16], "big") for p in packets] == [160, 320, 480, 480, 480]
