"""What every telephone system promises the core: ``ports.Leg`` and ``ports.Telephony``.

One suite for all adapters. A folder with another adapter at hand runs it there by a class of its own::

    from tests.contract.test_leg import LegContract, Rig

    class TestAri(LegContract):
        @pytest.fixture
        def rig(self, asterisk) -> Rig: ...

A ``Rig`` runs a scenario against a fresh ``World``: the engine's side of the line (``telephony``) and the
people at the far end of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol
from uuid import uuid4

import pytest

from ivr_engine.errors import CallEnded, CallMoved, ExternalError, Gone, NotInStasis, Rejected
from ivr_engine.ports import (
    Arrival,
    DialResult,
    Digit,
    Failed,
    Finished,
    Leg,
    PhoneAccount,
    Prompt,
    Recordings,
    Snapshot,
    Telephony,
    Timeout,
)
from ivr_engine.sim import clock
from ivr_engine.sim.life import Life
from ivr_engine.sim.people import AgentPhone, Behaviour, answers, busy, declines, does_not_answer
from ivr_engine.sim.people import Caller as SimCaller
from ivr_engine.sim.people import call as sim_call
from ivr_engine.sim.recordings import SimRecordings
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.telephony import SimTelephony


class Caller(Protocol):
    """Somebody at the far end of the line."""

    async def press(self, key: str) -> None: ...

    async def hang_up(self) -> None: ...

    async def connected(self) -> bool:
        """Neither side has hung up."""
        ...


class Phone(Protocol):
    """An agent's phone that behaves as asked for."""

    @property
    def name(self) -> str: ...

    async def ringing(self) -> bool: ...

    async def hang_up(self) -> None: ...


class World(Protocol):
    @property
    def telephony(self) -> Telephony:
        """Of the engine that runs now."""
        ...

    @property
    def recordings(self) -> Recordings: ...

    @property
    def tolerance_s(self) -> float:
        """By how much times may differ from what was asked for."""
        ...

    def prompt(self, seconds: float) -> Prompt:
        """A sound of that length (0.5, 2 and 10 are asked for)."""
        ...

    def missing_prompt(self) -> Prompt:
        """A sound that is not there."""
        ...

    async def call(self) -> tuple[Caller, Arrival]:
        """Somebody calls; this engine has won the call and not answered it yet."""
        ...

    async def phone(self, behaviour: str) -> Phone:
        """A registered phone that ``answers`` (after about a second), is ``busy``, ``declines`` or is
        ``silent``; or the name of one that is ``absent``."""
        ...

    async def restart(self) -> Snapshot:
        """The engine is killed, another of the same name connects; what it finds."""
        ...

    async def watchdog_moves(self, channel_id: str) -> None:
        """Somebody else sends the caller to the fallback."""
        ...


class Rig(Protocol):
    def run(self, scenario: Callable[[World], Awaitable[None]]) -> None:
        """In a fresh world; anything left running fails."""
        ...


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110  the far end tells nobody
            await asyncio.sleep(0.02)


def now() -> float:
    return asyncio.get_running_loop().time()


def near(seconds: float, world: World) -> object:
    return pytest.approx(seconds, abs=world.tolerance_s)


async def answered(world: World) -> tuple[Caller, Leg]:
    caller, arrival = await world.call()
    await arrival.leg.answer()
    return caller, arrival.leg


async def left(world: World, leg: Leg) -> None:
    """Wait until the engine knows that the far end is gone."""

    async def known() -> bool:
        try:
            await leg.until(asyncio.sleep(0))
        except CallEnded:
            return True
        return False

    await eventually(known)


@asynccontextmanager
async def in_half_a_second(act: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    async def later() -> None:
        await asyncio.sleep(0.5)
        await act()

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        yield


VERBS: dict[str, Callable[[World, Leg], Awaitable[object]]] = {
    "answer": lambda _, leg: leg.answer(),
    "play": lambda world, leg: leg.play([world.prompt(2)]),
    "gather": lambda world, leg: leg.gather([world.prompt(2)], window_s=1),
    "gather in silence": lambda _, leg: leg.gather([], window_s=1),
    "stop_playing": lambda _, leg: leg.stop_playing(),
    "until": lambda _, leg: leg.until(asyncio.sleep(1)),
    "give_to_fallback": lambda _, leg: leg.give_to_fallback(),
    "park": lambda world, leg: world.telephony.park(leg, "default"),
}

LASTING: dict[str, Callable[[World, Leg], Awaitable[object]]] = {
    "play": lambda world, leg: leg.play([world.prompt(10)]),
    "gather, message": lambda world, leg: leg.gather([world.prompt(10)], window_s=10),
    "gather, window": lambda world, leg: leg.gather([], window_s=10),
    "until": lambda _, leg: leg.until(asyncio.sleep(10)),
}


class VerbsContract:
    """What every leg promises; a subclass has the fixture ``rig``."""

    # ── playing and keys ─────────────────────────────────────────────────────────────────────────

    def test_the_arrival_says_who_calls_which_number(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, arrival = await world.call()
            assert arrival.number == "700"
            assert arrival.caller
            assert arrival.leg.id

        rig.run(scenario)

    def test_play_lasts_as_long_as_the_prompts_and_ignores_keys(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(lambda: caller.press("1")):
                assert await leg.play([world.prompt(2), world.prompt(0.5)]) == Finished()
            assert now() - began == near(2.5, world)

        rig.run(scenario)

    def test_answering_twice_is_fine(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, leg = await answered(world)
            await leg.answer()
            assert await leg.play([]) == Finished()

        rig.run(scenario)

    def test_a_sound_that_is_not_there_is_a_result_not_an_error(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, leg = await answered(world)
            assert isinstance(await leg.play([world.missing_prompt()]), Failed)
            assert await leg.play([world.prompt(0.5)]) == Finished()

        rig.run(scenario)

    @pytest.mark.parametrize("key", ["1", "0", "*", "#"])
    def test_a_key_during_the_prompt_stops_it(self, rig: Rig, key: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(lambda: caller.press(key)):
                assert await leg.gather([world.prompt(10)], window_s=10) == Digit(key)
            assert now() - began == near(0.5, world)
            began = now()
            assert await leg.play([world.prompt(0.5)]) == Finished()
            assert now() - began == near(0.5, world), "the old prompt is not in the way"

        rig.run(scenario)

    def test_the_window_runs_from_the_end_of_the_prompts(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            assert await leg.gather([world.prompt(0.5)], window_s=1.0) == Timeout()
            assert now() - began == near(1.5, world)

            async with in_half_a_second(lambda: caller.press("7")):
                assert await leg.gather([], window_s=5.0) == Digit("7")

        rig.run(scenario)

    def test_the_first_key_decides_and_earlier_ones_are_forgotten(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            await caller.press("9")
            assert await leg.play([world.prompt(2)]) == Finished()
            assert await leg.gather([], window_s=0.5) == Timeout()

            async def two_keys() -> None:
                await caller.press("2")
                await caller.press("1")

            async with in_half_a_second(two_keys):
                assert await leg.gather([world.prompt(10)], window_s=1) == Digit("2")
            await asyncio.sleep(world.tolerance_s)
            assert await leg.gather([], window_s=0.5) == Timeout()

        rig.run(scenario)

    def test_cancelling_touches_nothing_and_what_plays_can_still_be_stopped(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            for verb in ("play", "gather, message"):
                caller, leg = await answered(world)
                await world.telephony.park(leg, "default")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(LASTING[verb](world, leg), 0.5)
                assert await caller.connected()
                await leg.stop_playing()
                began = now()
                assert await leg.play([world.prompt(0.5)]) == Finished()
                assert now() - began == near(0.5, world), f"{verb}: the cancelled prompt went on"
                await leg.stop_playing()

        rig.run(scenario)

    # ── the end of a leg ─────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_says_that_the_caller_is_gone(self, rig: Rig, verb: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await caller.hang_up()
            await left(world, leg)
            with pytest.raises(CallEnded):
                await VERBS[verb](world, leg)

        rig.run(scenario)

    @pytest.mark.parametrize("verb", LASTING)
    def test_a_verb_ends_when_the_caller_hangs_up(self, rig: Rig, verb: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(caller.hang_up):
                with pytest.raises(CallEnded):
                    await LASTING[verb](world, leg)
                assert now() - began == near(0.5, world)

        rig.run(scenario)

    def test_until_hands_on_results_and_errors_and_cancels_what_it_waited_for(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            assert await leg.until(asyncio.sleep(0.1, "result")) == "result"

            async def fails() -> None:
                raise KeyError("own")

            with pytest.raises(KeyError):
                await leg.until(fails())
            cancelled = asyncio.Event()

            async def waits() -> None:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            async with in_half_a_second(caller.hang_up):
                with pytest.raises(CallEnded):
                    await leg.until(waits())
                assert cancelled.is_set()

        rig.run(scenario)

    def test_hanging_up(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await leg.hang_up()
            await eventually(lambda: _not(caller.connected()))
            await leg.hang_up()
            with pytest.raises(CallEnded):
                await leg.play([world.prompt(2)])

        rig.run(scenario)

    def test_the_fallback_keeps_the_caller(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            with suppress(CallMoved):  # the event may overtake the answer: done it is either way
                await leg.give_to_fallback()
            with pytest.raises(CallEnded):
                await leg.play([world.prompt(2)])
            await asyncio.sleep(0.5)
            assert await caller.connected()

        rig.run(scenario)

    def test_a_caller_moved_to_the_fallback_by_others_is_not_gone(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            async with in_half_a_second(lambda: world.watchdog_moves(leg.id)):
                with pytest.raises(CallMoved):
                    await leg.until(asyncio.sleep(10))
            assert await caller.connected()

        rig.run(scenario)

    def test_a_key_between_two_questions_counts_for_the_next_that_goes_on(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)

            async def asked(key: str) -> None:
                async with in_half_a_second(lambda: caller.press(key)):
                    assert await leg.gather([world.prompt(2)], window_s=1) == Digit(key)

            await asked("1")
            await caller.press("2")
            await asyncio.sleep(0.5)
            began = now()
            assert await leg.gather([world.prompt(2)], window_s=1, go_on=True) == Digit("2")
            assert now() - began < 0.5
            await caller.press("3")
            await asyncio.sleep(0.5)
            assert await leg.gather([], window_s=0.5) == Timeout()
            await asked("4")
            await caller.press("5")
            await asyncio.sleep(0.5)
            assert await leg.play([world.prompt(0.5)]) == Finished()
            assert await leg.gather([], window_s=0.5, go_on=True) == Timeout()

        rig.run(scenario)


class LegContract(VerbsContract):
    """The suite; a subclass has the fixture ``rig``."""

    # ── rooms ────────────────────────────────────────────────────────────────────────────────────

    def test_parked_callers_are_played_to_one_by_one_and_parking_again_changes_nothing(
        self, rig: Rig
    ) -> None:
        async def scenario(world: World) -> None:
            pairs = [await answered(world) for _ in range(2)]
            for _ in range(2):
                for _, leg in pairs:
                    await world.telephony.park(leg, "default")
            bridges = (await world.telephony.snapshot()).bridges.values()
            waiting = sorted(leg_id for members in bridges for leg_id in members)
            assert waiting == sorted(leg.id for _, leg in pairs)
            async with in_half_a_second(lambda: pairs[0][0].press("1")):
                keys = await asyncio.gather(
                    pairs[0][1].gather([world.prompt(2)], window_s=0.5),
                    pairs[1][1].gather([world.prompt(2)], window_s=0.5),
                )
            assert keys == [Digit("1"), Timeout()]

        rig.run(scenario)

    def test_muting_lasts_until_it_is_ended_also_through_a_crash(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, leg = await answered(world)
            await world.telephony.connect("talk-1", [leg])
            for _ in range(2):
                await leg.mute(True)
            await world.restart()
            adopted = await world.telephony.adopt(leg.id)
            for _ in range(2):
                await adopted.mute(False)

        rig.run(scenario)

    def test_a_talk_is_recorded_through_a_crash_until_that_is_ended(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            name = f"talk-{uuid4().hex}"
            with pytest.raises(ExternalError):
                await world.telephony.record("talk-none", name, longest_s=60)
            await world.telephony.connect("talk-1", [leg])
            await world.telephony.record("talk-1", name, longest_s=60)
            await world.restart()
            assert await world.recordings.fetch(name) is None
            await world.telephony.record("talk-1", name, longest_s=60)
            await asyncio.sleep(1)
            for _ in range(2):
                await world.telephony.end_recording(name)
            content = await _fetched(world, name)
            assert content.startswith(b"RIFF")
            await world.telephony.record("talk-1", name, longest_s=60)
            assert await _fetched(world, name) == content, "never begun anew"
            assert await caller.connected()
            await world.recordings.delete(name)
            await world.telephony.end_bridge("talk-1")

        rig.run(scenario)

    def test_somebody_listens_in_and_is_left_alone_at_the_end(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            phone = await world.phone("answers")
            agent = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            assert await agent.rung(10) is DialResult.ANSWERED
            await world.telephony.connect("talk-1", [leg])
            for _ in range(2):
                await world.telephony.overhear(
                    leg, agent, bridge_id="talk-2", snoop_id="agent-1-listen", whisper=True
                )
            bridges = (await world.telephony.snapshot()).bridges
            assert bridges["talk-2"] == {agent.id, "agent-1-listen"}
            await world.restart()
            again, adopted = await world.telephony.adopt("agent-1"), await world.telephony.adopt(leg.id)
            await world.telephony.overhear(
                adopted, again, bridge_id="talk-2", snoop_id="agent-1-listen", whisper=True
            )
            await caller.hang_up()
            await left(world, adopted)

            async def snoop_is_gone() -> bool:
                return "agent-1-listen" not in (await world.telephony.snapshot()).all

            await eventually(snoop_is_gone)
            await again.until(asyncio.sleep(0))
            with pytest.raises((Gone, CallEnded)):
                await world.telephony.overhear(adopted, again, bridge_id="talk-2", snoop_id="agent-1-whisper")
            await world.telephony.end_leg("agent-1")
            await world.telephony.end_bridge("talk-2")

        rig.run(scenario)

    def test_whoever_is_taken_out_of_the_music_hears_prompts_alone(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.unpark(leg)
            await world.telephony.park(leg, "default")
            for _ in range(2):
                await world.telephony.unpark(leg)
            assert await leg.play([world.prompt(0.5)]) == Finished()
            await world.telephony.park(leg, "default")
            await world.restart()
            adopted = await world.telephony.adopt(leg.id)
            await adopted.stop_playing()
            await world.telephony.unpark(adopted)
            bridges = (await world.telephony.snapshot()).bridges.values()
            assert not any(leg.id in members for members in bridges)
            assert await adopted.play([world.prompt(0.5)]) == Finished()
            assert await caller.connected()

        rig.run(scenario)

    def test_two_legs_are_connected_and_the_bridge_taken_away(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            phone = await world.phone("answers")
            agent = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            assert await agent.rung(10) is DialResult.ANSWERED
            for _ in range(2):
                await world.telephony.connect("talk-1", [leg, agent])
            bridges = (await world.telephony.snapshot()).bridges
            assert bridges["talk-1"] == {leg.id, agent.id}

            await phone.hang_up()
            with pytest.raises(CallEnded):
                await agent.until(asyncio.sleep(10))
            assert await caller.connected()
            for _ in range(2):
                await world.telephony.end_bridge("talk-1")
            assert "talk-1" not in (await world.telephony.snapshot()).bridges
            await world.telephony.park(leg, "default")
            assert await leg.play([world.prompt(0.5)]) == Finished()

        rig.run(scenario)

    def test_connecting_with_a_leg_that_is_gone(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            phone = await world.phone("answers")
            agent = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            assert await agent.rung(10) is DialResult.ANSWERED
            await phone.hang_up()
            await left(world, agent)
            with pytest.raises((Gone, CallEnded, NotInStasis, Rejected)):
                await world.telephony.connect("talk-1", [leg, agent])
            assert await caller.connected()
            await leg.until(asyncio.sleep(0))
            await world.telephony.park(leg, "default")
            assert await leg.play([world.prompt(0.5)]) == Finished()

        rig.run(scenario)

    # ── ringing ──────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        ("behaviour", "result"),
        [
            ("answers", DialResult.ANSWERED),
            ("busy", DialResult.BUSY),
            ("declines", DialResult.DECLINED),
            ("silent", DialResult.NO_ANSWER),
        ],
    )
    def test_how_ringing_ends(self, rig: Rig, behaviour: str, result: DialResult) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone(behaviour)
            leg = await world.telephony.dial(phone.name, leg_id="agent-1", caller="+49151", timeout_s=3)
            assert leg.id == "agent-1"
            assert await leg.rung(6) is result
            if result is not DialResult.ANSWERED:
                await eventually(lambda: _not(_is_held(world, "agent-1")))
            if result is DialResult.NO_ANSWER:
                await eventually(lambda: _not(phone.ringing()))

        rig.run(scenario)

    def test_rung_gives_up_after_its_time(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("silent")
            leg = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            began = now()
            assert await leg.rung(1) is DialResult.NO_ANSWER
            assert now() - began == near(1, world)
            await world.telephony.end_leg("agent-1")
            await eventually(lambda: _not(phone.ringing()), within_s=1)

        rig.run(scenario)

    def test_a_phone_that_is_not_there_is_refused(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("absent")
            with pytest.raises(Rejected):
                await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=3)
            assert not await _is_held(world, "agent-1")

        rig.run(scenario)

    def test_an_id_that_is_taken_is_refused_and_the_first_rings_on(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("answers")
            first = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            with pytest.raises(NotInStasis):
                await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            again = await world.telephony.adopt("agent-1")
            assert await again.rung(5) is DialResult.ANSWERED
            assert await first.rung(5) is DialResult.ANSWERED
            await phone.hang_up()
            for leg in (first, again):
                with pytest.raises(CallEnded):
                    await leg.until(asyncio.sleep(10))

        rig.run(scenario)

    def test_what_does_not_exist_is_ended_without_complaint(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            await world.telephony.end_leg("agent-none")
            await world.telephony.end_bridge("talk-none")
            with pytest.raises(Gone):
                await world.telephony.adopt("none")
            assert await world.telephony.stray("none") is None
            await world.telephony.put_account(PhoneAccount("somebody", "secret"))
            await world.telephony.remove_account("somebody")
            await world.telephony.remove_account("nobody")

        rig.run(scenario)

    # ── an engine that comes back ────────────────────────────────────────────────────────────────

    def test_after_a_crash_everything_is_there_and_works(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            phone = await world.phone("answers")
            agent = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            assert await agent.rung(10) is DialResult.ANSWERED
            snapshot = await world.restart()
            assert await caller.connected()
            assert {leg.id, "agent-1"} <= snapshot.mine
            assert snapshot.mine <= snapshot.all
            assert any(leg.id in members for members in snapshot.bridges.values())
            adopted = await world.telephony.adopt(leg.id)
            await adopted.answer()
            await world.telephony.park(adopted, "default")
            async with in_half_a_second(lambda: caller.press("4")):
                assert await adopted.gather([world.prompt(2)], window_s=5) == Digit("4")
            again = await world.telephony.adopt("agent-1")
            assert await again.rung(1) is DialResult.ANSWERED
            await world.telephony.connect("talk-1", [adopted, again])
            await caller.hang_up()
            with pytest.raises(CallEnded):
                await adopted.until(asyncio.sleep(10))
            await again.until(asyncio.sleep(0))

        rig.run(scenario)

    def test_a_recording_goes_on_through_a_crash_until_hash_and_is_made_once(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            name = f"voicemail-{uuid4().hex}"
            await world.telephony.park(leg, "default")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(leg.record(name, longest_s=20, silence_s=10), 1)
            await world.restart()
            assert await world.recordings.fetch(name) is None
            adopted = await world.telephony.adopt(leg.id)
            async with in_half_a_second(lambda: caller.press("#")):
                assert await adopted.record(name, longest_s=20, silence_s=10) == Finished()
            again = await adopted.record(name, longest_s=20, silence_s=10)
            assert again == Finished()
            assert await adopted.play([world.prompt(0.5)]) == Finished()
            assert (await world.recordings.fetch(name) or b"").startswith(b"RIFF")
            await world.recordings.delete(name)
            await world.recordings.delete(name)
            with pytest.raises(Gone):
                await world.recordings.fetch(name)

        rig.run(scenario)

    def test_a_recording_outlives_the_caller(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            name = f"voicemail-{uuid4().hex}"
            async with in_half_a_second(caller.hang_up):
                with suppress(CallEnded):  # its end may be told before the caller's
                    await leg.record(name, longest_s=20, silence_s=10)

            async def over() -> bool:
                return await world.recordings.fetch(name) is not None

            await eventually(over)
            await world.recordings.delete(name)

        rig.run(scenario)

    def test_a_phone_that_rang_at_the_crash_rings_on(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("silent")
            await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            await eventually(phone.ringing)
            await world.restart()
            leg = await world.telephony.adopt("agent-1")
            assert await leg.rung(0.5) is DialResult.NO_ANSWER
            assert await phone.ringing()
            await leg.hang_up()
            await eventually(lambda: _not(phone.ringing()), within_s=1)

        rig.run(scenario)

    def test_a_prompt_of_the_engine_before_can_be_stopped(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(leg.play([world.prompt(10)]), 0.5)
            await world.restart()
            adopted = await world.telephony.adopt(leg.id)
            await adopted.stop_playing()
            began = now()
            assert await adopted.play([world.prompt(0.5)]) == Finished()
            assert now() - began == near(0.5, world)
            assert await caller.connected()

        rig.run(scenario)

    def test_who_hung_up_meanwhile_is_gone(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await caller.hang_up()
            await world.restart()

            async def cleared_away() -> bool:
                return leg.id not in (await world.telephony.snapshot()).all

            await eventually(cleared_away)
            with pytest.raises(Gone):
                await world.telephony.adopt(leg.id)

        rig.run(scenario)

    def test_a_caller_nobody_knows_is_found_as_if_they_arrived_now(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, arrival = await world.call()
            snapshot = await world.restart()
            assert arrival.leg.id in snapshot.mine
            found = await world.telephony.stray(arrival.leg.id)
            assert found is not None
            assert (found.number, found.caller, found.leg.id) == (
                arrival.number,
                arrival.caller,
                arrival.leg.id,
            )
            await found.leg.answer()
            assert await found.leg.play([world.prompt(0.5)]) == Finished()

        rig.run(scenario)


async def _fetched(world: World, name: str) -> bytes:
    found: list[bytes] = []

    async def there() -> bool:
        found.extend(filter(None, [await world.recordings.fetch(name)]))
        return bool(found)

    await eventually(there)
    return found[0]


async def _not(answer: Awaitable[bool]) -> bool:
    return not await answer


async def _is_held(world: World, channel_id: str) -> bool:
    try:
        return channel_id in (await world.telephony.snapshot()).all
    except ExternalError:
        return True


# ── the simulator ────────────────────────────────────────────────────────────────────────────────

BEHAVIOURS: dict[str, Behaviour] = {
    "answers": answers(1.0),
    "busy": busy(),
    "declines": declines(0.5),
    "silent": does_not_answer,
    "absent": does_not_answer,
}


class SimFarEnd:
    def __init__(self, caller: SimCaller) -> None:
        self._caller = caller

    async def press(self, key: str) -> None:
        self._caller.press(key)

    async def hang_up(self) -> None:
        self._caller.hang_up()

    async def connected(self) -> bool:
        return self._caller.connected


class SimPhone:
    def __init__(self, phone: AgentPhone) -> None:
        self._phone = phone

    @property
    def name(self) -> str:
        return self._phone.name

    async def ringing(self) -> bool:
        return self._phone.call is not None and self._phone.call.ringing

    async def hang_up(self) -> None:
        if self._phone.call is not None:
            self._phone.call.end()


class SimWorld:
    tolerance_s = 0.05

    def __init__(self) -> None:
        self._switch = SimSwitch()
        self._life = Life()
        self.telephony = SimTelephony(self._switch, "ivr-1", self._life)

    @property
    def recordings(self) -> Recordings:
        return SimRecordings(self.telephony)

    def prompt(self, seconds: float) -> Prompt:
        return Prompt(f"{seconds} s", "sound:some", seconds)

    def missing_prompt(self) -> Prompt:
        self._switch.missing.add("sound:none")
        return Prompt("none", "sound:none", 1.0)

    async def call(self) -> tuple[Caller, Arrival]:
        caller = await sim_call(self._switch, "+4915112345678", "700")
        return SimFarEnd(caller), await anext(aiter(self.telephony.arrivals()))

    async def phone(self, behaviour: str) -> Phone:
        phone = AgentPhone(self._switch, "anna", BEHAVIOURS[behaviour])
        phone.registered = behaviour != "absent"
        return SimPhone(phone)

    async def restart(self) -> Snapshot:
        self._life.end()
        self._life = Life()
        self.telephony = SimTelephony(self._switch, "ivr-1", self._life)
        return await anext(aiter(self.telephony.connections()))

    async def watchdog_moves(self, channel_id: str) -> None:
        self._switch.give_to_fallback(self._switch.channels[channel_id])


class SimRig:
    def run(self, scenario: Callable[[World], Awaitable[None]]) -> None:
        async def in_fresh_world() -> None:
            await scenario(SimWorld())

        clock.run(in_fresh_world(), limit_s=3600)


class TestSim(LegContract):
    @pytest.fixture
    def rig(self) -> Rig:
        return SimRig()
