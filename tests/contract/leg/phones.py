"""An agent's phone that is dialled."""

from __future__ import annotations

import asyncio

import pytest

from ivr_engine.errors import CallEnded, Gone, NotInStasis, Rejected
from ivr_engine.ports import DialResult, PhoneAccount
from tests.contract.leg.world import Rig, World, eventually, is_held, near, not_, now


class PhonesContract:
    """How ringing ends, and what cannot be rung; a subclass has the fixture ``rig``."""

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
            timeout_s = 3 if result is DialResult.NO_ANSWER else 15
            leg = await world.telephony.dial(
                phone.name, leg_id="agent-1", caller="+49151", timeout_s=timeout_s
            )
            assert leg.id == "agent-1"
            assert await leg.rung(15) is result
            if result is not DialResult.ANSWERED:
                await eventually(lambda: not_(is_held(world, "agent-1")))
            if result is DialResult.NO_ANSWER:
                await eventually(lambda: not_(phone.ringing()))

        rig.run(scenario)

    def test_rung_gives_up_after_its_time(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("silent")
            leg = await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=10)
            began = now()
            assert await leg.rung(1) is DialResult.NO_ANSWER
            assert now() - began == near(1, world)
            await world.telephony.end_leg("agent-1")
            await eventually(lambda: not_(phone.ringing()), within_s=1)

        rig.run(scenario)

    def test_a_phone_that_is_not_there_is_refused(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            phone = await world.phone("absent")
            with pytest.raises(Rejected):
                await world.telephony.dial(phone.name, leg_id="agent-1", caller=None, timeout_s=3)
            assert not await is_held(world, "agent-1")

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
