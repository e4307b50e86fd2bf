"""Deletes what is too old, and what is known of a number that is to be forgotten.

In small steps, each a transaction of its own with a pause after it, so that calls never wait for the store.
Files go before the rows that name them: a crash in between leaves rows that lead to the same files again.
A request to forget a number stands in the store until it is done; what is under way there ends first.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.events import ErasureAsked, NumberErased, RetentionApplied
from ivr_engine.domain.opt_outs import Erasure, ErasureState
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Portion, Privacy, Store, Tx
from ivr_engine.site.opt_outs import Retention

_log = structlog.get_logger()

Find = Callable[[Privacy], Portion]
Drop = Callable[[Privacy, Portion], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyPolicy:
    """``portion``: rows in one step. Seconds: ``pause_s`` after each, ``poll_s`` between looks at requests
    that wait, ``sweep_s`` between looks at what is too old."""

    portion: int = 100
    pause_s: float = 0.05
    poll_s: float = 60.0
    sweep_s: float = 3600.0


_POLICY: Final = PrivacyPolicy()


@dataclass(frozen=True, slots=True)
class _Step:
    """What is counted, how it is found and how it is deleted."""

    kind: str
    find: Find
    drop: Drop


class PrivacyKeeper:
    """Hold ``run`` in the root task group. ``delete`` takes a file out of the media folder, fine when it is
    gone; ``retention`` gives the settings in force."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        delete: Callable[[str], Awaitable[None]],
        retention: Callable[[], Retention],
        policy: PrivacyPolicy = _POLICY,
    ) -> None:
        self._store = store
        self._clock = clock
        self._delete = delete
        self._retention = retention
        self._policy = policy
        self._woken = asyncio.Event()
        self._trouble = Trouble("privacy.troubled", "privacy.goes_on")
        self._next_sweep = clock.now()

    async def ask(self, number: str, actor: str) -> Erasure:
        """Remember that ``number`` is to be forgotten, and begin. One that stands already is that one."""
        new = Erasure(id=uuid.uuid4().hex, number=number, at=self._clock.now(), actor=actor, deleted={})

        def write(tx: Tx) -> Erasure:
            for standing in tx.erasures.open():
                if standing.number == number:
                    return standing
            tx.erasures.add(new)
            tx.events.add(new.at, None, ErasureAsked(new.id, actor))
            return new

        asked = await self._store.run(write)
        self._woken.set()
        return asked

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.turn()
            except (ExternalError, OSError) as error:
                self._trouble.met(error, meaning="nothing is deleted until it is over")
            else:
                self._trouble.over()
            try:
                async with asyncio.timeout(self._policy.poll_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Everything that is to be done now. ``ExternalError``, ``OSError``: later, then."""
        for erasure in await self._store.run(lambda tx: tx.erasures.open()):
            await self._forget(erasure)
        if self._clock.now() >= self._next_sweep:
            await self._sweep()
            self._next_sweep = self._clock.now() + timedelta(seconds=self._policy.sweep_s)

    # ── forgetting a number ──────────────────────────────────────────────────────────────────────

    async def _forget(self, erasure: Erasure) -> None:
        """Again from the start when something new of that number came in meanwhile."""
        while True:
            waits_for = await self._store.run(lambda tx: self._begin(tx, erasure))
            if waits_for is not None:
                _log.info("privacy.erasure_waits", erasure=erasure.id, waits_for=waits_for)
                return
            for step in self._steps_of(erasure.number):
                await self._all(step, erasure.id)
            done = await self._store.run(lambda tx: self._finish(tx, erasure))
            if done is not None:
                _log.info("privacy.erased", erasure=erasure.id, **done.deleted)
                return

    def _begin(self, tx: Tx, erasure: Erasure) -> str | None:
        current, waits_for = tx.erasures.get(erasure.id), tx.privacy.under_way(erasure.number)
        state = ErasureState.WAITING if waits_for else ErasureState.ASKED
        changed = replace(current, state=state, waits_for=waits_for)
        if changed != current:
            tx.erasures.save(changed)
        return waits_for

    def _steps_of(self, number: str) -> tuple[_Step, ...]:
        limit = self._policy.portion
        return (
            _Step(
                "messages", lambda p: p.messages_of(number, limit), lambda p, some: p.drop_messages(some.ids)
            ),
            _Step("tickets", lambda p: p.tickets_of(number, limit), lambda p, some: p.drop_tickets(some.ids)),
            _Step(
                "calls", lambda p: p.calls_of(number, limit), lambda p, some: p.hide_calls(some.ids, number)
            ),
        )

    def _finish(self, tx: Tx, erasure: Erasure) -> Erasure | None:
        """``None`` when there is more."""
        number, privacy = erasure.number, tx.privacy
        left = privacy.under_way(number) or any(step.find(privacy).ids for step in self._steps_of(number))
        if left:
            return None
        counted = tx.erasures.get(erasure.id).counted(
            known_callers=privacy.drop_caller(number),
            **{f"{kind}_kept_under_a_pseudonym": n for kind, n in privacy.rename(number).items()},
        )
        now = self._clock.now()
        done = replace(counted, number=privacy.pseudonym(number), state=ErasureState.DONE, done_at=now)
        tx.erasures.save(done)
        tx.events.add(now, None, NumberErased(done.id, done.deleted))
        return done

    # ── what is too old ──────────────────────────────────────────────────────────────────────────

    async def _sweep(self) -> None:
        settings, deleted = self._retention(), dict[str, int]()
        for step in self._old(settings):
            deleted[step.kind] = deleted.get(step.kind, 0) + await self._all(step)
        if (before := self._before(settings.consents)) is not None:
            deleted["consents"] = await self._old_consents(before)
        found = {kind: count for kind, count in deleted.items() if count}
        if found:
            now = self._clock.now()
            await self._store.run(lambda tx: tx.events.add(now, None, RetentionApplied(found)))
            _log.info("privacy.too_old_deleted", **found)

    def _old(self, settings: Retention) -> list[_Step]:
        limit, steps = self._policy.portion, list[_Step]()
        if (files := self._before(settings.media)) is not None:
            steps += [
                _Step("files", lambda p: p.old_media(files, limit), lambda p, some: p.drop_media(some.ids)),
                _Step("files", lambda p: p.old_files(files, limit), lambda p, some: p.drop_files(some.ids)),
            ]
        if (texts := self._before(settings.messages)) is not None:
            steps.append(
                _Step(
                    "messages",
                    lambda p: p.old_messages(texts, limit),
                    lambda p, some: p.drop_messages(some.ids),
                )
            )
        if (calls := self._before(settings.calls)) is not None:
            steps += [
                _Step(
                    "tickets", lambda p: p.old_tickets(calls, limit), lambda p, some: p.drop_tickets(some.ids)
                ),
                _Step("calls", lambda p: p.old_calls(calls, limit), lambda p, some: p.drop_calls(some.ids)),
            ]
        return steps

    def _before(self, days: int | None) -> datetime | None:
        return None if days is None else self._clock.now() - timedelta(days=days)

    async def _old_consents(self, before: datetime) -> int:
        limit, gone = self._policy.portion, 0
        while some := await self._store.run(lambda tx: tx.privacy.drop_consents(before, limit)):
            gone += some
            await asyncio.sleep(self._policy.pause_s)
        return gone

    # ── a portion at a time ──────────────────────────────────────────────────────────────────────

    async def _all(self, step: _Step, erasure_id: str | None = None) -> int:
        """How many there were; counted in the request with each portion."""
        gone = 0
        while (some := await self._store.run(lambda tx: step.find(tx.privacy))).ids:
            for file in some.files:
                await self._delete(file)
            gone += await self._store.run(lambda tx, some=some: self._drop(tx, step, some, erasure_id))
            await asyncio.sleep(self._policy.pause_s)
        return gone

    @staticmethod
    def _drop(tx: Tx, step: _Step, some: Portion, erasure_id: str | None) -> int:
        gone = step.drop(tx.privacy, some)
        if erasure_id is not None:
            counted = tx.erasures.get(erasure_id).counted(**{step.kind: gone, "files": len(some.files)})
            tx.erasures.save(counted)
        return gone
