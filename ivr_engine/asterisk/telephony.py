"""The ``Telephony`` port over ARI: one engine's view of one Asterisk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from ivr_engine.asterisk import ari_models as m
from ivr_engine.asterisk.ari_client import AriClient, Replaced
from ivr_engine.asterisk.ari_operations import Applications, Bridges, Channels, Endpoints
from ivr_engine.asterisk.channel import STASIS
from ivr_engine.asterisk.leg import AriLeg
from ivr_engine.asterisk.phones import Phones, Taken
from ivr_engine.asterisk.recordings import AriRecordings
from ivr_engine.asterisk.rooms import Rooms
from ivr_engine.asterisk.routing import EVENTS, Routing
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.transport_ws import Counts
from ivr_engine.domain.numbers import masked
from ivr_engine.errors import ExternalError, Gone, NotInStasis, Rejected, Unreachable
from ivr_engine.observability.rationed import RationedLog
from ivr_engine.ports import Arrival, Leg, PhoneAccount, Snapshot

log = structlog.get_logger()

_NUMBER = "IVR_NUMBER"
"""Set by the dialplan on every call from outside: the number dialled."""


_ENDPOINT: Final = re.compile(r"PJSIP/(.+)-[0-9a-f]+")


def _trunk_of(channel_name: str) -> str:
    """``PJSIP/ivr-trunk-0000002a`` came through ``ivr-trunk``."""
    found = _ENDPOINT.fullmatch(channel_name)
    return found[1] if found else ""


class AriTelephony:
    """Run ``run`` as a service inside the event loop; the rest is the port."""

    def __init__(self, settings: AriSettings) -> None:
        self._settings = settings
        self.counts = Counts()
        self._client = AriClient(settings, self.counts)
        self._rooms = Rooms(self._client, settings.application)
        self._phones = Phones(self._client, settings)
        self.recordings = AriRecordings(self._client.slow)
        self._routing = Routing(self, self._new_leg, most_early=settings.early_queue)
        self._arrivals: asyncio.Queue[Arrival] = asyncio.Queue(settings.arrival_queue)
        self._wanted: Callable[[int], bool] = lambda _coming: True
        self._claiming = set[str]()
        self._rationed_log = RationedLog()
        self._routing.keep_early()
        self._stock: Snapshot | None = None
        self._stock_taken = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    def _new_leg(self, channel_id: str) -> AriLeg:
        return AriLeg(self._client, self._settings, channel_id)

    # ── the service ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> NoReturn:
        """Stay connected for ever. Raises only ``Replaced``: then this process must end."""
        replaced: Replaced | None = None
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await self._client.run(self)
            except Replaced as error:
                replaced = error
            finally:
                self._tasks = None
        raise replaced or AssertionError("the client ended without a reason")

    @property
    def name(self) -> str:
        return self._settings.application

    @property
    def connected(self) -> bool:
        return self._stock is not None

    @property
    def replaced(self) -> bool:
        """Another process took our application name: ``/health`` says so, this process ends."""
        return self._client.replaced

    # ── called by the client ─────────────────────────────────────────────────────────────────────

    def route(self, event: m.Message) -> None:
        self._routing.route(event)

    async def take_stock(self) -> None:
        """Only now look around: whatever happens from here on arrives as an event as well."""
        await self._filter_events()
        snapshot, states = await self._look_around()
        self._rooms.took_stock(snapshot.bridges)
        self._routing.took_stock({channel: states[channel] for channel in snapshot.mine}, snapshot.all)
        for leg in self._routing.legs():
            leg.bridge = _bridge_of(leg.id, snapshot)
        self._stock = snapshot
        self._stock_taken.set()
        self._start(self._push_accounts())

    async def _filter_events(self) -> None:
        wanted = [{"type": kind.__name__} for kind in EVENTS]
        await Applications(self._client.slow).filter(application_name=self.name, filter={"allowed": wanted})

    async def _look_around(self) -> tuple[Snapshot, dict[str, str]]:
        """What there is, and the state of each channel."""
        slow = self._client.slow
        application = await Applications(slow).get(application_name=self.name)
        channels = await Channels(slow).list()
        bridges = await Bridges(slow).list()
        ours = {c.id for c in channels if c.dialplan.app_name in STASIS}
        snapshot = Snapshot(
            mine=frozenset(ours.intersection(application.channel_ids)),
            all=frozenset(c.id for c in channels),
            bridges={bridge.id: frozenset(bridge.channels) for bridge in bridges},
        )
        return snapshot, {c.id: c.state for c in channels}

    async def _push_accounts(self) -> None:
        try:
            await self._phones.push_all()
        except ExternalError as error:
            log.error("phone_accounts.not_pushed", why=str(error))

    def lost(self) -> None:
        self._stock = None
        self._stock_taken.clear()
        self._claiming.clear()
        self._routing.keep_early()

    def _start(self, chore: Coroutine[object, object, None]) -> None:
        """A small task beside the reading; it handles its own errors."""
        if self._tasks is None:
            chore.close()
        else:
            self._tasks.create_task(chore)

    # ── called by the routing ────────────────────────────────────────────────────────────────────

    def offered(self, event: m.CallBroadcast) -> None:
        if self._arrivals.full():
            waiting = self._arrivals.qsize()
            self._rationed_log.warning("calls.not_taken", waiting=waiting, remedy="this engine is overloaded")
            return
        if self._wanted(len(self._claiming) + self._arrivals.qsize()):
            self._claiming.add(event.channel.id)
            self._start(self._claim(event.channel.id))

    async def _claim(self, channel_id: str) -> None:
        """The first engine to claim gets the call, and a StasisStart for it."""
        try:
            await self._client.events.claim_channel(channel_id=channel_id, application=self.name)
            self.counts.claims_won += 1
        except (Gone, NotInStasis):
            self.counts.claims_lost += 1
        except ExternalError as error:
            self.counts.claims_lost += 1
            log.warning("claim.failed", channel=channel_id, why=str(error))
        finally:
            self._claiming.discard(channel_id)

    def arrived(self, leg: AriLeg, event: m.StasisStart) -> None:
        leg.entered(event.channel.state)
        number = event.args[0] if event.args else event.channel.dialplan.exten
        arrival = Arrival(
            leg=leg,
            caller=event.channel.caller.number,
            number=number,
            trunk=_trunk_of(event.channel.name),
        )
        try:
            self._arrivals.put_nowait(arrival)
        except asyncio.QueueFull:
            self._rationed_log.warning("call.not_taken", channel=leg.id, caller=masked(arrival.caller))
            self._start(self._let_go(leg))

    def overflowed(self, leg: AriLeg) -> None:
        self.counts.overflows += 1
        self._start(self._let_go(leg))

    async def _let_go(self, leg: AriLeg) -> None:
        """A caller goes to the fallback; a phone we rang has no dialplan to go to and is hung up."""
        try:
            await leg.release()
        except ExternalError as error:
            log.error("leg.not_released", channel=leg.id, why=str(error))

    async def _hang_up(self, leg_id: str) -> None:
        try:
            await self.end_leg(leg_id)
        except ExternalError as error:
            log.error("leg.not_hung_up", channel=leg_id, why=str(error))

    def entered_bridge(self, event: m.ChannelEnteredBridge) -> None:
        if self._rooms.needs_music(event.bridge):
            self._start(self._rooms.play_again(event.bridge.id))

    def flooded(self) -> None:
        log.error("reconciliation.stuck", remedy="the consumer of connections() does not come back for more")
        self._client.restart("too many events waited for reconciliation")

    # ── the port ─────────────────────────────────────────────────────────────────────────────────

    async def arrivals(self, wanted: Callable[[int], bool] = lambda _coming: True) -> AsyncIterator[Arrival]:
        self._wanted = wanted
        while True:
            yield await self._arrivals.get()

    async def connections(self) -> AsyncIterator[Snapshot]:
        last: Snapshot | None = None
        while True:
            await self._stock_taken.wait()
            if self._stock is None or self._stock is last:
                self._stock_taken.clear()
                continue
            last = self._stock
            yield last
            if self._stock is last:
                self._routing.reconciled()

    async def snapshot(self) -> Snapshot:
        snapshot, _ = await self._look_around()
        return snapshot

    async def adopt(self, channel_id: str) -> Leg:
        known = self._routing.leg(channel_id)
        if known is not None:
            return known
        if not self._routing.is_mine(channel_id):
            raise Gone(f"channel {channel_id} is not in the application {self.name}; its call is over for us")
        leg = self._routing.expect(channel_id)
        try:
            channel = await self._client.channels.get(channel_id=channel_id)
        except ExternalError:
            self._routing.forget(leg)
            raise
        leg.adopted(channel.state)
        if self._stock is not None:
            leg.bridge = _bridge_of(channel_id, self._stock)
        return leg

    async def stray(self, channel_id: str) -> Arrival | None:
        if self._routing.leg(channel_id) is not None:
            return None
        try:
            number = await self._client.channels.get_channel_var(channel_id=channel_id, variable=_NUMBER)
            channel = await self._client.channels.get(channel_id=channel_id)
            leg = await self.adopt(channel_id)
        except (Gone, NotInStasis):
            return None
        return Arrival(
            leg=leg, caller=channel.caller.number, number=number.value, trunk=_trunk_of(channel.name)
        )

    async def header(self, leg: Leg, name: str) -> str:
        # Over HTTP: Asterisk waits for the call's SIP thread, and on the socket all others would too.
        channels = Channels(self._client.slow)
        try:
            found = await channels.get_channel_var(channel_id=leg.id, variable=f"PJSIP_HEADER(read,{name})")
        except (Gone, NotInStasis, Rejected):  # 500 when there is no such header
            return ""
        return found.value

    async def park(self, leg: Leg, music: str) -> None:
        await self._rooms.park(self._own(leg), music)

    async def unpark(self, leg: Leg) -> None:
        await self._own(leg).leave_bridge()

    async def dial(
        self, phone: str, *, leg_id: str, caller: str | None, timeout_s: float, trunk: str | None = None
    ) -> Leg:
        if self._routing.leg(leg_id) is not None:
            raise Taken(leg_id)
        leg = self._routing.expect(leg_id)
        leg.expected = leg.ringing = True
        try:
            await self._phones.create(leg, phone, caller, trunk)
            await self._phones.ring(leg, timeout_s)
        except Taken:
            self._routing.forget(leg)
            raise
        except ExternalError:
            self._routing.forget(leg)
            self._start(self._hang_up(leg_id))
            raise
        finally:
            leg.expected = False
        return leg

    async def connect(self, bridge_id: str, legs: Sequence[Leg]) -> None:
        await self._rooms.connect(bridge_id, [self._own(leg) for leg in legs])

    async def overhear(
        self, leg: Leg, by: Leg, *, bridge_id: str, snoop_id: str, whisper: bool = False
    ) -> None:
        snoop = self._routing.leg(snoop_id) or self._routing.expect(snoop_id)
        snoop.expected = True
        if self._routing.is_mine(snoop_id):
            snoop.entered("Up")
        try:
            async with asyncio.timeout(self._settings.times.deadline_s):
                await self._rooms.overhear(self._own(leg), self._own(by), snoop, bridge_id, whisper=whisper)
        except TimeoutError as error:
            raise Unreachable(
                f"the snoop on channel {leg.id} never entered the application; is Asterisk overloaded?"
            ) from error
        finally:
            snoop.expected = False

    async def record(self, bridge_id: str, name: str, *, longest_s: int) -> None:
        await self._rooms.record(bridge_id, name, longest_s)

    async def end_recording(self, name: str) -> None:
        await self._rooms.end_recording(name)

    async def end_bridge(self, bridge_id: str) -> None:
        await self._rooms.end(bridge_id, self._routing.legs())

    async def end_leg(self, leg_id: str) -> None:
        with suppress(Gone):
            await self._client.channels.hangup(channel_id=leg_id)

    async def phones(self) -> frozenset[str]:
        known = await Endpoints(self._client.slow).list_by_tech(tech="PJSIP")
        online = {phone.resource for phone in known if phone.state == "online"}
        return frozenset(online & self._phones.names)

    async def put_account(self, account: PhoneAccount) -> None:
        await self._phones.put(account, connected=self.connected)

    async def remove_account(self, name: str) -> None:
        await self._phones.remove(name, connected=self.connected)

    def _own(self, leg: Leg) -> AriLeg:
        if not isinstance(leg, AriLeg):
            raise TypeError(f"{type(leg).__name__} is no leg of this telephone system")
        if leg.ended:
            raise leg.over()
        return leg


def _bridge_of(channel_id: str, snapshot: Snapshot) -> str | None:
    return next((bridge for bridge, members in snapshot.bridges.items() if channel_id in members), None)
