"""Where another system knows whose a number is: it is asked once agent and customer are connected, never
before and never by the call itself. When it does not answer in time, the contacts kept here decide."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.calls import Call
from ivr_engine.domain.contacts import Found
from ivr_engine.domain.events import AgentConnected, Event
from ivr_engine.errors import ExternalError
from ivr_engine.messaging.contacts import MOST_CANDIDATES, at_connect, known_elsewhere, number_of, settle
from ivr_engine.messaging.crm_lane import CrmPolicy
from ivr_engine.messaging.crm_metrics import LOOKUPS
from ivr_engine.messaging.crm_postings import call_and_ticket
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, ContactDirectory, Store, Tx

_log = structlog.get_logger()

CURSOR: Final = "contact lookup"
"""Beside the names of CRMs, none of which has a space in it."""
_PAGE: Final = 20
"""Asked for side by side."""
_LOOK_BACK: Final = 200
"""Events before the first turn that are read too: a call connected while the setting came into force has its
ticket looked up, and one that has its contact already is left alone."""
_FIND_AT_MOST_S: Final = 30.0
"""Above every deadline an adapter has of its own."""


class ContactLookup:
    """Held by ``CrmFeed``."""

    def __init__(
        self, directory: ContactDirectory, store: Store, clock: Clock, holder: str, policy: CrmPolicy
    ) -> None:
        self._directory = directory
        self._store = store
        self._clock = clock
        self._holder = holder
        self._policy = policy
        self._through: int | None = None
        self._trouble = Trouble("contacts.store_down", "contacts.store_back")
        self._lookup = Trouble("contacts.not_looked_up", "contacts.looked_up_again")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                more = await self.turn()
                self._trouble.over()
            except ExternalError as error:
                self._trouble.met(error, meaning="no contacts are looked up until it is back")
                more = False
            except Exception:
                _log.exception("contacts.fault", remedy="report this trace")
                await asyncio.sleep(self._policy.after_fault_s)
                more = False
            await asyncio.sleep(0.0 if more else self._policy.poll_s)

    async def turn(self) -> bool:
        """True when there is more. Killed at any moment, the same calls are looked up again."""
        now, through = self._clock.now(), self._through
        read = await self._store.run(lambda tx: self._page(tx, through, now))
        if read is None:
            self._through = None
            return False
        page, newest = read
        calls = await self._store.run(lambda tx: _to_ask(tx, page)) if page else []
        await asyncio.gather(*(self._look_up(call) for call in calls))
        full = len(page) >= _PAGE
        done = page[-1].id if full else newest
        if calls or through is None:
            await self._store.run(lambda tx: tx.deliveries.keep_cursor(CURSOR, done))
        self._through = done
        return full

    def _page(self, tx: Tx, through: int | None, now: datetime) -> tuple[list[Event], int] | None:
        """``None`` while another engine does it."""
        stored = tx.deliveries.cursor(CURSOR)
        newest = tx.events.newest_id()
        if stored is None:
            stored = max(0, newest - _LOOK_BACK)
        if through is None or newest > through:
            until = now + timedelta(seconds=self._policy.lease_s)
            if not tx.leases.take(f"crm:{CURSOR}", self._holder, now, until):
                return None
        page = tx.events.after(max(stored, through or 0), _PAGE, kinds=frozenset({AgentConnected}))
        return page, max([newest, *(event.id for event in page)])

    async def _look_up(self, call: Call) -> None:
        number = number_of(call)
        if number is None:
            return
        found = await self._ask(number)
        new_ids = [uuid.uuid4().hex for _ in range(MOST_CANDIDATES + 1)]
        await self._store.run(lambda tx: self._settle(tx, call, found, new_ids))

    def _settle(self, tx: Tx, call: Call, found: Sequence[Found] | None, new_ids: Sequence[str]) -> None:
        """Unless somebody was quicker."""
        now = self._clock.now()
        _, ticket = call_and_ticket(tx, call.id)
        if ticket is None or ticket.contact_id is not None or ticket.candidates:
            return
        if found:
            known = known_elsewhere(tx, call, found, self._directory.system, new_ids=new_ids, now=now)
            settle(tx, call, known, new_id=new_ids[-1], now=now)
        else:
            at_connect(tx, call, new_ids[-1], now)

    async def _ask(self, number: str) -> list[Found] | None:
        """``None``: no answer that makes sense."""
        try:
            async with asyncio.timeout(_FIND_AT_MOST_S):
                found = await self._directory.find(number)
        except (ExternalError, TimeoutError) as error:
            LOOKUPS.labels("failed").inc()
            self._lookup.met(error, meaning="the contacts kept here decide")
            return None
        except Exception as error:
            LOOKUPS.labels("failed").inc()
            _log.exception("contacts.adapter_bug")
            self._lookup.met(error, meaning="the contacts kept here decide")
            return None
        LOOKUPS.labels("answered").inc()
        self._lookup.over()
        return found


def _to_ask(tx: Tx, page: Sequence[Event]) -> list[Call]:
    """The calls whose ticket is nobody's yet."""
    calls: list[Call] = []
    for event in page:
        call, ticket = call_and_ticket(tx, event.call_id or "")
        if call is not None and ticket is not None and ticket.contact_id is None and not ticket.candidates:
            calls.append(call)
    return calls
