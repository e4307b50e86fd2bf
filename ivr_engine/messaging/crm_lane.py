"""One CRM's way from the events to the other side, beside those of the others: nobody waits for anybody.

Events are read on from a stored cursor; what follows from them becomes rows, in the same transaction. A row
is sent until the other side has it, and only then taken away: killed in between, it is sent again under the
same id. Rows of one call go one after another, those of different calls side by side.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.crm import READ, Backlog, Delivery, Posting
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Rejected
from ivr_engine.messaging.crm_metrics import DEAD, OLDEST, OUTCOMES, UP, WAITING
from ivr_engine.messaging.crm_postings import deliveries, posting
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Crm, Store, Tx

_log = structlog.get_logger()

_POST_AT_MOST_S: Final = 60.0
"""Above every deadline an adapter has of its own."""
_PAGE: Final = 100
_CURSOR_BEHIND: Final = 10_000
"""Events read, of which nothing followed, until the cursor is stored all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmPolicy:
    """``tries``: then it is a dead letter. Seconds: ``retry_first_s`` doubles up to ``retry_most_s``. A CRM
    that failed ``troubles_until_down`` times in a row is down: one posting at a time tries, at intervals up
    to ``probe_most_s``. ``lease_s``: how long an engine that vanished keeps the others from taking over.
    ``forget_after_s``: a CRM that the site has not named for so long is told nothing of what was meanwhile:
    engines may take a change one after another."""

    poll_s: float = 1.0
    tries: int = 40
    retry_first_s: float = 1.0
    retry_most_s: float = 3600.0
    troubles_until_down: int = 3
    probe_most_s: float = 60.0
    lease_s: float = 90.0
    after_fault_s: float = 30.0
    forget_after_s: float = 600.0
    measure_s: float = 15.0

    def retry_s(self, attempts: int) -> float:
        return min(self.retry_most_s, self.retry_first_s * 2 ** min(attempts, 30))


class _Gate:
    """Whether the other side works, said once when it changes."""

    def __init__(self, name: str, at_once: int, policy: CrmPolicy) -> None:
        self._name, self._at_once, self._policy = name, at_once, policy
        self._troubles = 0
        self._closed_until: datetime | None = None
        UP.labels(name).set(1)

    @property
    def down(self) -> bool:
        return self._troubles >= self._policy.troubles_until_down

    def allowance(self, now: datetime) -> int:
        """How many postings may be tried now."""
        if self._closed_until is not None and now < self._closed_until:
            return 0
        return 1 if self.down else self._at_once

    def works(self) -> bool:
        """True when it was down until now."""
        back, self._troubles, self._closed_until = self.down, 0, None
        if back:
            UP.labels(self._name).set(1)
            _log.warning("crm.back", crm=self._name)
        return back

    def fails(self, why: str, now: datetime) -> None:
        self._troubles += 1
        if self._troubles == self._policy.troubles_until_down:
            UP.labels(self._name).set(0)
            _log.error(
                "crm.down", crm=self._name, why=why, meaning="postings wait until it is back; calls go on"
            )
        if self.down:
            over = min(self._troubles - self._policy.troubles_until_down, 10)
            pause_s = min(self._policy.probe_most_s, self._policy.retry_first_s * 2**over)
            self._closed_until = now + timedelta(seconds=pause_s)


class Lane:
    """Held by ``CrmFeed``. ``holder``: this engine's name, among those that share the store."""

    def __init__(self, crm: Crm, store: Store, clock: Clock, holder: str, policy: CrmPolicy) -> None:
        self._crm = crm
        self._store = store
        self._clock = clock
        self._holder = holder
        self._policy = policy
        self._gate = _Gate(crm.name, crm.at_once, policy)
        self._trouble = Trouble("crm.store_down", "crm.store_back")
        self._held_until: datetime | None = None
        self._through: int | None = None
        self._stored_through = 0
        self._measured_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                more = await self.turn()
                self._trouble.over()
            except ExternalError as error:
                self._trouble.met(error, crm=self._crm.name, meaning="nothing is posted until it is back")
                more = False
            except Exception:
                # One CRM's lane: the others go on.
                _log.exception("crm.fault", crm=self._crm.name, remedy="report this trace")
                await asyncio.sleep(self._policy.after_fault_s)
                more = False
            await asyncio.sleep(0.0 if more else self._policy.poll_s)

    async def turn(self) -> bool:
        """Read what happened, send what is due; true when there may be more. ``ExternalError``: the store."""
        now = self._clock.now()
        await self._measure(now)
        if not await self._holds(now):
            return False
        full = await self._read()
        return await self._deliver() or full

    # ── who does it ──────────────────────────────────────────────────────────────────────────────

    async def _holds(self, now: datetime) -> bool:
        """One engine at a time tells this CRM; whoever begins reads on from the stored cursor."""
        third = timedelta(seconds=self._policy.lease_s / 3)
        if self._held_until is not None and now < self._held_until - 2 * third:
            return True
        until = now + 3 * third
        if not await self._store.run(lambda tx: self._take(tx, now, until)):
            self._held_until = self._through = None
            return False
        if self._held_until is None or now >= self._held_until:
            self._through = None
        self._held_until = until
        return True

    def _take(self, tx: Tx, now: datetime, until: datetime) -> bool:
        return tx.leases.take(f"crm:{self._crm.name}", self._holder, now, until)

    # ── from events to rows ──────────────────────────────────────────────────────────────────────

    async def _read(self) -> bool:
        """True when there is more."""
        through = self._through
        now = self._clock.now()
        read = await self._store.run(lambda tx: self._page(tx, through, now))
        if read is None:
            self._held_until = None
            return False
        self._through, full = read
        return full

    def _page(self, tx: Tx, through: int | None, now: datetime) -> tuple[int, bool] | None:
        """Through which event, and whether there are more; ``None``: another engine has taken over."""
        name = self._crm.name
        stored = tx.deliveries.cursor(name)
        newest = tx.events.newest_id()
        if stored is None:
            tx.deliveries.keep_cursor(name, newest)  # what was before it came is not told
            return newest, False
        through = stored if through is None else max(through, stored)
        # Nothing is told of a call before it has a ticket; most never do.
        page = tx.events.after(through, _PAGE, kinds=READ, ticketed=True)
        full = len(page) >= _PAGE
        rows = [row for event in page for row in deliveries(tx, event, name) if row.kind in self._crm.kinds]
        through = page[-1].id if full else max([newest, *(event.id for event in page)])
        if rows or through - stored >= _CURSOR_BEHIND:
            if not self._take(tx, now, now + timedelta(seconds=self._policy.lease_s)):
                return None
            tx.deliveries.add(rows)
            tx.deliveries.keep_cursor(name, through)
        return through, full

    # ── from rows to the other side ──────────────────────────────────────────────────────────────

    async def _deliver(self) -> bool:
        """True when something was sent."""
        now = self._clock.now()
        limit = self._gate.allowance(now)
        if limit == 0:
            return False
        due = await self._store.run(lambda tx: self._due(tx, now, limit))
        if not due:
            return False
        errors = await asyncio.gather(*(self._post(each) for _, each in due))
        now = self._clock.now()
        tried = [(delivery, error) for (delivery, _), error in zip(due, errors, strict=True)]
        hurry = self._judge([error for _, error in tried], now)
        after = [_after(delivery, error, now, self._policy) for delivery, error in tried]
        await self._store.run(lambda tx: self._record(tx, after, now, hurry=hurry))
        self._say([each for each in after if each.error is not None and each.dead])
        return any(error is None for error in errors)

    def _due(self, tx: Tx, now: datetime, limit: int) -> list[tuple[Delivery, Posting | None]]:
        return [(each, posting(tx, each)) for each in tx.deliveries.due(self._crm.name, now, limit)]

    async def _post(self, what: Posting | None) -> ExternalError | None:
        """``None``: the other side has it, or there is nothing to be had any more."""
        if what is None:
            return None
        try:
            async with asyncio.timeout(_POST_AT_MOST_S):
                await self._crm.post(what)
        except TimeoutError:
            return ExternalError("the adapter did not come back")
        except ExternalError as error:
            return error
        except Exception as error:
            _log.exception("crm.adapter_bug", crm=self._crm.name, posting=what.id)
            return ExternalError(f"a fault in the adapter ({type(error).__name__})")
        OUTCOMES.labels(self._crm.name, "posted").inc()
        return None

    def _judge(self, errors: list[ExternalError | None], now: datetime) -> bool:
        """Whether it works again. A refusal of one posting is an answer."""
        if any(error is None or isinstance(error, Rejected) for error in errors):
            return self._gate.works()
        self._gate.fails(str(errors[0]), now)
        return False

    def _record(self, tx: Tx, after: list[Delivery], now: datetime, *, hurry: bool) -> None:
        for each in after:
            if each.error is None:
                tx.deliveries.done(each)
            else:
                tx.deliveries.save(each)
        if hurry:
            tx.deliveries.hurry(self._crm.name, now)

    def _say(self, dead: list[Delivery]) -> None:
        if dead:
            OUTCOMES.labels(self._crm.name, "dead").inc(len(dead))
            _log.error(
                "crm.dead_letters",
                crm=self._crm.name,
                letters=len(dead),
                first=dead[0].id,
                call=dead[0].call_id,
                why=dead[0].error,
                remedy="mend it, then: ivr-engine crm replay",
            )

    async def _measure(self, now: datetime) -> None:
        if (
            self._measured_at is not None
            and (now - self._measured_at).total_seconds() < self._policy.measure_s
        ):
            return
        self._measured_at = now
        name = self._crm.name
        backlog: Backlog = await self._store.run(lambda tx: tx.deliveries.backlog(name))
        WAITING.labels(name).set(backlog.waiting)
        DEAD.labels(name).set(backlog.dead)
        OLDEST.labels(name).set((now - backlog.oldest_at).total_seconds() if backlog.oldest_at else 0.0)


def _after(delivery: Delivery, error: ExternalError | None, now: datetime, policy: CrmPolicy) -> Delivery:
    """What becomes of it after a try; ``error`` of the result is ``None`` when it is done with."""
    if error is None:
        return replace(delivery, error=None)
    attempts = delivery.attempts + 1
    given_up = isinstance(error, Rejected) or attempts >= policy.tries
    again = now + timedelta(seconds=policy.retry_s(delivery.attempts))
    return replace(
        delivery, attempts=attempts, error=str(error)[:500], next_attempt_at=None if given_up else again
    )
