"""What every telephone system promises the core: ``ports.Leg`` and ``ports.Telephony``.

One suite for all adapters. A folder with another adapter at hand runs it there by a class of its own::

    from tests.contract.test_leg import LegContract, Rig

    class TestAri(LegContract):
        @pytest.fixture
        def rig(self, asterisk) -> Rig: ...

A ``Rig`` runs a scenario against a fresh ``World``: the engine's side of the line (``telephony``) and the
people at the far end of it. The promises themselves stand in the folder ``leg``, by what they are about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ivr_engine.ports import Arrival, Prompt, Recordings, Snapshot
from ivr_engine.sim import clock
from ivr_engine.sim.life import Life
from ivr_engine.sim.people import AgentPhone, Behaviour, answers, busy, declines, does_not_answer
from ivr_engine.sim.people import Caller as SimCaller
from ivr_engine.sim.people import call as sim_call
from ivr_engine.sim.recordings import SimRecordings
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.telephony import SimTelephony
from tests.contract.leg.phones import PhonesContract
from tests.contract.leg.restarts import RestartsContract
from tests.contract.leg.rooms import RoomsContract
from tests.contract.leg.verbs import VerbsContract
from tests.contract.leg.world import Caller, Phone, Rig, World


class LegContract(VerbsContract, RoomsContract, PhonesContract, RestartsContract):
    """The suite; a subclass has the fixture ``rig``."""


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
    late_s = 0.0

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
