"""One engine in virtual time: the services that a call needs, wired as ``bootstrap`` wires them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ivr_engine.acd.desk import AgentDesk
from ivr_engine.acd.dispatcher import Dispatcher
from ivr_engine.acd.estimates import WaitEstimates
from ivr_engine.acd.switchboard import Switchboard
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.house import House
from ivr_engine.callflow.reception import Reception
from ivr_engine.messaging.contacts import at_connect
from ivr_engine.messaging.senders import sender_for
from ivr_engine.observability.lag import LagStore
from ivr_engine.ports import Clock, Lookup, Store, Telephony
from ivr_engine.site.now import SiteNow


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What an engine is given: its ports, and the configuration."""

    in_force: SiteNow
    store: Store
    telephony: Telephony
    clock: Clock
    lookup: Lookup
    new_id: Callable[[], str]
    message_queued: Callable[[], None]


async def _password(_name: str) -> str:
    return "secret"


class SimEngine:
    """Its parts, each made once; ``run`` is held until it is cancelled, as by SIGTERM."""

    def __init__(self, world: World) -> None:
        lag_store = LagStore(world.store)
        self.dispatcher = Dispatcher(world.in_force, world.store, world.clock, world.new_id)
        self.estimates = WaitEstimates(world.in_force, lag_store, world.clock)
        self.house = House(
            in_force=world.in_force,
            store=lag_store,
            telephony=world.telephony,
            clock=world.clock,
            line=self.dispatcher,
            new_id=world.new_id,
            message_queued=world.message_queued,
            sender_for=sender_for,
            identify=at_connect,
            lookup=world.lookup,
            estimates=self.estimates,
        )
        self.admission = Admission(lag_store.lag_s)
        self.reception = Reception(self.house, self.admission)
        self.desk = AgentDesk(world.in_force, world.store, world.clock, _password)
        self.switchboard = Switchboard(world.in_force, world.store, world.clock, self.dispatcher)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.dispatcher.run())
            group.create_task(self.estimates.run())
            group.create_task(self.reception.run())
