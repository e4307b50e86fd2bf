"""``ports.Telephony`` as one engine sees the simulated telephone system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from ivr_engine.errors import CallEnded, CallMoved, ExternalError, Gone, NotInStasis, Unreachable
from ivr_engine.ports import Arrival, Leg, PhoneAccount, Snapshot
from ivr_engine.sim.channel import NORMAL_CLEARING, Channel
from ivr_engine.sim.leg import SimLeg
from ivr_engine.sim.life import Life
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.wire import (
    ChannelLeft,
    Connection,
    KeyPressed,
    Offered,
    PlayingEnded,
    RecordingEnded,
    WireEvent,
)

T = TypeVar("T")

REQUEST_DEADLINE_S: Final = 5.0
"""How long a request waits for its answer, or for the connection to come back."""


class SimTelephony:
    """One engine's view. ``faults`` are raised, one a request, by the next requests of that verb.

    ``instant``: requests and events take no time on their way, and nothing fails: for whole days of calls.
    """

    def __init__(
        self,
        switch: SimSwitch,
        name: str = "ivr-sim",
        life: Life | None = None,
        *,
        instant: bool = False,
    ) -> None:
        self._instant = instant
        self.life = life or Life()
        self.life.at_death(lambda: switch.disconnect(name))
        self.faults: dict[str, list[ExternalError]] = {}
        self.switch = switch
        self._name = name
        self._legs: dict[str, SimLeg] = {}
        self._arrivals: asyncio.Queue[Offered] = asyncio.Queue()
        self._up = asyncio.Event()
        self._stood: asyncio.Queue[None] = asyncio.Queue()
        self._connection: Connection
        self.open()

    # ── the connection ───────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Open the socket (again); events from now on arrive."""
        self._connection = Connection(self._name, self._on_event, self._up.clear, instant=self._instant)
        self.switch.connect(self._connection)
        self._up.set()
        self._reconcile()
        self._stood.put_nowait(None)

    def lose_connection(self, for_s: float) -> None:
        """The socket breaks and is back after so many seconds; events meanwhile are lost."""
        self.switch.disconnect(self._name)
        asyncio.get_running_loop().call_later(for_s, lambda: None if self.life.dead.is_set() else self.open())

    def _reconcile(self) -> None:
        """Find out for the legs we know what happened while nobody told us."""
        for leg in list(self._legs.values()):
            channel = self.switch.channels.get(leg.id)
            if channel is None or channel.app != self._name:
                moved = channel is not None
                self._on_event(ChannelLeft(leg.id, NORMAL_CLEARING, moved=moved))
            else:
                leg.catch_up(
                    up=channel.up,
                    playing=frozenset(p.id for p in channel.playing),
                    recording=channel.recording and channel.recording[0],
                )

    def _on_event(self, event: WireEvent) -> None:
        if isinstance(event, Offered):
            self._arrivals.put_nowait(event)
        elif (leg := self._legs.get(event.channel)) is not None:
            if isinstance(event, KeyPressed):
                leg.on_key(event.key)
            elif isinstance(event, PlayingEnded):
                leg.on_playing_ended(event.playback, whole=event.whole)
            elif isinstance(event, RecordingEnded):
                leg.on_recording_ended(event.name)
            elif isinstance(event, ChannelLeft):
                del self._legs[event.channel]
                leg.on_left(event)
            else:
                leg.on_answered()

    async def request(self, verb: str, act: Callable[[], T]) -> T:
        """Have the telephone system do something; ``Unreachable`` when no answer comes in time."""
        if self._instant:
            return act()
        self.life.step(f"before {verb}")
        if faults := self.faults.get(verb):
            raise faults.pop(0)
        try:
            async with asyncio.timeout(REQUEST_DEADLINE_S):
                await self._up.wait()
                result = await self._connection.ask(act)
        except TimeoutError:
            raise Unreachable(f"no answer to {verb} within {REQUEST_DEADLINE_S} s") from None
        self.life.step(f"after {verb}")
        return result

    # ── ports.Telephony ──────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        return self._name

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def arrivals(self, wanted: Callable[[int], bool] = lambda _coming: True) -> AsyncIterator[Arrival]:
        while True:
            offer = await self._arrivals.get()
            if offer.channel in self._legs or not wanted(0):
                continue
            leg = self._legs[offer.channel] = SimLeg(offer.channel, self)
            if await self._claim(offer.channel):
                channel = self.switch.channels.get(offer.channel)
                trunk = channel.trunk if channel else ""
                yield Arrival(leg=leg, caller=offer.caller, number=offer.number, trunk=trunk)
            else:
                self._legs.pop(offer.channel, None)

    async def _claim(self, channel_id: str) -> bool:
        try:
            return await self.request("claim", lambda: self.switch.claim(channel_id, self._name))
        except ExternalError:
            return False

    async def connections(self) -> AsyncIterator[Snapshot]:
        while True:
            await self._stood.get()
            try:
                yield await self.snapshot()
            except ExternalError:
                continue

    async def snapshot(self) -> Snapshot:
        return await self.request("snapshot", self._snapshot)

    def _snapshot(self) -> Snapshot:
        channels, rooms = self.switch.channels, self.switch.rooms
        return Snapshot(
            mine=frozenset(c.id for c in channels.values() if c.app == self._name),
            all=frozenset(channels),
            bridges={b: frozenset(c.id for c in rooms.members(b)) for b in rooms.bridges},
        )

    async def adopt(self, channel_id: str) -> Leg:
        leg = self._legs.setdefault(channel_id, SimLeg(channel_id, self))
        try:
            up = await self.request("adopt", lambda: self.held(channel_id).up)
        except (Gone, NotInStasis) as error:
            self._on_event(ChannelLeft(channel_id, NORMAL_CLEARING))
            raise Gone(str(error)) from None
        if up:
            leg.on_answered()
        return leg

    async def stray(self, channel_id: str) -> Arrival | None:
        try:
            leg = await self.adopt(channel_id)
        except Gone:
            return None
        channel = self.switch.channels.get(channel_id)
        if channel is None or not channel.inbound:
            return None
        return Arrival(leg=leg, caller=channel.caller, number=channel.number, trunk=channel.trunk)

    async def header(self, leg: Leg, name: str) -> str:
        return await self.request("header", lambda: self.held(leg.id).headers.get(name, ""))

    async def park(self, leg: Leg, music: str) -> None:
        try:
            await self.request("park", lambda: self.switch.rooms.hold(self.held(leg.id), music))
        except Gone:
            raise CallEnded from None
        except NotInStasis:
            raise CallMoved from None

    async def unpark(self, leg: Leg) -> None:
        channel = self.switch.channels.get(leg.id)
        if channel is None or channel.bridge is None:
            return
        try:
            await self.request("unpark", lambda: self.switch.rooms.leave(self.held(leg.id)))
        except Gone:
            raise CallEnded from None
        except NotInStasis:
            raise CallMoved from None

    async def dial(
        self, phone: str, *, leg_id: str, caller: str | None, timeout_s: float, trunk: str | None = None
    ) -> Leg:
        """Outside phones are known by their numbers, whatever the trunk."""
        known = self._legs.get(leg_id)
        leg = known or self._legs.setdefault(leg_id, SimLeg(leg_id, self))
        try:
            await self.request("dial", lambda: self.switch.dial(phone, leg_id, self._name, caller, timeout_s))
        except ExternalError:
            if known is None:
                self._legs.pop(leg_id, None)
            raise
        return leg

    async def connect(self, bridge_id: str, legs: Sequence[Leg]) -> None:
        def mix() -> None:
            self.switch.rooms.mix(bridge_id, [self.held(leg.id) for leg in legs])

        await self.request("connect", mix)

    async def overhear(
        self, leg: Leg, by: Leg, *, bridge_id: str, snoop_id: str, whisper: bool = False
    ) -> None:
        def snoop() -> None:
            target = self.held(leg.id)
            self.switch.rooms.mix(bridge_id, [self.held(by.id)])
            self.switch.rooms.snoop(target, snoop_id, self._name, bridge_id, whisper=whisper)

        await self.request("overhear", snoop)

    async def record(self, bridge_id: str, name: str, *, longest_s: int) -> None:
        await self.request("record_bridge", lambda: self.switch.tapes.tape(bridge_id, name, longest_s))

    async def end_recording(self, name: str) -> None:
        await self.request("end_recording", lambda: self.switch.tapes.end_taping(name))

    async def end_bridge(self, bridge_id: str) -> None:
        await self.request("end_bridge", lambda: self.switch.end_bridge(bridge_id))

    async def end_leg(self, leg_id: str) -> None:
        def end() -> None:
            channel = self.switch.channels.get(leg_id)
            if channel is not None:
                self.switch.gone(channel, NORMAL_CLEARING)

        await self.request("end_leg", end)

    async def phones(self) -> frozenset[str]:
        return await self.request("phones", self.switch.registered)

    async def put_account(self, account: PhoneAccount) -> None:
        await self.request(
            "put_account", lambda: self.switch.accounts.update({account.name: account.password})
        )

    async def remove_account(self, name: str) -> None:
        await self.request("remove_account", lambda: self.switch.accounts.pop(name, None))

    def held(self, channel_id: str) -> Channel:
        """For the legs: the channel, if it is in our hands."""
        return self.switch.held(channel_id, self._name)
