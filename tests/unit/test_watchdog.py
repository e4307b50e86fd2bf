"""The watchdog's judgement: who is dead, and what becomes of whose channel."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from ivr_engine.asterisk import ari_models as m
from ivr_engine.asterisk.watchdog import Vigil, Watchdog, Watched
from ivr_engine.errors import Gone, NotInStasis, NotUp, Rejected, Unreachable

LIMIT = 30.0


def channel(channel_id: str, name: str = "PJSIP/ivr-trunk-0001") -> m.Channel:
    return m.Channel(
        id=channel_id,
        protocol_id="",
        name=name,
        state="Up",
        caller=m.CallerID(name="", number="+4915112345678"),
        connected=m.CallerID(name="", number=""),
        accountcode="",
        dialplan=m.DialplanCEP(
            context="ivr-in", exten="700", priority=4, app_name="StasisBroadcast", app_data=""
        ),
        creationtime="2026-01-01T00:00:00.000+0000",
        language="en",
    )


def bridge(kind: str, *members: str) -> m.Bridge:
    return m.Bridge(
        id=f"{kind}-1",
        technology="",
        bridge_type=kind,
        bridge_class="",
        creator="",
        name="",
        channels=members,
        creationtime="2026-01-01T00:00:00.000+0000",
    )


@dataclass
class FakeSwitch:
    """Channels by application; what is done to them is written down and takes them out."""

    apps: dict[str, list[str]]
    signs: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    bridged: list[m.Bridge] = field(default_factory=list[m.Bridge])
    refuses: dict[str, Exception] = field(default_factory=dict[str, Exception])
    done: list[str] = field(default_factory=list[str])

    async def applications(self) -> Mapping[str, tuple[str, ...]]:
        return {name: tuple(channels) for name, channels in self.apps.items()}

    async def sign_of(self, application: str) -> str:
        return self.signs.get(application, "")

    async def state(self) -> tuple[Mapping[str, m.Channel], Collection[m.Bridge]]:
        ids = [one for channels in self.apps.values() for one in channels]
        return {one: channel(one, self.names.get(one, "PJSIP/ivr-trunk-1")) for one in ids}, self.bridged

    async def to_fallback(self, channel_id: str) -> None:
        self._do("fallback", channel_id)

    async def hang_up(self, channel_id: str) -> None:
        self._do("hang up", channel_id)

    def _do(self, what: str, channel_id: str) -> None:
        if channel_id in self.refuses:
            raise self.refuses[channel_id]
        self.done.append(f"{what} {channel_id}")
        for channels in self.apps.values():
            if channel_id in channels:
                channels.remove(channel_id)


async def looks(switch: FakeSwitch, *times: float) -> None:
    watchdog = Watchdog(switch, LIMIT)
    for now in times:
        await watchdog.look(now)


def test_an_engine_lives_as_long_as_its_sign_changes() -> None:
    vigil = Vigil(LIMIT)
    assert vigil.lives("ivr-1", "100", 0)
    assert vigil.lives("ivr-1", "100", 29)
    assert vigil.lives("ivr-1", "90", 31), "a clock set back is a sign of life too"
    assert vigil.lives("ivr-1", "90", 61)
    assert not vigil.lives("ivr-1", "90", 61.5)
    assert vigil.lives("ivr-1", "91", 62), "it came back"


def test_a_watchdog_that_starts_gives_everybody_the_whole_limit() -> None:
    vigil = Vigil(LIMIT)
    assert vigil.lives("ivr-1", "a very old sign", 1000)
    assert vigil.lives("ivr-never-wrote", "", 1000)
    assert not vigil.lives("ivr-never-wrote", "", 1031)


def test_what_a_watchdog_has_slept_through_is_held_against_no_engine() -> None:
    """A machine that stood still for a minute: the engine on it could write no sign either."""
    watched = Watched(most_s=4.0)
    assert [watched.until(now) for now in (100.0, 102.0, 105.0, 165.0, 167.0)] == [0.0, 2.0, 5.0, 9.0, 11.0]


async def test_callers_of_a_dead_engine_go_to_the_fallback_once() -> None:
    switch = FakeSwitch({"ivr-1": ["a", "b"]}, bridged=[bridge("holding", "a", "b")])
    await looks(switch, 0, 30)
    assert switch.done == []
    await looks(switch, 0, 31, 33)
    assert switch.done == ["fallback a", "fallback b"]


async def test_a_living_engine_and_other_applications_are_never_touched() -> None:
    switch = FakeSwitch({"ivr-1": ["a"], "recorder": ["b"]})
    watchdog = Watchdog(switch, LIMIT)
    for now in range(0, 200, 20):
        switch.signs["ivr-1"] = str(now)
        await watchdog.look(now)
    assert switch.done == []


async def test_an_agents_leg_left_alone_is_hung_up() -> None:
    switch = FakeSwitch({"ivr-1": ["agent-7"]}, bridged=[bridge("mixing", "agent-7")])
    await looks(switch, 0, 31)
    assert switch.done == ["hang up agent-7"]


async def test_who_talks_goes_on_talking() -> None:
    switch = FakeSwitch({"ivr-1": ["a", "agent-7"]}, bridged=[bridge("mixing", "a", "agent-7")])
    watchdog = Watchdog(switch, LIMIT)
    await watchdog.look(0)
    await watchdog.look(31)
    assert switch.done == []
    switch.apps["ivr-1"].remove("agent-7")
    await watchdog.look(33)
    assert switch.done == ["fallback a"]


async def test_a_recorder_in_the_bridge_is_no_party() -> None:
    switch = FakeSwitch(
        {"ivr-1": ["a", "tape"]},
        names={"tape": "Recorder/ARI-00000001"},
        bridged=[bridge("mixing", "a", "tape")],
    )
    await looks(switch, 0, 31)
    assert switch.done == ["fallback a"]


@pytest.mark.parametrize("error", [Gone("hung up"), NotInStasis("taken over")])
async def test_a_caller_who_is_gone_does_not_keep_the_next_from_being_sent(error: Exception) -> None:
    switch = FakeSwitch({"ivr-1": ["a", "b"]}, refuses={"a": error})
    await looks(switch, 0, 31)
    assert switch.done == ["fallback b"]


@pytest.mark.parametrize("error", [NotUp("not answered"), Rejected("400"), Unreachable("no answer")])
async def test_what_asterisk_refuses_is_tried_again_and_keeps_nobody_else_waiting(error: Exception) -> None:
    switch = FakeSwitch({"ivr-1": ["a", "b"], "ivr-2": ["c"]}, refuses={"a": error})
    watchdog = Watchdog(switch, LIMIT)
    await watchdog.look(0)
    with pytest.raises(type(error)):
        await watchdog.look(31)
    assert switch.done == ["fallback b", "fallback c"]
    switch.refuses.clear()
    await watchdog.look(33)
    assert switch.done[2:] == ["fallback a"]


async def test_an_asterisk_that_does_not_answer_is_told_to_the_caller_of_look() -> None:
    switch = FakeSwitch({"ivr-1": ["a"]}, refuses={"a": Unreachable("no answer")})
    with pytest.raises(Unreachable):
        await looks(switch, 0, 31)


async def test_not_seeing_asterisk_is_said_once_and_so_is_seeing_it_again() -> None:
    looked = asyncio.Event()

    class Away(FakeSwitch):
        left = 3

        async def applications(self) -> Mapping[str, tuple[str, ...]]:
            self.left -= 1
            if self.left >= 0:
                raise Unreachable("connection refused")
            looked.set()
            return await super().applications()

    with capture_logs() as lines:
        task = asyncio.create_task(Watchdog(Away({}), LIMIT).look_for_ever(0.001))
        async with asyncio.timeout(5):
            await looked.wait()
        await asyncio.sleep(0)
        task.cancel()
    assert [line["event"] for line in lines] == ["watchdog.blind", "watchdog.sees_again"]
