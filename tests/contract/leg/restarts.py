"""An engine that comes back finds everything as it is by now."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import pytest

from ivr_engine.errors import CallEnded, Gone
from ivr_engine.ports import DialResult, Digit, Finished
from tests.contract.leg.world import Rig, World, answered, eventually, in_half_a_second, near, not_, now


class RestartsContract:
    """After a crash: callers, phones, prompts, recordings; a subclass has the fixture ``rig``."""

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
            recording = asyncio.ensure_future(leg.record(name, longest_s=20, silence_s=10))

            async def begun() -> bool:
                try:
                    return await world.recordings.fetch(name) is None
                except Gone:
                    return False

            await eventually(begun)
            recording.cancel()
            with pytest.raises(asyncio.CancelledError):
                await recording
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
            await eventually(lambda: not_(phone.ringing()), within_s=1)

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
