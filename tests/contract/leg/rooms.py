"""Where callers wait and where people talk: parked, connected, muted, overheard, recorded."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from ivr_engine.errors import CallEnded, ExternalError, Gone, NotInStasis, Rejected
from ivr_engine.ports import DialResult, Digit, Finished, Timeout
from tests.contract.leg.world import Rig, World, answered, eventually, in_half_a_second, left


class RoomsContract:
    """Also through a crash; a subclass has the fixture ``rig``."""

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

            async def taken_away() -> bool:
                return "talk-1" not in (await world.telephony.snapshot()).bridges

            await eventually(taken_away)
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


async def _fetched(world: World, name: str) -> bytes:
    found: list[bytes] = []

    async def there() -> bool:
        found.extend(filter(None, [await world.recordings.fetch(name)]))
        return bool(found)

    await eventually(there)
    return found[0]
