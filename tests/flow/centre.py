"""A whole contact centre in virtual time: the simulated telephone system, a store without threads, the
engine's own call flow, and people who call and answer.

``Centre`` is what outlives an engine; ``Centre.engine`` starts one, ``Engine.stop`` ends it as SIGTERM
does, and its ``life.end`` as ``kill -9`` does.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar

import pytest
import structlog

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord
from ivr_engine.domain.events import Happening, Unrecognised
from ivr_engine.domain.messages import Message
from ivr_engine.domain.tickets import Ticket
from ivr_engine.ports import Store
from ivr_engine.rehearsal.engine import SimEngine, World
from ivr_engine.sim import clock
from ivr_engine.sim.life import Life, MortalStore
from ivr_engine.sim.lookup import SimLookup
from ivr_engine.sim.people import AgentPhone, Behaviour, Caller, call
from ivr_engine.sim.prompts import SimPrompts
from ivr_engine.sim.switch import SimSwitch
from ivr_engine.sim.telephony import SimTelephony
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect
from tests.flow.databases import new_database

P = ParamSpec("P")
T = TypeVar("T")

MOBILE = "+4915112345678"
INTERVAL_S = 5.0
SOON_S: Final = 2.0
POSITION_S, CONSENT_S, WRONG_S, SENT_S = 2.0, 6.0, 1.5, 3.0
SECONDS = {"consent": CONSENT_S, "wrong_number": WRONG_S, "sms_sent": SENT_S}


cannot_be_written_to = pytest.mark.parametrize(
    ("number", "settings", "why"),
    [
        ("anonymous", {}, "number_hidden"),
        ("+493012345678", {}, "cannot_receive_sms"),
        ("+447400123456", {}, "country_not_allowed"),
        (MOBILE, {"abuse": {"blocked": ["+49"]}}, "blocked_number"),
    ],
)
"""Who calls, what the site says besides, and the reason no text goes to them."""


def site(**changes: Any) -> Site:
    """The example site in small; ``changes`` are merged into it, one level deep for queue ``support``."""
    support = {
        "label": "Support",
        "ring_time": 20,
        "wait_time_sms": {"requires_over_capacity": False},
    } | changes.pop("support", {})
    data: dict[str, Any] = {
        "brand": "Example",
        "country": "DE",
        "default_language": "en",
        "languages": ["en", "de"],
        "announcement_interval": INTERVAL_S,
        "wait_time_sms": {"text": {"en": "{brand}: answer here", "de": "{brand}: hier antworten"}},
        "sms": {"sender": "+4930123456"},
        "numbers": {"700": {"queue": "support"}, "701": {"queue": "support", "priority": 5}},
        "queues": {"support": support},
        "agents": {name: {"label": name.title(), "queues": ["support"]} for name in ("anna", "ben", "cleo")},
    }
    return Site.model_validate(data | changes)


class Engine(SimEngine):
    """One engine process: its services as tasks, its ports mortal."""

    def __init__(self, centre: Centre, name: str, last_step: int | None = None) -> None:
        self.life = Life(last_step)
        self.store = MortalStore(centre.store, self.life)
        self.telephony = SimTelephony(centre.switch, name, self.life)
        self.wakes = 0
        self.in_force = SiteNow(InForce(centre.site, centre.prompts))
        super().__init__(
            World(
                in_force=self.in_force,
                store=self.store,
                telephony=self.telephony,
                clock=centre.clock,
                lookup=centre.lookup,
                new_id=centre.new_id,
                message_queued=self._woken,
            )
        )
        self._task = asyncio.create_task(self.run(), name=f"engine {name}")

    def _woken(self) -> None:
        self.wakes += 1

    async def stop(self) -> None:
        """As SIGTERM does, or the end of an engine already dead; raises what the engine died of."""
        self._task.cancel()
        await asyncio.wait([self._task])
        self.telephony.life.end()
        if not self._task.cancelled():
            self._task.result()

    async def crash(self) -> None:
        """As ``kill -9`` does."""
        self.life.end()
        await self.stop()


class Centre:
    """Everything but the engine, and the eyes of a test on all of it."""

    def __init__(self, settings: Site, store: Store) -> None:
        self.site = settings
        self.store = store
        self.switch = SimSwitch()
        self.clock = clock.SimClock()
        self.lookup = SimLookup()
        self.prompts = SimPrompts(SECONDS, POSITION_S)
        self._ids = itertools.count(1)
        self.engines: list[Engine] = []

    def new_id(self) -> str:
        return f"{next(self._ids):06d}"

    def engine(self, name: str = "ivr-1", last_step: int | None = None) -> Engine:
        engine = Engine(self, name, last_step)
        self.engines.append(engine)
        return engine

    async def stop(self) -> None:
        for engine in self.engines:
            await engine.stop()

    # ── people ───────────────────────────────────────────────────────────────────────────────────

    async def call(self, number: str = "700", caller: str = MOBILE) -> Caller:
        return await call(self.switch, caller, number)

    def phone(self, name: str, *behaviours: Behaviour) -> AgentPhone:
        return AgentPhone(self.switch, name, *behaviours)

    # ── what is stored ───────────────────────────────────────────────────────────────────────────

    async def row(self, caller: Caller) -> Call:
        """The newest stored call on the caller's channel."""
        found = await self.rows(caller)
        assert found, "no call stored for that channel"
        return found[0]

    async def rows(self, caller: Caller) -> list[Call]:
        every = await self.store.run(lambda tx: tx.calls.search(limit=10_000))
        return [c for c in every if c.channel_id == caller.channel_id]

    async def all_calls(self) -> list[Call]:
        return await self.store.run(lambda tx: tx.calls.search(limit=10_000))

    async def position(self, caller: Caller) -> int:
        row = await self.row(caller)
        return await self.store.run(lambda tx: tx.calls.ahead(row)) + 1

    async def messages(self, caller: Caller) -> list[Message]:
        row = await self.row(caller)
        return await self.store.run(lambda tx: tx.messages.of_call(row.id))

    async def ledger(self, caller: Caller) -> list[ConsentRecord]:
        """Oldest first."""
        row = await self.row(caller)
        every = await self.store.run(lambda tx: tx.consents.search(limit=100_000))
        return [record for record in reversed(every) if record.call_id == row.id]

    async def happened(self, caller: Caller) -> list[Happening | Unrecognised]:
        row = await self.row(caller)
        events = await self.store.run(lambda tx: tx.events.of_call(row.id))
        return [event.what for event in events]

    async def agent(self, name: str) -> Agent:
        found = await self.store.run(lambda tx: tx.agents.get(name))
        assert found is not None
        return found

    async def tickets(self) -> list[Ticket]:
        return await self.store.run(lambda tx: tx.tickets.search(limit=10_000))

    async def until(self, true: Callable[[], Awaitable[bool]], what: str, within_s: float = 120.0) -> None:
        """Wait, in virtual time, until ``true()``. Whatever takes long is looked at less often."""
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(within_s):
                while not await true():  # the store tells nobody
                    soon = asyncio.get_running_loop().time() - began < SOON_S
                    await asyncio.sleep(0.01 if soon else 0.1)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {within_s} s") from None

    async def nothing_left(self) -> None:
        """No leg but of callers still there, no bridge to talk in, nobody busy with a call that is over."""
        await asyncio.sleep(2.0)
        agent_legs = [c.id for c in self.switch.channels.values() if not c.inbound]
        assert not agent_legs, f"legs left: {agent_legs}"
        talks = [b for b in self.switch.rooms.bridges if b.startswith("talk-")]
        assert not talks, f"bridges left: {talks}"
        agents = await self.store.run(lambda tx: tx.agents.all())
        assert not [a for a in agents if a.call_id is not None], agents
        still_there = {c.id for c in self.switch.channels.values()}
        for row in await self.all_calls():
            assert row.ended_at is not None or row.channel_id in still_there, f"open without a caller: {row}"


@asynccontextmanager
async def contact_centre(**changes: Any) -> AsyncGenerator[Centre]:
    """A centre without an engine yet; stops the engines at the end."""
    store = connect(new_database.get()(), inline=True)
    centre = Centre(site(**changes), store)
    with _only_errors_logged():
        try:
            yield centre
        finally:
            await centre.stop()
            await store.close()


@contextmanager
def _only_errors_logged() -> Generator[None]:
    """Thousands of calls would fill pages."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an ``async def`` test in virtual time; a task it leaves running fails it."""

    @functools.wraps(test)
    def in_virtual_time(*args: P.args, **kwargs: P.kwargs) -> None:
        clock.run(test(*args, **kwargs), limit_s=timedelta(days=2).total_seconds())

    return in_virtual_time
